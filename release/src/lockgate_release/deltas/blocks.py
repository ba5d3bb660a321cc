"""Blocks of a solid delta: which new bytes each makes, and from which old ones.

Everything in one block is best: what it learns of addresses serves all of it. Where the ceiling of
memory forbids that, new files are put into blocks in their order, whole as long as that goes: of a
program in parts, only the first tells where its code is. Each block gets the old files that hold
most of what it holds, whole as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lockgate_release.deltas.anchors import GRANULE_BYTES, find_places
from lockgate_release.deltas.file_bytes import FileBytes, OldBytes
from lockgate_release.deltas.matching import Cover
from lockgate_release.deltas.stretches import Stretches

__all__ = ["Block", "cut_blocks", "cut_covers"]

_FIXED_BYTES = 40 << 20
_BYTES_A_NEW_BYTE = 5
"""What encoding takes for each new byte: itself, columns, covers; and one for each old byte."""
_OLD_SHARE = 2
"""A block of several has at most so many times as many old bytes as new ones."""
_MIN_BLOCK_BYTES, _MAX_BLOCK_BYTES = 1 << 20, 128 << 20
"""Of several blocks. The more old bytes, the coarser the table of what moved in them."""
_PARTS = 8
"""A file that is larger than a block's old bytes is offered in so many parts of them."""


@dataclass(frozen=True, slots=True)
class Block:
    """What one block makes, and the old bytes that it may copy from."""

    old: Stretches
    new: Stretches


def cut_blocks(old: OldBytes, new: OldBytes, *, memory_bytes: int) -> list[Block]:
    """Return blocks that can be encoded in about so much memory, in the order of the new bytes."""
    most = memory_bytes - _FIXED_BYTES
    if not new.size:
        return []
    if old.size + _BYTES_A_NEW_BYTE * new.size <= most:
        return [Block(Stretches(old, [(0, old.size)]), Stretches(new, [(0, new.size)]))]
    # A tenth stays free: a block of nothing but new bytes takes more to pack.
    size = max(most * 9 // 10 // (_BYTES_A_NEW_BYTE + _OLD_SHARE), _MIN_BLOCK_BYTES)
    size = min(size, _MAX_BLOCK_BYTES)
    places = find_places(old, new)
    old_parts = list(_parts(_ends(old), _OLD_SHARE * size, _OLD_SHARE * size // _PARTS))
    blocks = []
    for start, end in _packed(_parts(_ends(new), size, size), size):
        met: Counter[int] = Counter()
        for number in range(start // GRANULE_BYTES, -(-end // GRANULE_BYTES)):
            met.update(places[number])
        height = start * old.size // new.size
        olds = sorted(_most_alike(old_parts, met, height, _OLD_SHARE * size))
        blocks.append(Block(Stretches(old, olds), Stretches(new, [(start, end)])))
    return blocks


def cut_covers(
    covers: list[Cover], size: int, *, most: int
) -> Iterator[tuple[int, int, list[Cover]]]:
    """Yield where `size` new bytes begin and end in turn, with at most so many covers each.

    The covers yielded count from where their bytes begin.
    """
    start = 0
    for at in range(0, max(len(covers), 1), most):
        part = covers[at : at + most]
        is_last = at + most >= len(covers)
        end = size if is_last else part[-1].new + part[-1].length
        yield start, end, [Cover(c.old, c.new - start, c.length) for c in part]
        start = end


def _ends(row: OldBytes) -> Sequence[int]:
    return row.ends if isinstance(row, FileBytes) else [row.size]


def _parts(ends: Iterable[int], most: int, part: int) -> Iterator[tuple[int, int]]:
    """Yield the files, and what is larger than `most` in parts of equal size."""
    for start, end in pairwise([0, *ends]):
        count = 1 if end - start <= most else -(-(end - start) // part)
        for index in range(count):
            first = start + (end - start) * index // count
            yield first, start + (end - start) * (index + 1) // count


def _packed(parts: Iterable[tuple[int, int]], most: int) -> Iterator[tuple[int, int]]:
    start = last = 0
    for _, end in parts:
        if end - start > most and last > start:
            yield start, last
            start = last
        last = end
    if last > start:
        yield start, last


def _most_alike(
    parts: Iterable[tuple[int, int]], met: Counter[int], height: int, most: int
) -> Iterator[tuple[int, int]]:
    """Yield the parts that hold most of what was met, then those near `height`, as room is left."""
    weighed = []
    for start, end in parts:
        granules = range(start // GRANULE_BYTES, -(-end // GRANULE_BYTES))
        weight = sum(met[number] for number in granules) / max(len(granules), 1)
        weighed.append((-weight, abs(start - height), start, end))
    for _, _, start, end in sorted(weighed):
        if end - start <= most:
            yield start, end
            most -= end - start
