"""A solid delta, `columns-1`, from old and new bytes: what `decoding` puts together again.

Reproducible: the same bytes and the same ceiling give the same delta.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO

from lockgate_release.deltas.columns import pack_column, write_varint, write_varints
from lockgate_release.deltas.decoding import COLUMNS, MAX_COVER_BYTES
from lockgate_release.deltas.file_bytes import OldBytes
from lockgate_release.deltas.matching import Cover, find_covers

__all__ = ["encode_solid"]

_FIXED_BYTES = 50 << 20
_BYTES_A_BYTE = 7
"""What matching takes for each byte of the larger side: suffixes, both sides, the plain patch."""
_MIN_BLOCK_BYTES = 1 << 20
_DIFFERENT = re.compile(rb"[^\0][\s\S]{0,3}")
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
    covers = list(_split(find_covers(old, new)))
    fix_gaps, fix_values = _fixes(old, new, covers)
    ends = [(0, -old_base), *((c.new + c.length, c.old + c.length) for c in covers)]
    columns = [
        write_varints(c.new - new_end for c, (new_end, _) in zip(covers, ends, strict=False)),
        write_varints(c.length for c in covers),
        write_varints(_zigzag(c.old - end) for c, (_, end) in zip(covers, ends, strict=False)),
        _literals(new, covers),
        write_varints(fix_gaps),
        fix_values.tobytes(),
    ]
    packed = [pack_column(c, spec) for c, (_, spec) in zip(columns, COLUMNS, strict=True)]
    head = [len(new), len(covers)]
    for raw, data in zip(columns, packed, strict=True):
        head += [len(data), len(raw)]
    return b"".join([*map(write_varint, head), *packed])


def _split(covers: list[Cover]) -> Iterator[Cover]:
    for cover in covers:
        for at in range(0, cover.length, MAX_COVER_BYTES):
            length = min(cover.length - at, MAX_COVER_BYTES)
            yield Cover(cover.old + at, cover.new + at, length)


def _literals(new: bytes, covers: list[Cover]) -> bytes:
    edges = [Cover(0, 0, 0), *covers, Cover(0, len(new), 0)]
    return b"".join([new[a.new + a.length : b.new] for a, b in pairwise(edges)])


def _fixes(old: bytes, new: bytes, covers: list[Cover]) -> tuple[list[int], array[int]]:
    """Return the gap in front of each fix-up, in copied bytes, and what it adds."""
    gaps: list[int] = []
    values = array("I")
    done = 0
    copied = 0
    for cover in covers:
        before = old[cover.old : cover.old + cover.length] + b"\0\0\0\0"
        after = new[cover.new : cover.new + cover.length] + b"\0\0\0\0"
        if before != after:
            for at in _different(before, after):
                gaps.append(copied + at - done)
                done = copied + min(at + 4, cover.length)
                word = int.from_bytes(after[at : at + 4], "little")
                values.append(word - int.from_bytes(before[at : at + 4], "little") & 0xFFFFFFFF)
        copied += cover.length
    return gaps, values


def _different(before: bytes, after: bytes) -> Iterator[int]:
    bits = int.from_bytes(before, "little") ^ int.from_bytes(after, "little")
    for found in _DIFFERENT.finditer(bits.to_bytes(len(before), "little")):
        yield found.start()


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else ~(value << 1)
