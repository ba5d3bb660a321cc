"""Cuts the power: which states of the disk are legal then, and what comes of each.

What a sync has covered is on the disk. Of the rest, the changes that are *pending*, a power cut
keeps any part that the model of the file system allows:

* `POSIX` promises the least. Content of a file and its mode are safe after a sync of that file; a
  name (made, moved, removed) after a sync of each folder it stands in; everything after a sync of
  the whole file system. Pending changes are lost or kept one by one, in any combination.
* `ORDERED` is a journaling file system such as ext4 with its defaults. Names, sizes and modes reach
  the disk in their order, so what is lost of them is always the end, and any sync brings all
  earlier ones to the disk. Content is written whenever the kernel likes, until its file is synced.

In both a rename is one step, and content that is pending may be lost, cut in half, or be zeros of
the right length. Only the moments right before a sync, and the end, are looked at: what is legal
between two syncs is legal right before the second, with all that comes later lost.

Source: Pillai et al., All File Systems Are Not Created Equal (OSDI 2014); Mohan et al., Finding
Crash-Consistency Bugs with Bounded Black-Box Crash Testing (OSDI 2018).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import islice

from tests.crash.bench import Bench
from tests.crash.disk import Change, Content, Disk, Names, Sync, interpret
from tests.crash.tally import ALL, Sample, Tally, timed

__all__ = ["Model", "cut_power", "legal_states"]

_COMBINATIONS = 40
"""How many random combinations are tried at each moment, besides all the simple ones."""


class Model(Enum):
    """What a file system promises."""

    POSIX = "posix"
    ORDERED = "ordered"


def cut_power(bench: Bench, sample: Sample) -> Tally:
    """Let the power fail at every moment, and lose everything that may then be lost."""
    with timed("cut", bench.name) as tally:
        start = Disk.load(bench.start)
        changes = interpret(start, bench.undisturbed.calls)
        states = list(legal_states(start, changes, sample))
        tally.points = len(states)
        for where, kept in sample.of(states):
            bench.clear()
            start.after(kept).store(bench.home)
            tally.add(where, bench.judge() or bench.converge())
    return tally


def legal_states(
    start: Disk, changes: Sequence[Change], sample: Sample = ALL
) -> Iterator[tuple[str, list[Change]]]:
    """Every state of the disk that is tried, once: what it is, and the changes that lead to it."""
    seen: set[bytes] = set()
    moments = [at for at, change in enumerate(changes) if isinstance(change, Sync)]
    for moment in sample.some([*moments, len(changes)]):
        for model in Model:
            safe = _safe(changes[:moment], model)
            pending = [at for at in range(moment) if at not in safe]
            chosen = random.Random(f"{sample.seed} {moment} {model}")
            for words, kept in _losses(changes, pending, model, chosen):
                replayed = [
                    kept.get(at, changes[at]) for at in range(moment) if at in safe or at in kept
                ]
                digest = start.after(replayed).digest()
                if digest not in seen:
                    seen.add(digest)
                    yield f"{model.value}, before change {moment}: {words}", replayed


def _safe(changes: Sequence[Change], model: Model) -> set[int]:
    """The changes that a power cut right after all of these cannot undo."""
    safe: set[int] = set()
    synced: set[int] = set()
    for at in reversed(range(len(changes))):
        change = changes[at]
        if isinstance(change, Sync):
            if change.node is None:
                return safe | set(range(at))
            synced.add(change.node)
        elif _nodes(change) <= synced or (
            model is Model.ORDERED and synced and _is_ordered(change)
        ):
            safe.add(at)
    return safe


def _is_ordered(change: Change) -> bool:
    """Whether a journal keeps it in order: all but content."""
    return not (isinstance(change, Content) and change.data is not None)


def _nodes(change: Change) -> set[int]:
    """What must be synced for it to be safe."""
    match change:
        case Names(entries):
            return {folder for folder, _, _ in entries}
        case Sync():
            return set()
        case _:
            return {change.node}


_Kept = dict[int, Change]
"""The pending changes that reach the disk, by their place; some of them spoilt."""


def _losses(
    changes: Sequence[Change], pending: list[int], model: Model, chosen: random.Random
) -> Iterator[tuple[str, _Kept]]:
    """What may become of the pending changes, in words and as what is kept of them."""
    whole = {at: changes[at] for at in pending}
    ordered = [at for at in pending if _is_ordered(changes[at])]
    loose = [at for at in pending if at not in ordered]
    yield "nothing is lost", whole
    for count in range(len(pending)):
        yield f"the first {count} are kept", _only(whole, pending[:count])
    for at in loose:
        yield f"without change {at}", _only(whole, set(pending) - {at})
        for words, spoilt in _spoilt(changes[at]):
            yield f"change {at} is {words}", {**whole, at: spoilt}
    if model is Model.ORDERED:
        for count in range(len(ordered)):
            yield f"no content, {count} names", _only(whole, ordered[:count])
        yield from islice(_random_orders(whole, ordered, loose, chosen), _COMBINATIONS)
    else:
        for at in ordered:
            yield f"without change {at}", _only(whole, set(pending) - {at})
        for at in pending:
            yield f"only change {at}", _only(whole, [at])
        yield from islice(_random_subsets(whole, chosen), _COMBINATIONS)


def _only(whole: _Kept, kept: Iterable[int]) -> _Kept:
    return {at: whole[at] for at in kept}


def _spoilt(change: Change) -> list[tuple[str, Change]]:
    match change:
        case Content(node, offset, bytes() as data) if data:
            return [
                ("cut in half", Content(node, offset, data[: len(data) // 2])),
                ("zeros", Content(node, offset, bytes(len(data)))),
            ]
        case _:
            return []


def _random_subsets(whole: _Kept, chosen: random.Random) -> Iterator[tuple[str, _Kept]]:
    while whole:
        kept = [at for at in whole if chosen.random() < 0.5]
        yield f"only changes {kept}", _only(whole, kept)


def _random_orders(
    whole: _Kept, ordered: list[int], loose: list[int], chosen: random.Random
) -> Iterator[tuple[str, _Kept]]:
    while whole:
        kept = ordered[: chosen.randint(0, len(ordered))]
        kept += [at for at in loose if chosen.random() < 0.5]
        yield f"only changes {kept}", _only(whole, kept)
