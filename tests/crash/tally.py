"""What a campaign has found: points tried, and each one that was broken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

__all__ = ["Sample", "Tally", "timed"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Which of the points are tried: every `every`-th, beginning at one that `seed` chooses."""

    every: int = 1
    seed: int = 0

    def of(self, points: list[T]) -> list[T]:
        """The points that are tried."""
        return points[self.seed % self.every :: self.every]


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
    """

    campaign: str
    scenario: str
    points: int = 0
    tried: int = 0
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, where: str, wrong: str) -> None:
        """Count one point; `wrong` says what was broken, or is ""."""
        self.tried += 1
        if wrong:
            self.broken.append(f"{self.campaign} {self.scenario}, {where}: {wrong}")


@contextmanager
def timed(campaign: str, scenario: str) -> Iterator[Tally]:
    """A tally that knows how long its block took."""
    began = time.monotonic()
    tally = Tally(campaign=campaign, scenario=scenario)
    yield tally
    tally.seconds = time.monotonic() - began
