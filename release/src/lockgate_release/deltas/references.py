"""What addresses in old bytes become in new ones: predicted, not sent.

A program that grew by a function has thousands of words that changed for no other reason than
that what they point at has moved. Where the old bytes at an address went, the covers say: a table
holds, for each cell of 16 or more addresses, how far it moved. So most changed words follow from
the covers alone; and what a delta teaches about one word holds for all that point at its cell.

No disassembly: a pattern finds what looks like an operand, and a bit says whether it behaved.
`docs/reference/delta-format.md` is the specification.
"""

from __future__ import annotations

import re
import struct
import sys
from array import array
from collections.abc import Iterable, Iterator
from enum import IntEnum

__all__ = [
    "CELL_UNKNOWN",
    "FLAG_COLUMNS",
    "NO_REGION",
    "X86_OPERANDS",
    "Moves",
    "Region",
    "RegionKind",
    "Segment",
    "literal_addresses",
    "predict_words",
]

CELL_UNKNOWN = -(1 << 31)
"""In a table of moves: nobody has said anything of this cell."""
FLAG_COLUMNS = 3
"""Operands whose cell stayed where it was, moved, and is unknown: each kind has its own bits."""
_MIN_SEED_BYTES = 24
_SEED_PASSES = ((_MIN_SEED_BYTES, 256), (256, 4096), (4096, sys.maxsize))
_MIN_ADDRESS = 4096
_MAX_ADDRESS = 1 << 40
_WORD = 0xFFFFFFFF
_MODRM = rb"[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]"
"""The bytes that say "relative to the instruction pointer"."""
_X86 = (
    rb"(?:[\xe8\xe9]|\x0f[\x80-\x8f]|[\x40-\x4f][\x8b\x8d\x89\x3b\x39\x63]"
    + _MODRM
    + rb"|\x0f[\x10\x11\x28\x29\x6f\x7f\xb6\xb7\x2e]"
    + _MODRM
    + rb"|\xff[\x15\x25])"
)
X86_OPERANDS = re.compile(
    rb"[\xe8\xe9\x0f\x05\x0d\x15\x1d\x25\x2d\x35\x3d]"
    rb"(?:(?<=[\xe8\xe9])|(?<=\x0f)[\x80-\x8f]"
    rb"|(?<=[\x8b\x8d\x89\x10\x11\x28\x29\x6f\x7f\x3b\x39\x63\xff]"
    rb"[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]))"
    rb"[\s\S]{3}[\x00-\x07\xf8-\xff]"
)
"""Calls, jumps, and what is addressed relative to the instruction pointer: operand of 32 bits last.

Its highest byte says that the distance is below 128 MiB. The rare first byte comes first, and what
must stand in front of it is looked at then: that is twice as fast.
"""
_X86_LITERALS = re.compile(_X86 + rb"[\s\S]{4}")
_REACH = 1 << 28
_HALF = 1 << 27
_INT = struct.Struct("<i")


class RegionKind(IntEnum):
    """How the addresses in a stretch of new bytes are written."""

    PLAIN = 0
    X86 = 1
    ABSOLUTE_64 = 2
    TABLE_32 = 3
    RELATIVE_32 = 4
    ARM64 = 5


class Segment:
    """A stretch of old bytes: where it starts, and what to add to a position for its address."""

    __slots__ = ("bias", "start")

    def __init__(self, start: int, bias: int) -> None:
        """Say where it starts and what its bias is."""
        self.start = start
        self.bias = bias


class Region(Segment):
    """A stretch of new bytes, and how addresses are written in it.

    Attributes:
        first: Absolute, table and ARM64: the address that old values count from. Relative: the
            lowest old address that counts as a target.
        second: Absolute, table and ARM64: the address that new values count from. Relative: the
            first old address behind the targets.
    """

    __slots__ = ("first", "kind", "second")

    def __init__(self, start: int, bias: int, kind: RegionKind, first: int, second: int) -> None:
        """Say where it starts, its bias, and how it is read."""
        super().__init__(start, bias)
        self.kind = kind
        self.first = first
        self.second = second


NO_REGION = Region(0, 0, RegionKind.PLAIN, 0, 0)
"""What is in front of the first region."""


class Moves:
    """How far each cell of old addresses moved, as far as anybody knows."""

    __slots__ = ("cells", "mask", "shift")

    def __init__(self, *, table_bits: int, cell_bits: int) -> None:
        """Make a table of `2**table_bits` cells, each of `2**cell_bits` addresses."""
        self.cells = array("i", [CELL_UNKNOWN]) * (1 << table_bits)
        self.mask = (1 << table_bits) - 1
        self.shift = cell_bits

    def seed(self, covers: Iterable[tuple[int, int, int]]) -> None:
        """Learn from covers: old address, how far it moved, length. The longest are believed."""
        addresses, moves, lengths = array("q"), array("q"), array("q")
        for address, move, length in covers:
            if length >= _MIN_SEED_BYTES:
                addresses.append(address)
                moves.append(move)
                lengths.append(length)
        for least, most in _SEED_PASSES:
            for address, move, length in zip(addresses, moves, lengths, strict=True):
                if least <= length < most:
                    self._fill(address, move, length)

    def _fill(self, address: int, move: int, length: int) -> None:
        first = address >> self.shift
        count = ((address + length) >> self.shift) - first
        first &= self.mask
        if count and first + count <= len(self.cells) and abs(move) <= _WORD >> 1:
            self.cells[first : first + count] = array("i", [move]) * count


def predict_words(made: bytearray, region: Region, moves: Moves, old: int, new: int) -> None:
    """Put right the words of a stretch that are addresses by themselves.

    Args:
        made: What was copied; changed in place.
        region: Where it goes to.
        moves: What moved how far.
        old: The address it comes from.
        new: The position it goes to.
    """
    width = 8 if region.kind is RegionKind.ABSOLUTE_64 else 4
    start = (region.start - new) % width
    end = start + (len(made) - start) // width * width
    if end <= start:
        return
    words = array("Q" if width == 8 else "I")
    words.frombytes(made[start:end])
    if sys.byteorder == "big":
        words.byteswap()
    if region.kind is RegionKind.ABSOLUTE_64:
        words = array("Q", _absolute(words, region, moves))
    elif region.kind is RegionKind.TABLE_32:
        words = array("I", _table(words, region, moves))
    else:
        apart = new + region.bias - old
        words = array("I", _relative(words, region, moves, old + start, apart))
    if sys.byteorder == "big":
        words.byteswap()
    made[start:end] = words.tobytes()


def _absolute(words: array[int], region: Region, moves: Moves) -> list[int]:
    cells, mask, shift = moves.cells, moves.mask, moves.shift
    first, apart = region.first, region.second - region.first
    return [
        word + move - apart
        if _MIN_ADDRESS <= word < _MAX_ADDRESS
        and (move := cells[word + first >> shift & mask]) != CELL_UNKNOWN
        and word + move >= apart
        else word
        for word in words
    ]


def _table(words: array[int], region: Region, moves: Moves) -> list[int]:
    cells, mask, shift = moves.cells, moves.mask, moves.shift
    first, apart = region.first, region.second - region.first
    return [
        word + move - apart & _WORD
        if (move := cells[word + first >> shift & mask]) != CELL_UNKNOWN
        else word
        for word in words
    ]


def _relative(
    words: array[int], region: Region, moves: Moves, address: int, apart: int
) -> list[int]:
    cells, mask, shift = moves.cells, moves.mask, moves.shift
    first, reach = region.first, region.second - region.first
    return [
        word + move - apart & _WORD
        if word + at - first & _WORD < reach
        and (move := cells[word + at >> shift & mask]) != CELL_UNKNOWN
        else word
        for at, word in enumerate_by_four(address, words)
    ]


def enumerate_by_four(address: int, words: array[int]) -> Iterator[tuple[int, int]]:
    """Pair each word with its address."""
    return zip(range(address, address + 4 * len(words), 4), words, strict=True)


def literal_addresses(data: bytes, address: int, *, sign: int) -> bytes:
    """Turn distances in a run of new x86 code into addresses (sign 1), or back (sign -1).

    A function that is called often then looks the same in each call. Whether an operand is turned
    depends on nothing that turning changes, so that it can be undone.
    """
    made = None
    for found in _X86_LITERALS.finditer(data):
        at = found.end() - 4
        value = _INT.unpack_from(data, at)[0]
        if -_HALF <= value < _HALF:
            made = bytearray(data) if made is None else made
            turned = (value + sign * (address + at) + _HALF) % _REACH - _HALF
            _INT.pack_into(made, at, turned)
    return data if made is None else bytes(made)
