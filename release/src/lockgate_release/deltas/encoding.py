"""A solid delta, `columns-1`, from old and new bytes: what `decoding` puts together again.

Reproducible: the same bytes and the same ceiling give the same delta.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import BinaryIO

from lockgate_release.deltas.blocks import Block, cut_blocks, cut_covers
from lockgate_release.deltas.columns import pack_column, write_varint, write_varints
from lockgate_release.deltas.decoding import (
    COLUMNS,
    MAX_COVERS,
    MAX_PIECE_COVERS,
    MAX_STRETCHES,
    MIN_CELL_BITS,
)
from lockgate_release.deltas.file_bytes import OldBytes
from lockgate_release.deltas.grouping import find_all_covers
from lockgate_release.deltas.matching import MIN_CODE_COVER_BYTES, Cover, without_noise
from lockgate_release.deltas.predicting import Predictor
from lockgate_release.deltas.references import Piece, Segment, pieces_of
from lockgate_release.deltas.regions import Layout, find_layout
from lockgate_release.deltas.rematching import rematch_tables
from lockgate_release.deltas.stretches import Stretches

__all__ = ["encode_block", "encode_solid"]

_PROGRAM_BYTES = 32 << 20
"""What the interpreter takes; covers take about a byte for each new one."""
_ENOUGH_BYTES, _ENOUGH_PERCENT = 48_000_000, 570
"""What is taken at most, and for each byte of the larger side, whatever the ceiling."""
_LEAST_ROOM_BYTES = 8 << 20
_TABLE_BITS = 21
"""Twice as fine costs a reader 8 MiB more, and saves next to nothing."""
_MOST_FOUND = MAX_COVERS // 4 * 3
"""Covers of a block before they are cut where regions begin, and tables are matched anew."""


def encode_solid(
    old: OldBytes, new: OldBytes, out: BinaryIO, *, memory_bytes: int, tree_bytes: int = 0
) -> None:
    """Write what makes `new` of `old`, taking about `memory_bytes` at most.

    What is taken stays in proportion to the larger side, or to the `tree_bytes` that it is a part
    of, even where more is allowed.

    Where that is not enough to match everything with everything, like is matched with like; where
    it is not enough to hold everything, the new bytes are cut into blocks.
    """
    enough = _ENOUGH_BYTES + _ENOUGH_PERCENT * max(old.size, new.size, tree_bytes) // 100
    room = min(memory_bytes, enough) - _PROGRAM_BYTES
    for block in cut_blocks(old, new, memory_bytes=memory_bytes):
        encode_block(block, out, room - block.new.size)


def encode_block(block: Block, out: BinaryIO, room: int, *, most_found: int = _MOST_FOUND) -> None:
    """Write one block, finding covers in about `room` bytes, and let go of all that it took.

    It is cut where more than `most_found` covers are found.
    """
    room = max(room, _LEAST_ROOM_BYTES)
    found = without_noise(find_all_covers(block.old, block.new, memory_bytes=room))
    if len(found) > most_found:
        # To cut a program costs more: only its first part tells where its code is.
        found = without_noise(found, MIN_CODE_COVER_BYTES)
    old = block.old.read()
    for start, end, covers in cut_covers(found, block.new.size, most=most_found):
        new = block.new.read_at(start, end - start)
        out.write(_encoded(old, new, covers, block.old))


def _encoded(old: bytes, new: bytes, found: list[Cover], row: Stretches) -> bytes:
    layout = find_layout(old, new, found)
    segments = _segments_in_place(layout, row)
    if len(segments) > MAX_STRETCHES:
        # Not all can be said, and without one of them the reader sees other addresses than we.
        layout, segments = Layout([], []), []
    if layout.regions:
        found = without_noise(found, MIN_CODE_COVER_BYTES)
    table_bits, cell_bits = _table_size(len(old)) if layout.regions else (0, MIN_CELL_BITS)
    if layout.tables:
        moves = layout.moves(found, table_bits=table_bits, cell_bits=cell_bits)
        found = rematch_tables(old, new, found, layout, moves)
    pieces = list(pieces_of(len(new), layout.regions))
    covers = list(_split(_unbroken(found, row), pieces))[:MAX_COVERS]
    moves = layout.moves(covers, table_bits=table_bits, cell_bits=cell_bits)
    predictor = Predictor(layout, moves)
    predictor.work(old, new, covers, pieces)
    edges = [Cover(0, 0, 0), *(Cover(row.place(c.old), c.new, c.length) for c in covers)]
    columns = {
        "gaps": write_varints(c.new - a.new - a.length for a, c in pairwise(edges)),
        "lengths": write_varints(c.length for c in covers),
        "seeks": write_varints(
            _fold((c.old - a.old - a.length) - (c.new - a.new - a.length))
            for a, c in pairwise(edges)
        ),
        **predictor.columns(),
    }
    packed = [pack_column(columns[name], spec) for name, spec in COLUMNS]
    head = [len(new), len(covers), table_bits, cell_bits, *_layout_numbers(layout, segments)]
    for (name, _), data in zip(COLUMNS, packed, strict=True):
        head += [len(data), len(columns[name])]
    return b"".join([*map(write_varint, head), *packed])


def _layout_numbers(layout: Layout, segments: list[Segment]) -> Iterator[int]:
    yield len(segments)
    at = 0
    for segment in segments:
        yield from (segment.start - at, _fold(segment.bias))
        at = segment.start
    yield len(layout.regions)
    at = 0
    for region in layout.regions:
        yield from (region.start - at, _fold(region.bias), region.kind)
        yield from (_fold(region.first), _fold(region.second))
        at = region.start


def _segments_in_place(layout: Layout, row: Stretches) -> list[Segment]:
    """Return the segments as they are seen by who counts in the whole row of old bytes."""
    if not layout.segments:
        return []
    starts = sorted({segment.start for segment in layout.segments}.union(row.starts))
    places = ((row.place(at), layout.old_bias(at) + at - row.place(at)) for at in starts)
    return [Segment(place, bias) for place, bias in places]


def _table_size(old_bytes: int) -> tuple[int, int]:
    """Return how many bits number the cells of a table, and the addresses in a cell."""
    table_bits = min(max(old_bytes >> MIN_CELL_BITS, 1).bit_length(), _TABLE_BITS)
    cell_bits = MIN_CELL_BITS
    while old_bytes >> cell_bits >= 1 << table_bits and cell_bits < 10:
        cell_bits += 1
    return table_bits, cell_bits


def _unbroken(covers: Iterable[Cover], row: Stretches) -> Iterator[Cover]:
    """Cut covers where another stretch of the old bytes begins."""
    for cover in covers:
        at = 0
        while at < cover.length:
            length = min(cover.length - at, row.left(cover.old + at))
            yield Cover(cover.old + at, cover.new + at, length)
            at += length


def _split(covers: Iterable[Cover], pieces: Iterable[Piece]) -> Iterator[Cover]:
    """Cut covers where a piece ends, and leave out what a piece has too many of."""
    order = iter(pieces)
    limit = count = 0
    for cover in covers:
        at, end = cover.new, cover.new + cover.length
        while at < end:
            while at >= limit:
                limit, count = next(order).end, 0
            until = min(end, limit)
            count += 1
            if count <= MAX_PIECE_COVERS:
                yield Cover(cover.old + at - cover.new, at, until - at)
            at = until


def _fold(value: int) -> int:
    return value << 1 if value >= 0 else ~(value << 1)
