"""Operands of ARM64 code: branches, and pages with what is added to them.

Instructions are words of four bytes, aligned. `B` and `BL` hold a distance of 26 bits in words. An
address is made by two: `ADRP` holds a distance of 21 bits in pages of 4 KiB, and an `ADD` or an
`LDR` behind it the rest within the page.

Source: Arm Architecture Reference Manual for A-profile, C6.2.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from re import Match
from typing import NamedTuple

from lockgate_release.deltas.references import Moves

__all__ = ["Place", "follow", "target_of"]

_OPERANDS = re.compile(rb"[\x14-\x17\x94-\x97\x90\xb0\xd0\xf0]")
"""The highest bytes of `B`, `BL` and `ADRP`."""
_WORD = struct.Struct("<I")
_PAGE = 0xFFF
_WORD_BYTES = 4
_BRANCH_KIND = 0x7C000000
_BRANCH = 0x14000000
_BRANCH_BITS = 0x03FFFFFF
_BRANCH_SIGN = 0x02000000
_PAGE_SIGN = 0x00100000
_PAGE_FIELD = 0x60FFFFE0
_REST_FIELD = 0xFFF << 10
_ADD = 0x91000000
_LOAD = 0xF9400000
_KIND = 0xFFC00000


class Place(NamedTuple):
    """Where a stretch of code comes from, and where it goes.

    Attributes:
        address: The old address of its first byte.
        apart: What to add to an old address of it for the new one.
        start: How many bytes stand in front of the first whole instruction.
        first: The address that old pages count from.
        second: The address that new pages count from.
    """

    address: int
    apart: int
    start: int
    first: int
    second: int


Settle = Callable[[int, int, int], int]


def follow(made: bytearray, place: Place, moves: Moves, settle: Settle) -> None:
    """Put right all operands of a stretch of code.

    Args:
        made: What was copied; changed in place.
        place: Where it comes from and goes to.
        moves: What moved how far.
        settle: Is given the cell that an operand points at, its position, and the old address of
            its target. Returns how far that target moved.
    """
    mask, shift = moves.mask, moves.shift
    start, old, apart = place.start, place.address, place.apart
    size = start + (len(made) - start) // _WORD_BYTES * _WORD_BYTES
    read, write = _WORD.unpack_from, _WORD.pack_into
    for end in map(Match.end, _OPERANDS.finditer(bytes(made[start + 3 : size : _WORD_BYTES]))):
        at = start + (end - 1) * _WORD_BYTES
        (word,) = read(made, at)
        if word & _BRANCH_KIND == _BRANCH:
            distance = (word & _BRANCH_BITS ^ _BRANCH_SIGN) - _BRANCH_SIGN << 2
            target = old + at + distance
            move = settle(target >> shift & mask, at, target)
            if move != apart:
                distance = distance + move - apart >> 2 & _BRANCH_BITS
                write(made, at, word & ~_BRANCH_BITS | distance)
            continue
        paged = target_of(made, at, old + at, place.first)
        if paged is not None:
            move = settle(paged >> shift & mask, at, paged)
            _aim(made, at, paged + move, old + apart + at, place.second)


def target_of(code: bytes | bytearray, at: int, address: int, origin: int) -> int | None:
    """Return what the operand at `at` points at, or None if it is none.

    Args:
        code: The code.
        at: Where the instruction stands in it.
        address: The address of that instruction.
        origin: The address that pages count from.
    """
    word: int = _WORD.unpack_from(code, at)[0]
    if word & _BRANCH_KIND == _BRANCH:
        distance = (word & _BRANCH_BITS ^ _BRANCH_SIGN) - _BRANCH_SIGN
        return address + (distance << 2)
    if word & 0x9F000000 != 0x90000000 or at + 2 * _WORD_BYTES > len(code):
        return None
    rest: int = _WORD.unpack_from(code, at + _WORD_BYTES)[0]
    scale = _scale(rest)
    if scale is None or rest >> 5 & 31 != word & 31:
        return None
    pages = word >> 29 & 3 | word >> 3 & 0x1FFFFC
    pages = (pages ^ _PAGE_SIGN) - _PAGE_SIGN
    page = (address - origin & ~_PAGE) + (pages << 12)
    return origin + page + ((rest >> 10 & _PAGE) << scale)


def _scale(word: int) -> int | None:
    kind = word & _KIND
    return 0 if kind == _ADD else 3 if kind == _LOAD else None


def _aim(made: bytearray, at: int, target: int, address: int, origin: int) -> None:
    """Let the page and the rest at `at`, whose new address is `address`, mean `target`."""
    (word,) = _WORD.unpack_from(made, at)
    (rest,) = _WORD.unpack_from(made, at + _WORD_BYTES)
    pages = (target - origin >> 12) - (address - origin >> 12)
    word = word & ~_PAGE_FIELD | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5
    _WORD.pack_into(made, at, word & 0xFFFFFFFF)
    inside = (target - origin & _PAGE) >> (_scale(rest) or 0)
    _WORD.pack_into(made, at + _WORD_BYTES, rest & ~_REST_FIELD & 0xFFFFFFFF | inside << 10)
