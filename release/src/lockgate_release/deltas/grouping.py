"""Covers of much by much, found in little memory: like with like, one group after another.

Finding what resembles what takes five times the old bytes. Where that is too much, the old bytes
are cut into groups. Each granule of new bytes goes to the group that holds most of what it holds,
and each group borrows those old granules that its new ones have met elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from lockgate_release.deltas.anchors import GRANULE_BYTES, Place, find_places
from lockgate_release.deltas.file_bytes import OldBytes
from lockgate_release.deltas.matching import Cover, find_covers
from lockgate_release.deltas.stretches import Stretches

__all__ = ["find_all_covers", "find_groups"]

_BYTES_A_NEW_BYTE = 1
_BYTES_AN_OLD_BYTE = 5
_LENT = 4
"""A group borrows at most the fourth part of its own old bytes."""
_ENOUGH_BYTES = 800_000_000
"""More memory is not used: in larger groups hardly more is found, and it takes longer."""
_EDGE_GRANULES = 2
"""What two neighbours both have: a granule is not all on one side."""


def find_all_covers(old: OldBytes, new: OldBytes, *, memory_bytes: int) -> list[Cover]:
    """Return the covers in the order of the new bytes; they do not overlap there.

    Args:
        old: The old bytes.
        new: The new ones.
        memory_bytes: What finding them may take, beside what this process has taken already.
    """
    found: list[Cover] = []
    for old_part, new_part in find_groups(old, new, memory_bytes=memory_bytes):
        covers = find_covers(old_part.read(), new_part.read())
        found += _in_place(covers, old_part, new_part)
    return list(_joined(sorted(found, key=lambda cover: cover.new)))


def find_groups(
    old: OldBytes, new: OldBytes, *, memory_bytes: int
) -> Iterator[tuple[Stretches, Stretches]]:
    """Yield parts of both sides that can be matched in so much memory.

    Each new byte is in one, unless there are no old ones to be like.
    """
    if not old.size:
        return
    count = _count(old.size, new.size, min(memory_bytes, _ENOUGH_BYTES))
    if count == 1:
        yield Stretches(old, [(0, old.size)]), Stretches(new, [(0, new.size)])
        return
    for olds, news in _groups(old, new, count):
        yield Stretches(old, _spans(olds, old)), Stretches(new, _spans(news, new))


def _count(old: int, new: int, memory_bytes: int) -> int:
    if _BYTES_AN_OLD_BYTE * old + _BYTES_A_NEW_BYTE * new <= memory_bytes:
        return 1
    lent = _BYTES_AN_OLD_BYTE * (old + old // _LENT)
    most = max(old, new) // GRANULE_BYTES or 1
    # A group may have up to twice the new bytes of the others.
    return min(-(-(lent + 2 * _BYTES_A_NEW_BYTE * new) // max(memory_bytes, 1)), most)


def _groups(old: OldBytes, new: OldBytes, count: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the granules of each group, old and new; there is nothing to match without both."""
    places = find_places(old, new)
    granules = -(-old.size // GRANULE_BYTES)
    homes = _homes(places, granules)
    most = -(-len(places) // count) * 2
    for index in range(count):
        first, end = granules * index // count, granules * (index + 1) // count
        news = [number for number, home in enumerate(homes) if first <= home < end]
        # Many new bytes may be like few old ones: they come in several groups.
        for at in range(0, len(news), most):
            part = news[at : at + most]
            borrowed = _borrowed(part, places, first, end)
            edges = range(max(first - _EDGE_GRANULES, 0), min(end + _EDGE_GRANULES, granules))
            yield sorted({*edges, *borrowed}), part


def _homes(places: Iterable[Place], granules: int) -> list[int]:
    """Return for each new granule the old one it is most like; else where the last one leads."""
    homes, last = [], -1
    for place in places:
        met = place.met
        last = min(last + 1, granules - 1)
        if met:
            last = max(met, key=lambda old: (met[old], -old))
        homes.append(last)
    return homes


def _borrowed(news: list[int], places: list[Place], first: int, end: int) -> list[int]:
    met: Counter[int] = Counter()
    for number in news:
        met.update(places[number].met)
    elsewhere = [old for old in met if not first <= old < end]
    elsewhere.sort(key=lambda old: (-met[old], old))
    return elsewhere[: (end - first) // _LENT]


def _spans(granules: list[int], row: OldBytes) -> Iterator[tuple[int, int]]:
    for number in granules:
        yield number * GRANULE_BYTES, min((number + 1) * GRANULE_BYTES, row.size)


def _in_place(covers: Iterable[Cover], old: Stretches, new: Stretches) -> Iterator[Cover]:
    for cover in covers:
        at = 0
        while at < cover.length:
            old_at, new_at = cover.old + at, cover.new + at
            length = min(cover.length - at, old.left(old_at), new.left(new_at))
            yield Cover(old.place(old_at), new.place(new_at), length)
            at += length


def _joined(covers: Iterable[Cover]) -> Iterator[Cover]:
    last: Cover | None = None
    for cover in covers:
        if last is None:
            last = cover
        elif (last.old + last.length, last.new + last.length) == (cover.old, cover.new):
            last = Cover(last.old, last.new, last.length + cover.length)
        else:
            yield last
            last = cover
    if last is not None:
        yield last
