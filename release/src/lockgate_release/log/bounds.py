"""No flood of events fills a disk: of each event so many lines are written, and the rest counted.

1. Each event has a bucket of its own in each process: `Rate.burst` lines at once, `Rate.per_s` on
   average. Whoever has shown a token (`actor` is said) has another one, `KNOWN_FACTOR` times as
   large, so that strangers cannot crowd out the lines of publishers.
2. What is left out is counted. The next line of the event that is written says how many
   (`suppressed`); where none follows for a while, a line of its own does (`lines.suppressed`).
3. Lines from warning on are not treated better: a stranger can cause those too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lockgate_release.log.events import KNOWN_FACTOR, Event, Rate

__all__ = ["SUMMARY_S", "Bounds"]

SUMMARY_S = 10.0
"""How long after the last line that was left out the summary comes, in seconds."""


@dataclass(slots=True, kw_only=True)
class _Bucket:
    event: Event
    tokens: float
    filled_at_s: float
    suppressed: int = 0
    suppressed_at_s: float = 0.0


class Bounds:
    """How many lines of which event may still be written. Safe to share between threads."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        """Begin with full buckets.

        Args:
            monotonic_s: A clock that only goes forward, in seconds.
        """
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, bool], _Bucket] = {}

    def fresh(self) -> Bounds:
        """Return bounds by the same clock that have counted nothing yet."""
        return Bounds(self._monotonic_s)

    def admit(self, event: Event, *, known: bool = False) -> int | None:
        """Return how many lines were left out before this one; None: this one is left out too.

        Args:
            event: What the line tells.
            known: Whether it was caused by somebody who has shown a token.
        """
        rate = _rate(event, known=known)
        with self._lock:
            now_s = self._monotonic_s()
            bucket = self._buckets.get((event.name, known))
            if bucket is None:
                bucket = _Bucket(event=event, tokens=rate.burst, filled_at_s=now_s)
                self._buckets[event.name, known] = bucket
            gained = (now_s - bucket.filled_at_s) * rate.per_s
            bucket.tokens, bucket.filled_at_s = min(rate.burst, bucket.tokens + gained), now_s
            if bucket.tokens < 1:
                bucket.suppressed += 1
                bucket.suppressed_at_s = now_s
                return None
            bucket.tokens -= 1
            suppressed, bucket.suppressed = bucket.suppressed, 0
            return suppressed

    def is_counting(self) -> bool:
        """Whether lines were left out that no line has told of yet."""
        with self._lock:
            return any(bucket.suppressed for bucket in self._buckets.values())

    def take_summaries(self, *, silent_s: float = SUMMARY_S) -> Iterator[tuple[Event, int]]:
        """Yield each event of which none was left out for so long, and how many were before."""
        with self._lock:
            now_s = self._monotonic_s()
            for bucket in self._buckets.values():
                if bucket.suppressed and now_s - bucket.suppressed_at_s >= silent_s:
                    found, bucket.suppressed = bucket.suppressed, 0
                    yield bucket.event, found


def _rate(event: Event, *, known: bool) -> Rate:
    factor = KNOWN_FACTOR if known else 1
    return Rate(per_s=event.rate.per_s * factor, burst=event.rate.burst * factor)
