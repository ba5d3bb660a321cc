"""What addresses in old bytes become in new ones: predicted, not sent.

A program that grew by a function has thousands of words that changed for no other reason than
that what they point at has moved. Where the old bytes at an address went, the covers say: a table
holds, for each cell of 16 or more addresses, how far it moved. So most changed words follow from
the covers alone; and what a delta teaches about one word holds for all that point at its cell.

No disassembly: a pattern finds what looks like an operand, and a bit says whether it behaved.
`docs/reference/delta-format.md` is the specification.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

__all__ = [
    "CELL_UNKNOWN",
    "FLAG_COLUMNS",
    "MAX_PIECE_BYTES",
    "NO_REGION",
    "Moves",
    "Piece",
    "Region",
    "RegionKind",
    "Segment",
    "Span",
    "literal_places",
    "pieces_of",
]

CELL_UNKNOWN = -(1 << 31)
"""In a table of moves: nobody has said anything of this cell."""
FLAG_COLUMNS = 3
"""Operands whose cell stayed where it was, moved, and is unknown: each kind has its own bits."""
MAX_PIECE_BYTES = 1 << 18
"""What is made in one go."""
_MIN_RUN_BYTES = 32
_MAX_LENGTH_BITS = 64
_MAX_GAP_BYTES = 256


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


class Piece(NamedTuple):
    """What is made in one go: new bytes of one region, `MAX_PIECE_BYTES` at most.

    Attributes:
        start: The position of its first byte among the new bytes.
        end: The position behind its last.
        region: What it belongs to.
    """

    start: int
    end: int
    region: Region

    @property
    def address(self) -> int:
        """The new address of its first byte."""
        return self.start + self.region.bias


Span = tuple[int, int, int]
"""Some bytes of a piece that were copied from one place.

Where it begins and ends, counted from the beginning of the piece; and by how much its new address
is greater than its old one. What lies between is literal. The last one of a piece is empty, and
stands at its end.
"""


def pieces_of(size_bytes: int, regions: Sequence[Region]) -> Iterator[Piece]:
    """Yield the pieces of a block: each region is cut at multiples of their size."""
    borders = [*(region.start for region in regions), size_bytes]
    at = 0
    for region, border in zip([NO_REGION, *regions], borders, strict=True):
        end = min(border, size_bytes)
        while at < end:
            until = min(at + MAX_PIECE_BYTES, end)
            yield Piece(at, until, region)
            at = until


def literal_places(piece: Piece, covers: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the runs of literals of a piece, one behind the other.

    Args:
        piece: The piece.
        covers: Where each of its covers begins in it, and the length.

    Yields:
        Where a run ends among the literals of the piece, and the new address of the first of them
        if all stood where this run does.
    """
    copied = 0
    for start, length in covers:
        yield start - copied, piece.address + copied
        copied += length
    yield piece.end - piece.start - copied, piece.address + copied


class Moves:
    """How far each cell of old addresses moved, as far as anybody knows."""

    __slots__ = ("cells", "mask", "shift")

    def __init__(self, *, table_bits: int, cell_bits: int) -> None:
        """Make a table of `2**table_bits` cells, each of `2**cell_bits` addresses."""
        self.cells = array("i", [CELL_UNKNOWN]) * (1 << table_bits)
        self.mask = (1 << table_bits) - 1
        self.shift = cell_bits

    def learn(self, addresses: Sequence[int], moves: Sequence[int], lengths: Sequence[int]) -> None:
        """Learn from covers in order: of each its old address, how far it moved, and its length.

        Neighbours that moved alike are one run, with the little that lies between. The longest are
        believed.
        """
        # By the number of bits of their lengths: the first cover of each run, and one behind it.
        runs = [array("I") for _ in range(_MAX_LENGTH_BITS)]
        first = start = end = behind = 0
        last = CELL_UNKNOWN
        for address, move, length in zip(addresses, moves, lengths, strict=True):
            if move != last or not 0 <= address - end < _MAX_GAP_BYTES:
                if end - start >= _MIN_RUN_BYTES:
                    runs[(end - start).bit_length()].extend((first, behind))
                last, start, first = move, address, behind
            end = address + length
            behind += 1
        if end - start >= _MIN_RUN_BYTES:
            runs[(end - start).bit_length()].extend((first, behind))
        for some in runs:
            numbers = iter(some)
            for first, behind in zip(numbers, numbers, strict=True):
                end = addresses[behind - 1] + lengths[behind - 1]
                self._fill(addresses[first], end, moves[first])

    def _fill(self, start: int, end: int, move: int) -> None:
        first = start >> self.shift
        count = (end >> self.shift) - first
        first &= self.mask
        if count and first + count <= len(self.cells) and move != CELL_UNKNOWN:
            self.cells[first : first + count] = array("i", (move,)) * count
