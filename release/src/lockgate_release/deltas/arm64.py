"""Operands of ARM64 code: branches, and pages with what is added to them.

Instructions are words of four bytes, aligned. `B` and `BL` hold a distance of 26 bits in words. An
address is made by two: `ADRP` holds a distance of 21 bits in pages of 4 KiB, and an `ADD` or an
`LDR` behind it the rest within the page.

Source: Arm Architecture Reference Manual for A-profile, C6.2.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Iterable, Sequence
from re import Match

from lockgate_release.deltas.references import Span

__all__ = [
    "BRANCH_BITS",
    "BRANCH_SIGN",
    "CALLS",
    "PAGES",
    "aimed",
    "distance_of",
    "ends_of",
    "is_page",
    "paged_target",
    "put_words",
    "turn_literals",
    "words_of",
]

CALLS = re.compile(rb"[\x94-\x97]")
"""The highest bytes of `BL`."""
PAGES = re.compile(rb"[\x90\xb0\xd0\xf0]")
"""The highest bytes of `ADRP`."""
BRANCH_BITS = 0x03FFFFFF
BRANCH_SIGN = 0x02000000
_OTHER_BITS = 0xFC000000
_PAGE = 0xFFF
_WORD_BYTES = 4
_PAGE_SIGN = 0x00100000
_NO_PAGE_FIELD = 0x9F00001F
_NO_REST_FIELD = 0xFFC003FF
_SCALES = {0x91000000 >> 22: 0, 0xF9400000 >> 22: 3}
"""The highest ten bits of an `ADD` and an `LDR`: by how many bits what they add is scaled."""
_KIND_OF_PAGE = 0x9F000000
_PAGE_KIND = 0x90000000


def words_of(made: bytes | bytearray) -> array[int]:
    """Return the whole words of a piece."""
    words = array("I", bytes(made[: len(made) // _WORD_BYTES * _WORD_BYTES]))
    if sys.byteorder == "big":
        words.byteswap()
    return words


def put_words(made: bytearray, words: array[int]) -> None:
    """Write the words over the beginning of a piece."""
    if sys.byteorder == "big":
        words.byteswap()
    made[: len(words) * _WORD_BYTES] = words.tobytes()


def ends_of(operands: re.Pattern[bytes], highest: bytes | bytearray) -> Iterable[int]:
    """Return the number of words up to each operand, itself included, in order.

    Args:
        operands: The kind that is looked for.
        highest: The highest byte of each word.
    """
    return map(Match.end, operands.finditer(highest))


def distance_of(call: int) -> int:
    """Return how far a call leads, in bytes."""
    return (call & BRANCH_BITS ^ BRANCH_SIGN) - BRANCH_SIGN << 2


def is_page(word: int) -> bool:
    """Return whether an instruction is `ADRP`."""
    return word & _KIND_OF_PAGE == _PAGE_KIND


def paged_target(page: int, rest: int, address: int) -> int | None:
    """Return what two instructions point at, or None if they do not belong together.

    Args:
        page: The `ADRP`.
        rest: The instruction behind it.
        address: Where the `ADRP` stands, counted from the same point as the target.
    """
    scale = _SCALES.get(rest >> 22)
    if scale is None or (rest >> 5 ^ page) & 31:
        return None
    pages = page >> 29 & 3 | page >> 3 & 0x1FFFFC
    pages = (pages ^ _PAGE_SIGN) - _PAGE_SIGN
    return (address & ~_PAGE) + (pages << 12) + ((rest >> 10 & _PAGE) << scale)


def aimed(page: int, rest: int, address: int, target: int) -> tuple[int, int]:
    """Return the two instructions, made to point at `target`."""
    pages = (target >> 12) - (address >> 12)
    inside = (target & _PAGE) >> _SCALES[rest >> 22]
    return (
        page & _NO_PAGE_FIELD | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5,
        rest & _NO_REST_FIELD | inside << 10,
    )


def turn_literals(
    words: array[int], highest: bytes | bytearray, spans: Sequence[Span], address: int, *, sign: int
) -> None:
    """Turn the distances of branches that are all literal into addresses (sign 1), or back (-1).

    Args:
        words: A piece; changed in place.
        highest: The highest byte of each word.
        spans: Where its bytes come from.
        address: The new address of its first byte.
        sign: 1 or -1.
    """
    base = sign * (address >> 2)
    at = 0
    for start, end, _ in spans:
        if start - at >= _WORD_BYTES:
            first = (at + _WORD_BYTES - 1) // _WORD_BYTES
            for call in CALLS.finditer(highest, first, start // _WORD_BYTES):
                count = call.end()
                word = words[count - 1]
                words[count - 1] = word & _OTHER_BITS | word + base + sign * count & BRANCH_BITS
        at = end
