"""A synthetic fleet: when each client looks for updates, what it runs on, and whether it reports.

Most are machines of people: on for nine hours of their own day, in their own time zone. Some are
servers, on all day. Slow updaters are on one day in seven. Who is on looks once an hour, at a
minute of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate_cli.simulating.vector_gate import Places

__all__ = ["Population", "draw_population"]

_ZONES = np.array([0.05, 0.2, 0.15, 0.25, 0.1, 0.05, 0.1, 0.1])
"""How many live in each eighth of the day, from UTC-12 on."""

_OPENING_HOUR = 8
_CHUNK = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Every client of a fleet: arrays with one entry for each.

    Attributes:
        places: Their places at the gate.
        opens: At what hour of UTC's day they are switched on.
        open_for: For how many hours.
        every: On one day in how many.
        on_day: On which of those days.
        kinds: Platform and former version, as one number.
        reports: Whether they report.
    """

    places: Places
    opens: NDArray[np.int8]
    open_for: NDArray[np.int8]
    every: NDArray[np.int8]
    on_day: NDArray[np.int8]
    kinds: NDArray[np.int8]
    reports: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.places)

    def chunks(self) -> Iterator[slice]:
        """Yield the fleet in parts that fit into a processor's cache."""
        for begin in range(0, len(self), _CHUNK):
            yield slice(begin, begin + _CHUNK)

    def next_look(self, part: slice, hour: int) -> NDArray[np.int16]:
        """Return the hour in which each client of a part looks for the first time from `hour` on.

        Args:
            part: Which of them.
            hour: Counted from a midnight of UTC.
        """
        opens, every = self.opens[part].astype(np.int16), self.every[part].astype(np.int16)
        days, into = np.divmod(np.int16(hour) - opens, np.int16(24))
        left = np.mod(-(days + self.on_day[part]), every)
        is_on = (left == 0) & (into < self.open_for[part])
        left = np.where(left == 0, every, left)
        found: NDArray[np.int16] = np.where(is_on, hour, opens + 24 * (days + left))
        return found.astype(np.int16)

    def looks_per_hour(self) -> NDArray[np.float64]:
        """Return how many look in each hour of UTC's day, on an average day."""
        looks = np.zeros(24)
        days = self.open_for.astype(np.int16) * 8 + self.every
        counts = np.bincount(self.opens + 24 * days)
        for number in np.flatnonzero(counts).tolist():
            day, opens = divmod(number, 24)
            open_for, every = divmod(day, 8)
            looks[(opens + np.arange(open_for)) % 24] += counts[number] / every
        return looks


def draw_population(
    places: Places, *, kinds: int, seed: int, reporting: float, slow: float, servers: float = 0.1
) -> Population:
    """Return a fleet for these places.

    Args:
        places: The places at the gate, one for each client.
        kinds: How many kinds of client there are, platform and former version taken together.
        seed: What chance begins with.
        reporting: The share that reports.
        slow: The share that is on one day in seven.
        servers: The share that is on all day.
    """
    random, count = np.random.default_rng((seed, 1 << 32)), len(places)
    zones = random.choice(len(_ZONES), count, p=_ZONES).astype(np.int8)
    is_server = random.random(count, np.float32) < servers
    every = np.where(random.random(count, np.float32) < slow, 7, 1).astype(np.int8)
    hours = (_OPENING_HOUR + 12 - 3 * zones + random.integers(0, 3, count, np.int8)) % 24
    return Population(
        places=places,
        opens=hours.astype(np.int8),
        open_for=np.where(is_server, 24, 9).astype(np.int8),
        every=every,
        on_day=(random.integers(0, 7, count, np.int8) % every).astype(np.int8),
        kinds=random.integers(0, kinds, count, np.int8),
        reports=random.random(count, np.float32) < reporting,
    )
