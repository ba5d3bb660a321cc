"""Covers of tables of addresses, found where the addresses are not in the way.

Where every entry of a table changed, nothing in its bytes tells which old entry became which. So
both sides are first brought to the same addresses, as decoding will: then they are nearly equal.
"""

from __future__ import annotations

import struct

from lockgate_release.deltas.matching import MIN_CODE_COVER_BYTES, Cover, find_covers, without_noise
from lockgate_release.deltas.references import CELL_UNKNOWN, Moves, Piece, Region, RegionKind
from lockgate_release.deltas.regions import Layout, Table
from lockgate_release.deltas.tables import predict_words

__all__ = ["rematch_tables"]

_WORD = 0xFFFFFFFF


def rematch_tables(
    old: bytes, new: bytes, covers: list[Cover], layout: Layout, moves: Moves
) -> list[Cover]:
    """Return the covers, with better ones where a region is a table of addresses."""
    kept: list[Cover] = []
    todo = covers[::-1]
    for table in layout.tables:
        start, end = table.new.start, table.new.end
        while todo and todo[-1].new < start:
            cover = todo.pop()
            kept.append(_clipped(cover, 0, start))
            if cover.new + cover.length > start:
                todo.append(_clipped(cover, start, len(new)))
        while todo and todo[-1].new < end:
            cover = todo.pop()
            if cover.new + cover.length > end:
                todo.append(_clipped(cover, end, len(new)))
        kept += _match(old, new, table, moves)
    return kept + todo[::-1]


def _match(old: bytes, new: bytes, table: Table, moves: Moves) -> list[Cover]:
    before = bytearray(old[table.old.start : table.old.end])
    after = bytearray(new[table.new.start : table.new.end])
    region = table.region
    old_address = table.old.start + table.old.bias
    if region.kind is RegionKind.RELATIVE_32:
        still = Moves(table_bits=0, cell_bits=0)
        still.cells[0] = 0
        _show_targets(before, old_address, table.old.targets, moves)
        _show_targets(after, table.new.start + table.new.bias, table.new.targets, still)
    else:
        here = Region(0, 0, region.kind, region.first, region.second)
        size = len(before)
        spans = [(0, size, 0), (size, size, 0)]
        predict_words(before, Piece(0, size, here), spans, moves)
    return [
        Cover(cover.old + table.old.start, cover.new + table.new.start, cover.length)
        for cover in without_noise(find_covers(bytes(before), bytes(after)), MIN_CODE_COVER_BYTES)
    ]


def _show_targets(part: bytearray, address: int, targets: tuple[int, int], moves: Moves) -> None:
    """Write, in place of each distance, the address that it leads to in the new program."""
    size = len(part) // 4 * 4
    words = struct.unpack(f"<{size // 4}I", part[:size])
    first, reach = targets[0], targets[1] - targets[0]
    cells, mask, shift = moves.cells, moves.mask, moves.shift
    shown = [
        word + at + move & _WORD
        if word + at - first & _WORD < reach
        and (move := cells[word + at >> shift & mask]) != CELL_UNKNOWN
        else word
        for at, word in zip(range(address, address + size, 4), words, strict=True)
    ]
    part[:size] = struct.pack(f"<{size // 4}I", *shown)


def _clipped(cover: Cover, start: int, end: int) -> Cover:
    first = max(cover.new, start)
    last = min(cover.new + cover.length, end)
    return Cover(cover.old + first - cover.new, first, last - first)
