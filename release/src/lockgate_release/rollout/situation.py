"""What a rollout is judged by, and what comes out: values. See `controller` for the rules."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lockgate_release.names import Platform
from lockgate_release.rollout.counts import Cohort, Opening, Totals
from lockgate_release.rollout.evidence import Interval
from lockgate_release.rollout.plan import Plan, Stage

__all__ = ["Action", "Evidence", "Reason", "Situation", "Verdict"]


class Action(StrEnum):
    """What to do."""

    HOLD = "hold"
    WIDEN = "widen"
    PAUSE = "pause"
    HALT = "halt"


class Reason(StrEnum):
    """Why, for programs."""

    WORSE_THAN_CONTROL = "worse-than-control"
    ABOVE_CEILING = "above-ceiling"
    CRASH_LOOPS = "crash-loops"
    NO_REPORTS = "no-reports"
    UNEQUAL_ARMS = "unequal-arms"
    FINISHED = "finished"
    DWELL = "dwell"
    FEW_REPORTS = "few-reports"
    NOT_PROVEN = "not-proven"
    OUTSIDE_HOURS = "outside-hours"
    NEEDS_APPROVAL = "needs-approval"
    PROVEN = "proven"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Where a rollout stands.

    Attributes:
        plan: What it may do.
        stage_epochs: The first epoch of each stage it has reached, in order; never empty.
        stage_since: When the stage began, aware.
        platforms: What the release is made for: alpha is divided among them.
        cohorts: What was reported, of every epoch.
        opening: How the first canaries fare.
        last_report_at: When anything was last heard from either arm; None before the first.
        approved: Whether a person has approved the step out of this stage.
    """

    plan: Plan
    stage_epochs: tuple[int, ...]
    stage_since: datetime
    platforms: tuple[Platform, ...]
    cohorts: tuple[Cohort, ...] = ()
    opening: Opening = field(default_factory=Opening)
    last_report_at: datetime | None = None
    approved: bool = False

    @property
    def stage(self) -> int:
        """The index of the stage it is in."""
        return len(self.stage_epochs) - 1

    @property
    def by_stage(self) -> tuple[tuple[Cohort, ...], ...]:
        """The cohorts of each stage it has reached."""
        ends = (*self.stage_epochs[1:], math.inf)
        return tuple(
            tuple(cohort for cohort in self.cohorts if begin <= cohort.epoch < end)
            for begin, end in zip(self.stage_epochs, ends, strict=True)
        )

    @property
    def here(self) -> Stage:
        """The stage it is in."""
        return self.plan.stages[self.stage]

    @property
    def is_last(self) -> bool:
        """Whether everybody is offered the release."""
        return self.stage == len(self.plan.stages) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The numbers behind a verdict. Logarithms are natural; a rule fires at its limit.

    Attributes:
        canary: The canary in all.
        control: Control in all.
        log_harm: Evidence that canaries fare worse, every share together.
        log_harm_limit: Where it halts.
        log_ceiling: Evidence that more fare badly than the ceiling allows.
        log_ceiling_limit: Where it halts.
        log_safety: Evidence of this stage that canaries do not fare too badly.
        log_safety_limit: Where it allows the next step.
        ratio: How many times as badly canaries may fare, at level alpha, looked at at any time.
        canaries_closed: How many canaries of this stage have had their time.
        canaries_needed: About how many it takes to prove safety at control's rate.
    """

    canary: Totals
    control: Totals
    log_harm: float
    log_harm_limit: float
    log_ceiling: float
    log_ceiling_limit: float
    log_safety: float
    log_safety_limit: float
    ratio: Interval
    canaries_closed: int
    canaries_needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do with a rollout, and why.

    Attributes:
        action: What to do.
        reason: Why, for programs.
        text: Why, in a sentence with the numbers.
        evidence: The numbers.
        is_parked: Whether it has stood in this stage for longer than the plan bears silently.
    """

    action: Action
    reason: Reason
    text: str
    evidence: Evidence
    is_parked: bool = False
