"""New bytes from old ones and a solid delta, `columns-1`, with the standard library alone.

`docs/reference/delta-format.md` is the specification. The rules, as numbered there:

    1. A delta is a row of blocks; the sizes of what they make add up to what the caller expects.
    2. A block is its head, the directory of its columns, and the columns.
    3. Covers say what is copied from where; what no cover makes is taken from the literals.
    4. Addresses in what was copied are predicted from where their targets went.
    5. A fix-up adds to one 32-bit word of what was copied and predicted.
    6. Every length is a limit: it is checked before memory is taken. Nothing may be left over.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from lockgate_release.deltas.arm64 import Place
from lockgate_release.deltas.columns import (
    ColumnReader,
    ColumnSpec,
    damaged,
    read_varint,
    varints_of,
    words_of,
)
from lockgate_release.deltas.file_bytes import OldBytes
from lockgate_release.deltas.operands import Operands
from lockgate_release.deltas.references import (
    NO_REGION,
    Moves,
    Region,
    RegionKind,
    Segment,
    literal_addresses,
    predict_words,
)

__all__ = [
    "COLUMNS",
    "MAX_COVERS",
    "MAX_PIECE_BYTES",
    "MAX_STRETCHES",
    "MAX_TABLE_BITS",
    "MIN_CELL_BITS",
    "decode_memory_bytes",
    "decode_solid",
]

MAX_COVERS = 1 << 19
"""Of one block: what their positions may take is bounded with them."""
MAX_PIECE_BYTES = 1 << 20
"""What is made in one piece; a longer cover is written as several."""
MAX_STRETCHES = 1 << 14
"""How many segments or regions a block may have."""
MAX_TABLE_BITS = 22
MIN_CELL_BITS = 4
_MAX_CELL_BITS = 10
_WORD_BYTES = 4
_WORD = struct.Struct("<I")
_CHUNK_BYTES = 1 << 12
_MASK = 0xFFFFFFFF
_FAR = 1 << 62
_BATCH_BYTES = 1 << 18
"""Small pieces are put together: whoever takes them has work with each."""
_HALF = 1 << 31
_MEMORY_BYTES = 80 << 20

_FLAGS = ColumnSpec(lc=0)
_VALUES = ColumnSpec(lc=0, lp=2, pb=2, most_bytes=4 << 20)
COLUMNS = (
    ("gaps", ColumnSpec()),
    ("lengths", ColumnSpec()),
    ("seeks", ColumnSpec()),
    ("literals", ColumnSpec(pb=1, most_bytes=8 << 20)),
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


def decode_solid(old: OldBytes, patch: BinaryIO, *, size_bytes: int) -> Iterator[bytes]:
    """Yield the new bytes, `size_bytes` in all, in pieces of little more than `MAX_PIECE_BYTES`.

    `patch` is read from where it stands, by position: it must be able to seek.

    Raises:
        ArchiveError: The delta is damaged, or does not belong to these old bytes.
    """
    while size_bytes:
        head = _read_head(patch, limit_bytes=size_bytes)
        size_bytes -= head.size_bytes
        yield from _Block(old, head).pieces()
        patch.seek(head.end)


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
    table_bits = _limited(read_varint(patch), MAX_TABLE_BITS, "size of the table")
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
        self._old = old
        self._head = head
        self._segments = head.segments
        self._segment_starts = [segment.start for segment in head.segments]
        self._regions = head.regions
        self._region_starts = [region.start for region in head.regions]
        self._last = (0, 0, NO_REGION)
        self._literals = head.columns["literals"]
        self._fixes = _Fixes(head.columns["fix-gaps"], head.columns["fix-values"])
        self._operands = Operands(head.columns, head.moves)

    def pieces(self) -> Iterator[bytes]:
        """Yield what the block makes."""
        olds, news, lengths = self._cover_table()
        self._head.moves.seed(self._seeds(olds, news, lengths))
        ready: list[bytes | bytearray] = []
        at = ready_bytes = 0
        for old_at, new_at, length in zip(olds, news, lengths, strict=True):
            if ready and ready_bytes + new_at - at + length > _BATCH_BYTES:
                yield b"".join(ready)
                ready, ready_bytes = [], 0
            if new_at - at > _BATCH_BYTES:
                yield from self._pass_on(at, new_at)
            elif new_at > at:
                ready += self._pass_on(at, new_at)
                ready_bytes += new_at - at
            ready.append(self._copy(old_at, new_at, length))
            ready_bytes += length
            at = new_at + length
        if ready:
            yield b"".join(ready)
        yield from self._pass_on(at, self._head.size_bytes)
        if self._fixes.ahead_bytes:
            raise damaged("has fix-ups behind the last cover")
        for column in self._head.columns.values():
            column.finish()

    def _cover_table(self) -> tuple[array[int], array[int], array[int]]:
        olds, news, lengths = array("q"), array("q"), array("q")
        columns = (varints_of(self._head.columns[name]) for name in ("gaps", "lengths", "seeks"))
        old_at = new_at = 0
        size_bytes, old_size = self._head.size_bytes, self._old.size
        for gap, length, seek in zip(*columns, strict=False):
            new_at += gap
            old_at += gap + (seek >> 1 ^ -(seek & 1))
            olds.append(old_at)
            news.append(new_at)
            lengths.append(length)
            if length > MAX_PIECE_BYTES or new_at + length > size_bytes:
                raise damaged("a cover is too long")
            if old_at < 0 or old_at + length > old_size:
                raise damaged("a cover lies outside of the old bytes")
            if len(olds) > self._head.covers:
                break
            new_at += length
            old_at += length
        if len(olds) != self._head.covers:
            raise damaged("has another number of covers than its head says")
        return olds, news, lengths

    def _seeds(
        self, olds: array[int], news: array[int], lengths: array[int]
    ) -> Iterator[tuple[int, int, int]]:
        if not self._regions:
            return
        for old_at, new_at, length in zip(olds, news, lengths, strict=True):
            address = old_at + self._old_bias(old_at)
            yield address, new_at + self._region(new_at).bias - address, length

    def _old_bias(self, at: int) -> int:
        index = bisect_right(self._segment_starts, at)
        return self._segments[index - 1].bias if index else 0

    def _region(self, at: int) -> Region:
        # New positions come in order: nearly always it is the region of the last one.
        start, end, region = self._last
        if not start <= at < end:
            index = bisect_right(self._region_starts, at)
            region = self._regions[index - 1] if index else NO_REGION
            end = self._region_starts[index] if index < len(self._regions) else _FAR
            self._last = (region.start, end, region)
        return region

    def _pass_on(self, at: int, end: int) -> Iterator[bytes]:
        while at < end:
            region = self._region(at)
            data = self._literals.read(min(end - at, MAX_PIECE_BYTES))
            if region.kind is RegionKind.X86:
                data = literal_addresses(data, at + region.bias, sign=-1)
            at += len(data)
            yield data

    def _copy(self, old_at: int, new_at: int, length: int) -> bytes | bytearray:
        copied = self._old.read_at(old_at, length)
        if len(copied) != length:
            raise damaged("the old bytes are shorter than they were")
        region = self._region(new_at)
        if region.kind is RegionKind.PLAIN:
            return self._fixes.apply(copied)
        address = old_at + self._old_bias(old_at)
        made = bytearray(copied)
        apart = (new_at + region.bias - address + _HALF & _MASK) - _HALF
        if region.kind is RegionKind.X86:
            self._operands.x86(made, copied, address, apart)
        elif region.kind is RegionKind.ARM64:
            start = (region.start - new_at) % _WORD_BYTES
            self._operands.arm64(made, Place(address, apart, start, region.first, region.second))
        else:
            predict_words(made, region, self._head.moves, address, new_at)
        return self._fixes.apply(made)


class _Fixes:
    """The fix-ups of a block, in the order of their positions.

    Attributes:
        ahead_bytes: How many copied bytes come before the next one, or the end.
    """

    def __init__(self, gaps: ColumnReader, values: ColumnReader) -> None:
        self._gaps = varints_of(gaps)
        self._values = words_of(values)
        self.ahead_bytes = next(self._gaps, 0)

    def apply(self, made: bytes | bytearray) -> bytes | bytearray:
        """Return what was copied and predicted, put right.

        Raises:
            ArchiveError: A fix-up has no value, or there is no end of them.
        """
        size = len(made)
        at = self.ahead_bytes
        if at >= size:
            self.ahead_bytes = at - size
            return made
        if not isinstance(made, bytearray):
            made = bytearray(made)
        read, write = _WORD.unpack_from, _WORD.pack_into
        gaps, values = self._gaps, self._values
        last = size - _WORD_BYTES
        try:
            while at <= last:
                write(made, at, read(made, at)[0] + next(values) & _MASK)
                at += _WORD_BYTES + next(gaps)
            if at < size:
                word = int.from_bytes(made[at:], "little") + next(values) & _MASK
                made[at:] = word.to_bytes(_WORD_BYTES, "little")[: size - at]
                at = size + next(gaps)
        except StopIteration as error:
            raise damaged("has fewer fix-ups than it needs") from error
        self.ahead_bytes = at - size
        return made


def _limited(value: int, limit: int, what: str) -> int:
    if value > limit:
        raise damaged(f"has an impossible {what}", expected=f"at most {limit}", found=str(value))
    return value


def _unfold(value: int) -> int:
    return value >> 1 ^ -(value & 1)
