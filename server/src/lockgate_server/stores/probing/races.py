"""Several writers at the same moment, and who won."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto

from lockgate_release.errors import TransportError
from lockgate_server.ports import Condition, LostRaceError, ObjectStore
from lockgate_server.stores.probing.findings import LackingError

__all__ = ["Outcome", "judge_race", "run_race"]


class Outcome(Enum):
    """What a writer was told."""

    WON = auto()
    LOST = auto()
    UNSURE = auto()


def run_race(store: ObjectStore, key: str, condition: Condition, racers: int) -> int:
    """Let `racers` writers loose on a key, and return how many of them won: 1, or 0 in a storm.

    Raises:
        LackingError: More than one won, or the winner's bytes are not what is read.
        TransportError: The store does not answer a reader.
        LocalError: The store refuses a reader or a writer.
    """
    start = threading.Barrier(racers)
    bodies = [b"racer %d of %d" % (number, racers) for number in range(racers)]

    def write(body: bytes) -> Outcome:
        start.wait()
        return _outcome(lambda: store.put(key, body, condition))

    with ThreadPoolExecutor(racers) as pool:
        outcomes = list(pool.map(write, bodies))
    found = store.open(key)
    if found is None:
        return judge_race(outcomes, bodies, None)
    with found:
        return judge_race(outcomes, bodies, found.read())


def _outcome(write: Callable[[], object]) -> Outcome:
    try:
        write()
    except LostRaceError:
        return Outcome.LOST
    except TransportError:
        return Outcome.UNSURE
    return Outcome.WON


def judge_race(outcomes: Sequence[Outcome], bodies: Sequence[bytes], content: bytes | None) -> int:
    """Return how many won.

    Args:
        outcomes: What each writer was told.
        bodies: What each wrote.
        content: What is read afterwards.

    Raises:
        LackingError: More than one won, or the winner's bytes are not what is read.
        TransportError: Nobody was told anything.
    """
    if all(told is Outcome.UNSURE for told in outcomes):
        raise TransportError("none of the writers got an answer")
    winners = [body for told, body in zip(outcomes, bodies, strict=True) if told is Outcome.WON]
    if len(winners) > 1:
        raise LackingError(f"{len(winners)} of {len(bodies)} writers were told that they had won")
    if winners and content != winners[0]:
        raise LackingError("what is read is not what the only winner wrote")
    losers = [body for told, body in zip(outcomes, bodies, strict=True) if told is Outcome.LOST]
    if content in losers:
        raise LackingError("what is read was written by one who was told that it had lost")
    return len(winners)
