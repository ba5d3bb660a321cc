"""Blocks of a solid delta: which new bytes each makes, and from which old ones.

Everything in one block is best: what it learns of addresses serves all of it. Where the ceiling of
memory forbids that, new files are put into blocks in their order, whole as long as that goes: of a
program in parts, only the first tells where its code is. Each block gets the old files that hold
what it holds, whole as well, and no others: to search among unlike bytes takes long, and finds
nothing. Large files that are like nothing are blocks without any old bytes, so that they take no
longer than packing them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lockgate_release.deltas.anchors import GRANULE_BYTES, Place, find_places, stride_of
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
"""Of several blocks that hold several files each. The more old bytes, the coarser the table of what
moved in them; a program in two parts costs more."""
_PARTS = 8
"""A file that is larger than a block's old bytes is offered in so many parts of them."""
_LEAST_PART_BYTES = 1 << 18
"""Smaller old files are offered together with their neighbours: few anchors tell of each."""
_LEAST_SHARE = 32
"""Old bytes are like a block if about this part of their anchors is met, or more; small ones if any
is, for they cost little."""
_ALONE_BYTES = 1 << 20
_MET_SHARE = 32
"""A file as large that is like nothing, but for this part of it, is in no block with others."""


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
    largest = max(most * 9 // 10 // (_BYTES_A_NEW_BYTE + _OLD_SHARE), _MIN_BLOCK_BYTES)
    size = min(largest, _MAX_BLOCK_BYTES)
    places = find_places(old, new, memory_bytes=memory_bytes)
    stride = stride_of(old.size, memory_bytes=memory_bytes)
    parts = _parts(_ends(old), _OLD_SHARE * size, _OLD_SHARE * size // _PARTS)
    old_parts = list(_packed(parts, _LEAST_PART_BYTES, frozenset()))
    new_parts = list(_parts(_ends(new), largest, size))
    strange = frozenset(part[0] for part in new_parts if _is_strange(part, places))
    blocks = []
    for start, end in _packed(new_parts, size, strange):
        seen = places[start // GRANULE_BYTES : -(-end // GRANULE_BYTES)]
        room = _OLD_SHARE * max(size, end - start)
        height = start * old.size // new.size
        olds = _most_alike(old_parts, seen, height=height, most=room, stride=stride)
        like = [] if start in strange else sorted(olds)
        blocks.append(Block(Stretches(old, like), Stretches(new, [(start, end)])))
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


def _is_strange(part: tuple[int, int], places: Sequence[Place]) -> bool:
    """Return whether next to nothing of a large part was met."""
    start, end = part
    inner = places[-(-start // GRANULE_BYTES) : end // GRANULE_BYTES]
    met = sum(not place.is_strange for place in inner)
    return end - start >= _ALONE_BYTES and met * _MET_SHARE <= len(inner)


def _packed(
    parts: Iterable[tuple[int, int]], most: int, strange: Container[int]
) -> Iterator[tuple[int, int]]:
    """Yield neighbours together as long as they have at most so many bytes.

    Those that begin at `strange` places stay among themselves.
    """
    start = last = 0
    for at, end in parts:
        if last > start and (end - start > most or (at in strange) != (start in strange)):
            yield start, last
            start = last
        last = end
    if last > start:
        yield start, last


def _most_alike(
    parts: Iterable[tuple[int, int]],
    seen: Sequence[Place],
    *,
    height: int,
    most: int,
    stride: int,
) -> Iterator[tuple[int, int]]:
    """Yield the old parts that hold what was seen in new bytes, the likest first, as room is left.

    Of new bytes without anchors nothing is known: twice as many old ones in which nothing was met
    are taken for them, those nearest to `height`.
    """
    met: Counter[int] = Counter()
    for place in seen:
        met.update(place.met)
    like, others = [], []
    for start, end in parts:
        # What it shares with a neighbour tells of it only if it has nothing of its own.
        inner = range(-(-start // GRANULE_BYTES), end // GRANULE_BYTES)
        granules = inner or range(start // GRANULE_BYTES, -(-end // GRANULE_BYTES))
        weight = sum(met[number] for number in granules)
        is_small = end - start <= _LEAST_PART_BYTES
        if weight * stride * _LEAST_SHARE >= end - start or (is_small and weight):
            like.append((-weight / len(granules), start, end))
        else:
            others.append((abs(start - height), start, end))
    for _, start, end in sorted(like):
        if end - start <= most:
            yield start, end
            most -= end - start
    most = min(most, _OLD_SHARE * GRANULE_BYTES * sum(place.is_mute for place in seen))
    for _, start, end in sorted(others):
        if end - start <= most:
            yield start, end
            most -= end - start
