"""New bytes from old ones and a solid delta, `columns-1`, with the standard library alone.

`docs/reference/delta-format.md` is the specification. The rules, as numbered there:

    1. A delta is a row of blocks; the sizes of what they make add up to what the caller expects.
    2. A block is its head, the directory of its columns, and the columns.
    3. What a block makes is made piece by piece. Covers say what is copied from where; what no
       cover makes is taken from the literals.
    4. Addresses in what was copied are predicted from where their targets went.
    5. A fix-up adds to one 32-bit word of a piece. Each piece says how many it has.
    6. Every length is a limit: it is checked before memory is taken. Nothing may be left over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import SEEK_END
from itertools import accumulate, islice, pairwise
from typing import BinaryIO

from lockgate_release.deltas import x86
from lockgate_release.deltas.columns import (
    ColumnReader,
    ColumnSpec,
    check_used_up,
    damaged,
    read_varint,
    varints_of,
    words_of,
)
from lockgate_release.deltas.covers import CoverTable
from lockgate_release.deltas.file_bytes import OldBytes, OldPages
from lockgate_release.deltas.operands import Operands
from lockgate_release.deltas.references import (
    Moves,
    Piece,
    Region,
    RegionKind,
    Segment,
    Span,
    literal_places,
    pieces_of,
)
from lockgate_release.deltas.tables import predict_words

__all__ = [
    "COLUMNS",
    "FAR_GAP",
    "MAX_COVERS",
    "MAX_PIECE_COVERS",
    "MAX_STRETCHES",
    "MIN_CELL_BITS",
    "decode_memory_bytes",
    "decode_solid",
]

MAX_COVERS = 1 << 19
"""Of one block: what their positions may take is bounded with them."""
MAX_PIECE_COVERS = 1 << 14
"""Of one piece: each takes 200 bytes while the piece is made."""
MAX_STRETCHES = 1 << 14
"""How many segments or regions a block may have."""
_MAX_TABLE_BITS = 22
MIN_CELL_BITS = 4
_MAX_CELL_BITS = 10
FAR_GAP = 255
"""Stands for a gap of at least so many bytes: what it has more is told elsewhere."""
_WORD_BYTES = 4
_WORD = struct.Struct("<I")
_MASK = 0xFFFFFFFF
_PADDING = bytes(_WORD_BYTES)
_MEMORY_BYTES = 96 << 20

_FLAGS = ColumnSpec(lc=0)
_VALUES = ColumnSpec(lc=0, lp=2, pb=2, most_bytes=4 << 20)
COLUMNS = (
    ("gaps", ColumnSpec()),
    ("lengths", ColumnSpec()),
    ("seeks", ColumnSpec()),
    ("literals", ColumnSpec(pb=1, most_bytes=8 << 20)),
    ("fix-counts", ColumnSpec()),
    ("fix-gaps", ColumnSpec()),
    ("fix-values", _VALUES),
    ("targets", _VALUES),
    ("flags-stayed", _FLAGS),
    ("flags-moved", _FLAGS),
    ("flags-unknown", _FLAGS),
)


def decode_memory_bytes(old_bytes: int, new_bytes: int) -> int:
    """Return the most memory that decoding takes, the interpreter included."""
    return _MEMORY_BYTES if old_bytes + new_bytes else 0


def decode_solid(old: OldBytes, patch: BinaryIO, *, size_bytes: int) -> Iterator[bytearray]:
    """Yield the new bytes, `size_bytes` in all, in pieces of at most `MAX_PIECE_BYTES`.

    `patch` is read from where it stands, by position: it must be able to seek.

    Raises:
        ArchiveError: The delta is damaged, or does not belong to these old bytes.
    """
    while size_bytes:
        head = _read_head(patch, limit_bytes=size_bytes)
        size_bytes -= head.size_bytes
        end = head.end
        yield from _Block(old, head).pieces()
        del head  # Before the next one takes memory for its own table.
        patch.seek(end)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What a block says of itself before its columns. Positions in bytes."""

    size_bytes: int
    covers: int
    moves: Moves
    segments: list[Segment]
    regions: list[Region]
    columns: dict[str, ColumnReader]
    end: int


def _read_head(patch: BinaryIO, *, limit_bytes: int) -> _Head:
    size_bytes = _limited(read_varint(patch), limit_bytes, "block size")
    if not size_bytes:
        raise damaged("a block makes nothing")
    covers = _limited(read_varint(patch), MAX_COVERS, "number of covers")
    table_bits = _limited(read_varint(patch), _MAX_TABLE_BITS, "size of the table")
    cell_bits = _limited(read_varint(patch), _MAX_CELL_BITS, "size of a cell")
    segments = list(_read_segments(patch))
    regions = list(_read_regions(patch))
    directory = []
    for name, spec in COLUMNS:
        packed_bytes = read_varint(patch)
        # No column holds more than a word for each byte that is made, and a bit of slack.
        size = _limited(read_varint(patch), 4 * size_bytes + 64, "size of a column")
        directory.append((name, spec, packed_bytes, size))
    at = patch.tell()
    if at + sum(packed_bytes for _, _, packed_bytes, _ in directory) > patch.seek(0, SEEK_END):
        # Where no file can be that long, to seek there would fail as if the disk had.
        raise damaged("is cut off")
    columns = {}
    for name, spec, packed_bytes, size in directory:
        columns[name] = ColumnReader(patch, spec, at=at, packed_bytes=packed_bytes, size_bytes=size)
        at += packed_bytes
    return _Head(
        size_bytes=size_bytes,
        covers=covers,
        moves=Moves(table_bits=table_bits, cell_bits=cell_bits),
        segments=segments,
        regions=regions,
        columns=columns,
        end=at,
    )


def _read_segments(patch: BinaryIO) -> Iterator[Segment]:
    start = 0
    for _ in range(_limited(read_varint(patch), MAX_STRETCHES, "number of segments")):
        start += read_varint(patch)
        yield Segment(start, _unfold(read_varint(patch)))


def _read_regions(patch: BinaryIO) -> Iterator[Region]:
    start = 0
    for _ in range(_limited(read_varint(patch), MAX_STRETCHES, "number of regions")):
        start += read_varint(patch)
        bias = _unfold(read_varint(patch))
        kind = _limited(read_varint(patch), max(RegionKind), "kind of a region")
        first, second = _unfold(read_varint(patch)), _unfold(read_varint(patch))
        yield Region(start, bias, RegionKind(kind), first, second)


class _Block:
    """One block, on its way from old bytes to new ones."""

    def __init__(self, old: OldBytes, head: _Head) -> None:
        self._old = OldPages(old)
        self._head = head
        self._literals = head.columns["literals"]
        self._fixes = _Fixes(head.columns)
        self._operands = Operands(head.columns, head.moves)
        self._covers = CoverTable(head.columns, old_bytes=old.size)

    def pieces(self) -> Iterator[bytearray]:
        """Yield what the block makes."""
        head, covers = self._head, self._covers
        pieces = pieces_of(head.size_bytes, head.regions)
        addresses = covers.read(head.covers, pieces, head.segments)
        if head.regions:
            head.moves.learn(addresses, covers.aparts, covers.lengths)
        del addresses
        pieces = pieces_of(head.size_bytes, head.regions)
        for piece, (first, last) in zip(pieces, pairwise(covers.bounds), strict=True):
            _limited(last - first, MAX_PIECE_COVERS, "number of covers in a piece")
            made, spans = self._assembled(piece, slice(first, last))
            self._predict(made, piece, spans)
            del spans  # A hundred bytes for each cover, and the next piece has its own.
            self._fixes.apply(made)
            yield made
        self._fixes.finish()
        self._operands.finish()
        for column in head.columns.values():
            column.finish()

    def _assembled(self, piece: Piece, part: slice) -> tuple[bytearray, list[Span]]:
        covers, read_at = self._covers, self._old.read_at
        starts, lengths = covers.starts[part], covers.lengths[part]
        literals = self._literals.read(piece.end - piece.start - sum(lengths))
        if piece.region.kind is RegionKind.X86:
            places = list(literal_places(piece, zip(starts, lengths, strict=True)))
            literals = x86.turn_literals(literals, places, sign=-1)
        parts: list[bytes] = []
        spans: list[Span] = []
        at = used = 0
        for old_at, begin, length, apart in zip(
            covers.olds[part], starts, lengths, covers.aparts[part], strict=True
        ):
            if begin > at:
                parts.append(literals[used : used + begin - at])
                used += begin - at
            parts.append(read_at(old_at, length))
            at = begin + length
            spans.append((begin, at, apart))
        parts.append(literals[used:])
        made = bytearray(b"".join(parts))
        spans.append((len(made), len(made), 0))
        return made, spans

    def _predict(self, made: bytearray, piece: Piece, spans: list[Span]) -> None:
        kind = piece.region.kind
        if kind is RegionKind.X86:
            self._operands.x86(made, piece, spans)
        elif kind is RegionKind.ARM64:
            self._operands.arm64(made, piece, spans)
        elif kind is not RegionKind.PLAIN:
            predict_words(made, piece, spans, self._head.moves)


class _Fixes:
    """The fix-ups of a block, in the order of their positions."""

    def __init__(self, columns: Mapping[str, ColumnReader]) -> None:
        self._counts = varints_of(columns["fix-counts"])
        self._gaps = columns["fix-gaps"]
        self._values = words_of(columns["fix-values"])

    def apply(self, made: bytearray) -> None:
        """Put right a piece that was copied and predicted.

        Raises:
            ArchiveError: It has fewer fix-ups than it says, does not say how many, or one lies
                behind its end.
        """
        size = len(made)
        count = _limited(self._next_count(), size, "number of fix-ups")
        if not count:
            return
        places = list(accumulate(self._read_gaps(count, size)))
        if places[-1] >= size:
            raise damaged("has a fix-up behind the end of its piece")
        made += _PADDING
        read, write = _WORD.unpack_from, _WORD.pack_into
        try:
            for at, value in zip(places, islice(self._values, count), strict=True):
                write(made, at, read(made, at)[0] + value & _MASK)
        except ValueError as error:
            raise damaged("has fewer values than fix-ups") from error
        del made[size:]

    def _read_gaps(self, count: int, size: int) -> Iterable[int]:
        packed = self._gaps.read(count)
        far = packed.find(FAR_GAP)
        if far < 0:
            return packed
        if sum(packed) >= size:
            # Before each of very many gaps becomes a large number.
            raise damaged("has a fix-up behind the end of its piece")
        gaps = list(packed)
        while far >= 0:
            gaps[far] += self._next_count()
            far = packed.find(FAR_GAP, far + 1)
        return gaps

    def _next_count(self) -> int:
        for count in self._counts:
            return count
        raise damaged("does not say of all pieces how many fix-ups they have")

    def finish(self) -> None:
        """Make sure that none is left.

        Raises:
            ArchiveError: There are some that belong to no piece, or values of none.
        """
        check_used_up(self._counts)
        check_used_up(self._values)


def _limited(value: int, limit: int, what: str) -> int:
    if value > limit:
        raise damaged(f"has an impossible {what}", expected=f"at most {limit}", found=str(value))
    return value


def _unfold(value: int) -> int:
    return value >> 1 ^ -(value & 1)
