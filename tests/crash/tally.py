"""What a campaign has found: points tried, and each one that was broken."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

__all__ = ["ALL", "Sample", "Tally", "timed"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Which of the points are tried.

    Attributes:
        every: Every so many-th, beginning at one that `seed` chooses.
        seed: Chooses.
        most: At most so many of them; 0 for all.
    """

    every: int = 1
    seed: int = 0
    most: int = 0

    def of(self, points: list[T]) -> list[T]:
        """The points that are tried."""
        chosen = points[self.seed % self.every :: self.every]
        if not self.most or len(chosen) <= self.most:
            return chosen
        return random.Random(f"{self.seed} {len(points)}").sample(chosen, self.most)

    def some(self, groups: list[T]) -> list[T]:
        """The groups whose points are worked out: all, unless few points are tried."""
        return self.of(groups) if self.most else groups


ALL = Sample()
"""Every point is tried."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """The result of one campaign in one scenario.

    Attributes:
        campaign: What was done.
        scenario: To whom.
        points: How many points there are.
        tried: How many were tried.
        broken: One sentence for each that was broken.
        seconds: How long it took.
        cpu_s: How many seconds of a processor it took, in all its processes.
    """

    campaign: str
    scenario: str
    points: int = 0
    tried: int = 0
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0
    cpu_s: float = 0.0

    def add(self, where: str, wrong: str) -> None:
        """Count one point; `wrong` says what was broken, or is ""."""
        self.tried += 1
        if wrong:
            self.broken.append(f"{self.campaign} {self.scenario}, {where}: {wrong}")


@contextmanager
def timed(campaign: str, scenario: str) -> Iterator[Tally]:
    """A tally that knows how long its block took."""
    began, used = time.monotonic(), _cpu_s()
    tally = Tally(campaign=campaign, scenario=scenario)
    yield tally
    tally.seconds = time.monotonic() - began
    tally.cpu_s = _cpu_s() - used


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
