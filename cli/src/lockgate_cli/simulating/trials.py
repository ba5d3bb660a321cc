"""Many rollouts of one plan at once on small random fleets: how often it errs, and how soon.

Every hour, of those who have a turn to enrol and have not yet, a part does; each fares badly with
the chance of its arm, is known to at once, and counts for the comparison when its window closes.
After each hour all rules are looked at, as the server does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lockgate_cli.simulating.vector_controller import (
    Floats,
    Hour,
    Integers,
    Says,
    VectorController,
)
from lockgate_release.names import MAX_EXPOSURE_BP
from lockgate_release.rollout.controller import OPENING_CANARIES
from lockgate_release.rollout.plan import Plan

__all__ = ["Endings", "Fleet", "Forgery", "run_trials"]

UNDECIDED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """What a share of the fleet reports that does not run the program at all.

    Each source weighs as one client, which is what the cap for each address block is there for.

    Attributes:
        share: Of all sources, 0 to 1.
        as_canaries: Whether they all claim to be canaries; else they keep to the arms as drawn.
        bad_canaries: The share of their canaries that they say fares badly.
        bad_controls: The same in control.
    """

    share: float
    as_canaries: bool = False
    bad_canaries: float = 1.0
    bad_controls: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Who is there.

    Attributes:
        clients: How many report, spread evenly over platforms and former versions.
        base_rate: The share that fares badly with what it has.
        bad_rate: The share that fares badly with the release.
        platforms: How many platforms there are.
        versions: How many former versions.
        enrolling: The part of those whose turn it is that enrols within an hour.
        forgery: Who lies, or None.
    """

    clients: int
    base_rate: float
    bad_rate: float
    platforms: int = 2
    versions: int = 2
    enrolling: float = 0.08
    forgery: Forgery | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endings:
    """How each rollout ended: arrays with one entry for each.

    Attributes:
        says: What ended it, as `Says`: `PROVEN` for one that left its first stage where that was
            asked for, `FINISHED`, `UNEQUAL_ARMS` for a pause, a halt; -1 for none in time.
        hours: After how many hours.
        canaries: How many canaries had had their time.
        enrolled: How many had enrolled.
        bad: How many of those fared badly.
        steps: How many steps it had taken.
    """

    says: Integers
    hours: Integers
    canaries: Integers
    enrolled: Integers
    bad: Integers
    steps: Integers

    @property
    def widened(self) -> float:
        """The share that took a step."""
        return float(((self.steps > 0) | (self.says == Says.PROVEN)).mean())

    @property
    def halted(self) -> float:
        """The share that was halted."""
        return self.share_of(*(says for says in Says if says.is_halt))

    def share_of(self, *says: Says) -> float:
        """Return the share that ended so."""
        return float(np.isin(self.says, says).mean())

    def median(self, counts: Integers) -> float:
        """Return the median of those that were halted; not a number if none was."""
        halted = counts[(self.says >= 0) & (self.says <= Says.ABOVE_CEILING)]
        return float(np.median(halted)) if len(halted) else float("nan")


def run_trials(
    plan: Plan, fleet: Fleet, *, runs: int, hours: int, seed: int, first_stage_only: bool = False
) -> Endings:
    """Return how so many rollouts end.

    Args:
        plan: What they may do. Its hours and its approvals are left out.
        fleet: Who is there.
        runs: How many rollouts.
        hours: When to stop looking.
        seed: What chance begins with.
        first_stage_only: Whether the first step ends a rollout.
    """
    trial = _Trial(plan, fleet, runs, np.random.default_rng(seed))
    window = -(-plan.window_s // 3600)
    waiting: list[Hour] = []
    for clock in range(1, hours + 1):
        waiting.append(trial.enrol())
        if len(waiting) > window:
            trial.many.close(waiting.pop(0))
        trial.look(clock, first_stage_only=first_stage_only)
        if (trial.says != UNDECIDED).all():
            break
    return trial.endings()


class _Trial:
    def __init__(self, plan: Plan, fleet: Fleet, runs: int, random: np.random.Generator) -> None:
        self._plan, self._fleet, self._random = plan, fleet, random
        self._shape = (runs, fleet.platforms, fleet.versions)
        self.many = VectorController(plan, runs=runs, platforms=fleet.platforms)
        self._left = [np.zeros(self._shape, np.int64) for _ in range(4)]
        self._since: Integers = np.zeros(runs, np.int64)
        self._seen: Integers = np.zeros(runs, np.int64)
        self._bad: Integers = np.zeros(runs, np.int64)
        self.says: Integers = np.full(runs, UNDECIDED)
        self._ended = Endings(says=self.says, steps=self.many.stage, **_nothing(runs))
        self._begin(np.ones(runs, np.bool_))

    def _begin(self, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
        """Give the clients of a new stage their turn: new canaries, and control anew."""
        stages, forgery = self._plan.stages, self._fleet.forgery
        exposures = np.array([0, *(stage.exposure_bp for stage in stages)]) / MAX_EXPOSURE_BP
        controls = np.array([stage.control_bp for stage in stages]) / MAX_EXPOSURE_BP
        here = self.many.stage[chosen]
        added, compared = exposures[here + 1] - exposures[here], controls[here]
        forged = forgery.share if forgery else 0.0
        claimed = np.ones_like(added) if forgery and forgery.as_canaries else added
        denied = np.zeros_like(added) if forgery and forgery.as_canaries else compared
        shares = (
            added * (1 - forged),
            compared * (1 - forged),
            claimed * forged,
            denied * forged,
        )
        size = self._fleet.clients / (self._fleet.platforms * self._fleet.versions)
        for place, share in enumerate(shares):
            drawn = self._random.poisson(
                (size * share)[:, np.newaxis, np.newaxis], (int(chosen.sum()), *self._shape[1:])
            )
            # Who has not enrolled as a canary yet still may; control begins anew in each epoch.
            kept = self._left[place][chosen] if place % 2 == 0 else 0
            self._left[place][chosen] = kept + drawn

    def enrol(self) -> Hour:
        fleet, forgery = self._fleet, self._fleet.forgery or Forgery(share=0)
        came = [self._random.binomial(left, fleet.enrolling) for left in self._left]
        rates = (fleet.bad_rate, fleet.base_rate, forgery.bad_canaries, forgery.bad_controls)
        bad = [self._random.binomial(*pair) for pair in zip(came, rates, strict=True)]
        self._left = [left - enrolled for left, enrolled in zip(self._left, came, strict=True)]
        canaries, bad_canaries = came[0] + came[2], bad[0] + bad[2]
        crowd, crowd_bad = canaries.sum(axis=(1, 2)), bad_canaries.sum(axis=(1, 2))
        first = np.clip(OPENING_CANARIES - self._seen, 0, crowd)
        hour = Hour(
            stage=self.many.stage.copy(),
            canaries=canaries,
            controls=came[1] + came[3],
            bad_canaries=bad_canaries,
            bad_controls=bad[1] + bad[3],
            opening_crashes=self._random.hypergeometric(crowd_bad, crowd - crowd_bad, first),
        )
        self._seen += crowd
        self._bad += crowd_bad
        self.many.enrol(hour)
        return hour

    def look(self, clock: int, *, first_stage_only: bool) -> None:
        """Look at all rules, and do what they say."""
        stood_s: Floats = np.multiply(clock - self._since, 3600, dtype=np.float64)
        said = self.many.judge(stood_s)
        ended = said <= Says.FINISHED
        if first_stage_only:
            ended |= said == Says.PROVEN
        fresh = ended & (self.says == UNDECIDED)
        self.says[fresh] = said[fresh]
        counted = (np.full(len(said), clock), self.many.closed_in_all, self._seen, self._bad)
        for name, counts in zip(_COUNTS, counted, strict=True):
            getattr(self._ended, name)[fresh] = counts[fresh]
        widened = (said == Says.PROVEN) & (self.says == UNDECIDED)
        if widened.any():
            self.many.widen(widened)
            self._since[widened] = clock
            self._begin(widened)

    def endings(self) -> Endings:
        return replace(self._ended, says=self.says, steps=self.many.stage)


def _nothing(runs: int) -> dict[str, Integers]:
    return {name: np.zeros(runs, np.int64) for name in _COUNTS}


_COUNTS = ("hours", "canaries", "enrolled", "bad")
