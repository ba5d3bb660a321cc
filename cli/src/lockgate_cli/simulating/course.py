"""One rollout from its first hour to its last, on a synthetic fleet.

Each hour clients look; the real decision says once for each kind of client and arm what such a
client is told; who is offered the release installs it and says how it fares; and the real
controller judges the cohorts that have closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from lockgate_cli.simulating.population import Population
from lockgate_cli.simulating.scene import KINDS, Kind, arm_told
from lockgate_release.gate import Arm
from lockgate_release.rollout.controller import OPENING_CANARIES, judge
from lockgate_release.rollout.counts import Cohort, Opening
from lockgate_release.rollout.plan import Plan, Stage
from lockgate_release.rollout.situation import Action, Reason, Situation, Verdict

__all__ = ["BEGAN_AT", "Course", "Hour", "Rates", "StageTaken", "follow"]

BEGAN_AT = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday."""

_SILENT = 0.5
"""How many of those that fare badly cannot even say so."""

_LOOK, _NEWS, _UPDATE = 1, 4, 4
"""Requests: nothing new; a new state, once; and a release's documents and its artifact."""

_NOBODY = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The share that fares badly: with what it has, and with the release."""

    base: float
    bad: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """What had happened by the end of an hour.

    Attributes:
        exposure_bp: The share that was offered the release.
        updated: How many clients have installed it.
        hurt: How many of those fare badly.
        requests: What the CDN was asked in this hour.
    """

    exposure_bp: int
    updated: int
    hurt: int
    requests: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTaken:
    """A stage that was reached.

    Attributes:
        exposure_bp: Its share.
        began: In which hour.
        verdict: What ended it, or was said last.
        hours: How long it lasted.
    """

    exposure_bp: int
    began: int
    hours: int
    verdict: Verdict


@dataclass(slots=True, kw_only=True)
class Course:
    """How a rollout went: the stages it reached, and each hour."""

    stages: list[StageTaken] = field(default_factory=list)
    hours: list[Hour] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """What was said last."""
        return self.stages[-1].verdict


def follow(
    plan: Plan,
    fleet: Population,
    rates: Rates,
    *,
    salt: str,
    seed: int,
    most_hours: int,
    tell: Callable[[int], None] = lambda _: None,
) -> Course:
    """Return how a rollout goes on a fleet.

    Args:
        plan: What it may do; whoever must approve does so at once.
        fleet: Who is there, placed under the salt.
        rates: How clients fare.
        salt: The rollout's.
        seed: What chance begins with.
        most_hours: When to stop, whatever has happened.
        tell: Is told of each stage as it begins.
    """
    walk = _Walk(plan, fleet, rates, salt, np.random.default_rng((seed, 1 << 33)))
    for number in range(len(plan.stages)):
        tell(number)
        walk.begin(number)
        verdict = walk.stay(most_hours)
        if verdict.action is not Action.WIDEN:
            break
    return walk.course


class _Walk:
    def __init__(
        self,
        plan: Plan,
        fleet: Population,
        rates: Rates,
        salt: str,
        random: np.random.Generator,
    ) -> None:
        self._plan, self._fleet, self._rates, self._salt = plan, fleet, rates, salt
        self._random = random
        self._clock, self._since = 0, 0
        self._epochs: tuple[int, ...] = ()
        self._turns: NDArray[np.int16] = np.full(len(fleet), _NOBODY, np.int16)
        self._has_it: NDArray[np.bool_] = np.zeros(len(fleet), np.bool_)
        self._looks = fleet.looks_per_hour()
        self._cohorts: list[Cohort] = []
        self._opening = Opening()
        self._updated = self._hurt = 0
        self.course = Course()

    @property
    def _stage(self) -> Stage:
        return self._plan.stages[len(self._epochs) - 1]

    def begin(self, number: int) -> None:
        """Begin a stage: find for each client when it looks next, and what it is told then."""
        self._epochs = (*self._epochs, number + 1)
        self._since, stage = self._clock, self._stage
        told = {
            (kind.number, arm): arm_told(kind, arm, stage, self._epochs[-1], self._salt)
            for kind in KINDS
            for arm in Arm
        }
        width = 24 * 16
        # Of each hour of the stage: kind x arm x whether it reports; and everybody's first look.
        self._enrolling = np.zeros((width, len(KINDS), 2, 2), np.int64)
        self._first_looks = np.zeros(width, np.int64)
        for part in self._fleet.chunks():
            turn = self._fleet.next_look(part, self._clock)
            offset = np.minimum(turn - self._clock, width - 1)
            self._first_looks += np.bincount(offset, minlength=width)
            arms = self._arms(part, stage, told)
            self._turns[part] = np.where(arms == 0, turn, _NOBODY)
            code = ((offset.astype(np.int64) * len(KINDS) + self._fleet.kinds[part]) * 2 + arms) * 2
            code += self._fleet.reports[part]
            size = self._enrolling.size
            drawn = np.bincount(code[arms >= 0], minlength=size)
            self._enrolling += drawn.reshape(self._enrolling.shape)

    def _arms(
        self, part: slice, stage: Stage, told: dict[tuple[int, Arm], Arm | None]
    ) -> NDArray[np.int64]:
        """Return of each client 0 for offered, 1 for control, -1 for neither."""
        places, kinds = self._fleet.places[part], self._fleet.kinds[part]
        bounds = (stage.exposure_bp, stage.exposure_bp + stage.control_bp)
        slots = np.searchsorted(np.array(bounds), places, side="right")
        codes = {Arm.OFFERED: 0, Arm.CONTROL: 1, Arm.OUTSIDE: _NOBODY, None: _NOBODY}
        table = np.array([[codes[told[kind.number, arm]] for arm in Arm] for kind in KINDS])
        arms: NDArray[np.int64] = table[kinds, slots]
        return np.where(self._has_it[part], _NOBODY, arms)

    def stay(self, most_hours: int) -> Verdict:
        """Stay in the stage until something is to be done, and return what."""
        while True:
            self._pass_an_hour()
            now = BEGAN_AT + timedelta(hours=self._clock)
            verdict = judge(self._situation(now), now)
            is_over = verdict.action is not Action.HOLD
            everybody = verdict.reason is Reason.FINISHED and self._is_done()
            if is_over or everybody or self._clock >= most_hours:
                break
        self._has_it |= (self._turns != _NOBODY) & (self._turns < self._clock)
        self.course.stages.append(
            StageTaken(
                exposure_bp=self._stage.exposure_bp,
                began=self._since,
                hours=self._clock - self._since,
                verdict=verdict,
            )
        )
        return verdict

    def _is_done(self) -> bool:
        """Whether 99 of 100 clients have it."""
        return self._updated >= 0.99 * len(self._fleet)

    def _situation(self, now: datetime) -> Situation:
        return Situation(
            plan=self._plan,
            stage_epochs=self._epochs,
            stage_since=BEGAN_AT + timedelta(hours=self._since),
            platforms=tuple(dict.fromkeys(kind.platform for kind in KINDS)),
            cohorts=tuple(self._cohorts),
            opening=self._opening,
            last_report_at=now,
            approved=True,
        )

    def _pass_an_hour(self) -> None:
        place = min(self._clock - self._since, len(self._enrolling) - 1)
        came, news = self._enrolling[place], int(self._first_looks[place])
        installed = int(came[:, 0].sum())
        for kind in KINDS:
            for arm, rate in ((Arm.OFFERED, self._rates.bad), (Arm.CONTROL, self._rates.base)):
                self._enrol(kind, arm, came[kind.number, int(arm is Arm.CONTROL)], rate)
        self._updated += installed
        looks = float(self._looks[self._clock % 24])
        self._clock += 1
        self.course.hours.append(
            Hour(
                exposure_bp=self._stage.exposure_bp,
                updated=self._updated,
                hurt=self._hurt,
                requests=looks * _LOOK + news * _NEWS + installed * _UPDATE,
            )
        )

    def _enrol(self, kind: Kind, arm: Arm, came: NDArray[np.int64], rate: float) -> None:
        quiet, enrolled = int(came[0]), int(came[1])
        bad = int(self._random.binomial(enrolled, rate))
        if arm is Arm.OFFERED:
            self._hurt += bad + int(self._random.binomial(quiet, rate))
        if not enrolled:
            return
        said = int(self._random.binomial(bad, 1 - _SILENT))
        if arm is Arm.OFFERED and self._opening.canaries < OPENING_CANARIES:
            first = min(OPENING_CANARIES - self._opening.canaries, enrolled)
            crashed = int(self._random.hypergeometric(said, enrolled - said, first))
            self._opening = Opening(
                canaries=self._opening.canaries + first,
                crash_loops=self._opening.crash_loops + crashed,
            )
        self._cohorts.append(
            Cohort(
                arm=arm,
                epoch=self._epochs[-1],
                platform=kind.platform,
                from_version=kind.version,
                began_at=BEGAN_AT + timedelta(hours=self._clock),
                enrolled=enrolled,
                healthy=enrolled - bad,
                bad=said,
                crash_loops=said,
            )
        )
