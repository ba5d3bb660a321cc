"""How many publishers may be served at once, so that a thread is always left for a revocation.

A body comes as slowly as its sender likes, and a thread waits for it. Otherwise whoever holds a
token of scope publish could occupy every thread of the API, and keep maintainers from revoking.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from lockgate_release.errors import TransportError

__all__ = ["Slots", "slots_of"]

_LEFT_FREE = 4


class Slots:
    """So many requests at once, and no more."""

    def __init__(self, count: int) -> None:
        """Let `count` requests be served at once, > 0."""
        self._free = BoundedSemaphore(count)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take one for the time of the block.

        Raises:
            TransportError: None is free. Waiting for one would hold a thread, too.
        """
        if not self._free.acquire(blocking=False):
            raise TransportError(
                "too much to do at this moment", hint="Send it again in a few seconds."
            )
        try:
            yield
        finally:
            self._free.release()


def slots_of(threads: int) -> int:
    """Return how many of a process's threads publishers may hold: all but a quarter."""
    return max(1, threads - max(1, threads // _LEFT_FREE))
