"""Old files that stay, and of which much is found again in files that come beside them.

The codec reads the old files that are of no other use. A library that comes beside its last
version, or a page that began as a copy of another, is told by one that stays.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from lockgate_release.deltas.anchors import GRANULE_BYTES, find_places, stride_of
from lockgate_release.deltas.file_bytes import FileBytes
from lockgate_release.deltas.listing import OldEntry
from lockgate_release.deltas.tree_plan import TreePlan
from lockgate_release.digests import EntryKind

__all__ = ["find_models"]

_LEAST_BYTES = 1 << 14
"""Smaller files cost little as they are."""
_LEAST_SHARE = 8
"""A file that stays is read if about this part of it is met, or more."""


def find_models(old: Path, new: Path, plan: TreePlan, listing: Sequence[OldEntry]) -> list[int]:
    """Return the numbers of old files that stay and are worth reading, in order.

    Raises:
        OSError: A file cannot be read.
    """
    there = {entry.path for entry in listing if entry.kind is EntryKind.FILE}
    read = set(plan.references)
    # What was only renamed has its old file among those that are read.
    came = [
        (entry.path, entry.size_bytes)
        for entry in plan.entries
        if entry.is_new
        and entry.size_bytes >= _LEAST_BYTES
        and entry.path not in there
        and entry.model not in read
    ]
    numbers = [
        number
        for number, entry in enumerate(listing)
        if number not in read and entry.size_bytes >= _LEAST_BYTES
    ]
    if not came or not numbers:
        return []
    files = [(listing[number].path, listing[number].size_bytes) for number in numbers]
    with closing(FileBytes(old, files)) as before, closing(FileBytes(new, came)) as after:
        met: Counter[int] = Counter()
        for place in find_places(before, after):
            met.update(place.met)
        weights = _weights(before.ends, met)
        stride = stride_of(before.size)
    return [
        number
        for number, (_, size), weight in zip(numbers, files, weights, strict=True)
        if weight * stride * _LEAST_SHARE >= size
    ]


def _weights(ends: Sequence[int], met: Counter[int]) -> list[int]:
    """Return how much was met in each file; what two share in a granule counts for both."""
    weights = [0] * len(ends)
    for granule, count in met.items():
        at = granule * GRANULE_BYTES
        index = bisect_left(ends, at + 1)
        while index < len(ends) and (index == 0 or ends[index - 1] < at + GRANULE_BYTES):
            weights[index] += count
            index += 1
    return weights
