"""A solid delta, `columns-1`, from old and new bytes: what `decoding` puts together again.

Reproducible: the same bytes and the same ceiling give the same delta.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO

from lockgate_release.deltas.columns import pack_column, write_varint, write_varints
from lockgate_release.deltas.decoding import (
    COLUMNS,
    MAX_COVERS,
    MAX_PIECE_BYTES,
    MAX_TABLE_BITS,
    MIN_CELL_BITS,
)
from lockgate_release.deltas.file_bytes import OldBytes
from lockgate_release.deltas.matching import Cover, find_covers, without_noise
from lockgate_release.deltas.predicting import Predictor
from lockgate_release.deltas.references import RegionKind, literal_addresses
from lockgate_release.deltas.regions import Layout, find_layout
from lockgate_release.deltas.rematching import rematch_tables

__all__ = ["encode_solid"]

_FIXED_BYTES = 50 << 20
_BYTES_A_BYTE = 7
"""What matching takes for each byte of the larger side: suffixes, both sides, the plain patch."""
_MIN_BLOCK_BYTES = 1 << 20
_READ_BYTES = 1 << 20


def encode_solid(old: OldBytes, new: OldBytes, out: BinaryIO, *, memory_bytes: int) -> None:
    """Write what makes `new` of `old`, taking about `memory_bytes` at most.

    Where that is not enough to match everything with everything, the new bytes are cut into blocks
    and each is matched with the stretch of old bytes at the same height.
    """
    block_bytes = max((memory_bytes - _FIXED_BYTES) // _BYTES_A_BYTE, _MIN_BLOCK_BYTES)
    for old_at, old_size, new_at, new_size in _blocks(old.size, new.size, block_bytes):
        old_part = _read(old, old_at, old_size)
        new_part = _read(new, new_at, new_size)
        out.write(_encode_block(old_part, new_part, old_at))


def _blocks(old: int, new: int, most: int) -> Iterator[tuple[int, int, int, int]]:
    count = -(-max(old, new) // most)
    if count <= 1:
        if new:
            yield 0, old, 0, new
        return
    # Neighbours overlap in the old bytes: what was moved a little is still found.
    count = -(-3 * max(old, new) // (2 * most))
    for index in range(count):
        new_at, new_end = new * index // count, new * (index + 1) // count
        old_at = max(0, old * (4 * index - 1) // (4 * count))
        old_end = min(old, old * (4 * index + 5) // (4 * count))
        if new_end > new_at:
            yield old_at, old_end - old_at, new_at, new_end - new_at


def _read(source: OldBytes, at: int, size: int) -> bytes:
    pieces = []
    while size:
        piece = source.read_at(at, min(size, _READ_BYTES))
        pieces.append(piece)
        at += len(piece)
        size -= len(piece)
    return b"".join(pieces)


def _encode_block(old: bytes, new: bytes, old_base: int) -> bytes:
    found = without_noise(find_covers(old, new))
    layout = find_layout(old, new, found)
    table_bits, cell_bits = _table_size(len(old)) if layout.regions else (0, MIN_CELL_BITS)
    if layout.tables:
        moves = layout.moves(found, table_bits=table_bits, cell_bits=cell_bits)
        found = rematch_tables(old, new, found, layout, moves)
    covers = list(_split(found, layout))[:MAX_COVERS]
    moves = layout.moves(covers, table_bits=table_bits, cell_bits=cell_bits)
    predictor = Predictor(layout, moves)
    predictor.work(old, new, covers)
    edges = [Cover(-old_base, 0, 0), *covers]
    columns = {
        "gaps": write_varints(c.new - a.new - a.length for a, c in pairwise(edges)),
        "lengths": write_varints(c.length for c in covers),
        "seeks": write_varints(
            _fold((c.old - a.old - a.length) - (c.new - a.new - a.length))
            for a, c in pairwise(edges)
        ),
        "literals": _literals(new, covers, layout),
        **predictor.columns(),
    }
    packed = [pack_column(columns[name], spec) for name, spec in COLUMNS]
    head = [len(new), len(covers), table_bits, cell_bits, *_layout_numbers(layout, old_base)]
    for (name, _), data in zip(COLUMNS, packed, strict=True):
        head += [len(data), len(columns[name])]
    return b"".join([*map(write_varint, head), *packed])


def _layout_numbers(layout: Layout, old_base: int) -> Iterator[int]:
    yield len(layout.segments)
    at = 0
    for segment in layout.segments:
        yield from (segment.start + old_base - at, _fold(segment.bias - old_base))
        at = segment.start + old_base
    yield len(layout.regions)
    at = 0
    for region in layout.regions:
        yield from (region.start - at, _fold(region.bias), region.kind)
        yield from (_fold(region.first), _fold(region.second))
        at = region.start


def _table_size(old_bytes: int) -> tuple[int, int]:
    """Return how many bits number the cells of a table, and the addresses in a cell."""
    table_bits = min(max(old_bytes >> MIN_CELL_BITS, 1).bit_length(), MAX_TABLE_BITS)
    cell_bits = MIN_CELL_BITS
    while old_bytes >> cell_bits >= 1 << table_bits and cell_bits < 10:
        cell_bits += 1
    return table_bits, cell_bits


def _split(covers: list[Cover], layout: Layout) -> Iterator[Cover]:
    """Cut covers where a region begins, and into pieces."""
    for cover in covers:
        at, end = cover.new, cover.new + cover.length
        while at < end:
            until = min(end, at + MAX_PIECE_BYTES, layout.region_end(at))
            yield Cover(cover.old + at - cover.new, at, until - at)
            at = until


def _literals(new: bytes, covers: list[Cover], layout: Layout) -> bytes:
    pieces = []
    for left, right in pairwise([Cover(0, 0, 0), *covers, Cover(0, len(new), 0)]):
        at = left.new + left.length
        while at < right.new:
            region = layout.region(at)
            data = new[at : min(right.new, at + MAX_PIECE_BYTES)]
            if region.kind is RegionKind.X86:
                data = literal_addresses(data, at + region.bias, sign=1)
            pieces.append(data)
            at += len(data)
    return b"".join(pieces)


def _fold(value: int) -> int:
    return value << 1 if value >= 0 else ~(value << 1)
