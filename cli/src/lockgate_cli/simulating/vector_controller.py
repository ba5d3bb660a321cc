"""The controller for many rollouts of one plan at once, an hour at a time, on numpy's arrays.

What `lockgate_release.rollout.controller.judge` computes anew from all cohorts is carried along
here: log-likelihoods on the same grids of ratios, added up cell by cell as cohorts close. The
grids, the shares of wealth and the limits are the original's own. A test leads rollouts through
both and compares what each says at every look.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from lockgate_release.rollout import controller
from lockgate_release.rollout.evidence import GAINS, HARMS, RATES
from lockgate_release.rollout.plan import Plan

__all__ = ["Floats", "Hour", "Integers", "Says", "VectorController"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_HARMS, _RATES = np.array(HARMS), np.array(RATES)


class Says(IntEnum):
    """What is said of a rollout at a look; the first that is true."""

    CRASH_LOOPS = 0
    WORSE_THAN_CONTROL = 1
    ABOVE_CEILING = 2
    UNEQUAL_ARMS = 3
    FINISHED = 4
    DWELL = 5
    FEW_REPORTS = 6
    NOT_PROVEN = 7
    OUTSIDE_HOURS = 8
    PROVEN = 9

    @property
    def is_halt(self) -> bool:
        """Whether the rollout is halted."""
        return self <= Says.ABOVE_CEILING


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """The cohorts of one hour: arrays of rollouts x platforms x former versions.

    Attributes:
        stage: The stage of each rollout at that hour: one number for each.
        canaries: How many canaries enrolled.
        controls: How many enrolled in control.
        bad_canaries: How many of the canaries fare badly; known at once.
        bad_controls: The same in control.
        opening_crashes: How many among the first canaries fail at every start, for each rollout.
    """

    stage: Integers
    canaries: Integers
    controls: Integers
    bad_canaries: Integers
    bad_controls: Integers
    opening_crashes: Integers


class VectorController:
    """The evidence of many rollouts of one plan."""

    def __init__(self, plan: Plan, *, runs: int, platforms: int) -> None:
        stages = len(plan.stages)
        self._plan = plan
        self._worst = plan.worst_ratio_percent / 100
        self._safe_ratios = self._worst * np.array((*GAINS, 1.0))
        self.stage: Integers = np.zeros(runs, np.int64)
        self._harm_by_platform: Floats = np.zeros((runs, platforms, len(HARMS)))
        self._harm_by_stage: Floats = np.zeros((runs, stages, len(HARMS)))
        self._safe: Floats = np.zeros((runs, len(self._safe_ratios)))
        self.closed: Integers = np.zeros(runs, np.int64)
        self.closed_in_all: Integers = np.zeros(runs, np.int64)
        self._bad_canaries: Integers = np.zeros(runs, np.int64)
        self._bad_controls: Integers = np.zeros(runs, np.int64)
        self.enrolled: Integers = np.zeros((runs, stages), np.int64)
        self._failed: Integers = np.zeros((runs, stages), np.int64)
        self._controls: Integers = np.zeros((runs, stages), np.int64)
        self._control_failures: Integers = np.zeros(runs, np.int64)
        self._opening_crashes: Integers = np.zeros(runs, np.int64)

    def enrol(self, hour: Hour) -> None:
        """Take in what is known of an hour's cohorts at once."""
        every = np.arange(len(self.stage))
        canaries, controls = _in_all(hour.canaries), _in_all(hour.controls)
        self.enrolled[every, hour.stage] += canaries
        self._controls[every, hour.stage] += controls
        self._failed[every, hour.stage] += _in_all(hour.bad_canaries)
        self._opening_crashes += hour.opening_crashes
        self._control_failures += _in_all(hour.bad_controls)

    def close(self, hour: Hour) -> None:
        """Take in what an hour's cohorts have proven once their windows are over."""
        every, here = np.arange(len(self.stage)), hour.stage == self.stage
        canaries = _in_all(hour.canaries)
        self.closed_in_all += canaries
        self.closed += canaries * here
        self._bad_canaries += _in_all(hour.bad_canaries) * here
        self._bad_controls += _in_all(hour.bad_controls) * here
        paired = (hour.canaries > 0) & (hour.controls > 0)
        share = hour.canaries / np.maximum(hour.canaries + hour.controls, 1)
        of_canaries = hour.bad_canaries * paired
        of_all = of_canaries + hour.bad_controls * paired
        harms = _log_likelihood(of_canaries, of_all, share, _HARMS).sum(axis=2)
        self._harm_by_platform += harms
        self._harm_by_stage[every, hour.stage] += harms.sum(axis=1)
        safe = _log_likelihood(of_canaries, of_all, share, self._safe_ratios)
        self._safe += safe.sum(axis=(1, 2)) * here[:, np.newaxis]

    def widen(self, chosen: NDArray[np.bool_]) -> None:
        """Let these rollouts take their next step."""
        self.stage[chosen] += 1
        self._safe[chosen] = 0
        for counts in (self.closed, self._bad_canaries, self._bad_controls):
            counts[chosen] = 0

    def judge(self, stood_s: Floats, *, is_open: bool = True) -> NDArray[np.int64]:
        """Return what is said of each rollout, as numbers of `Says`.

        Args:
            stood_s: For how long each has been in its stage.
            is_open: Whether the plan's hours allow a step.
        """
        plan, stages = self._plan, self._plan.stages
        is_last = self.stage == len(stages) - 1
        dwell_s = np.array([stage.dwell_s for stage in stages])[self.stage]
        reports = np.array([stage.reports for stage in stages])[self.stage]
        alpha = plan.alpha_bp / 10_000
        harm_limit = -math.log(alpha * controller.RELATIVE)
        ceiling_limit = -math.log(alpha * controller.ABSOLUTE)
        unproven = self.log_safety() < controller.safety_limit(plan)
        found = (
            (Says.CRASH_LOOPS, self._has_crashed_at_once()),
            (Says.WORSE_THAN_CONTROL, self.log_harm() >= harm_limit),
            (Says.ABOVE_CEILING, self.log_ceiling() >= ceiling_limit),
            (Says.UNEQUAL_ARMS, self._is_unequal() & ~is_last),
            (Says.FINISHED, is_last),
            (Says.DWELL, stood_s < dwell_s),
            (Says.FEW_REPORTS, self.closed < reports),
            (Says.NOT_PROVEN, unproven),
            (Says.OUTSIDE_HOURS, np.full(len(self.stage), not is_open)),
        )
        return np.select(
            [is_so for _, is_so in found], [says.value for says, _ in found], Says.PROVEN.value
        )

    def log_harm(self) -> Floats:
        """Return the evidence of harm, as `Evidence.log_harm`."""
        platforms, stages = self._harm_by_platform.shape[1], self._harm_by_stage.shape[1]
        on_all, on_platforms = controller.ON_ALL, controller.ON_PLATFORMS
        if platforms < 2:
            on_all, on_platforms = on_all + on_platforms, 0.0
        log_all = _log_mean(self._harm_by_platform.sum(axis=1))
        bets = [math.log(on_all) + log_all[:, np.newaxis]]
        if on_platforms:
            bets.append(math.log(on_platforms / platforms) + _log_mean(self._harm_by_platform))
        # A stage that was not reached yet keeps its share unbet: the mean of nothing counted is 1.
        bets.append(math.log(controller.ON_STAGES / stages) + _log_mean(self._harm_by_stage))
        return _log_sum(np.concatenate(bets, axis=1))

    def log_ceiling(self) -> Floats:
        """Return the evidence that the ceiling is broken, as `Evidence.log_ceiling`."""
        failed = np.minimum(self._failed, self.enrolled)
        ceiling = self._plan.ceiling_bp / 10_000
        return _log_mean(_log_mean(_log_rates(failed, self.enrolled, ceiling, _RATES)))

    def log_safety(self) -> Floats:
        """Return the evidence of safety in the stage each is in, as `Evidence.log_safety`."""
        log_ratio = _log_mean(self._safe[:, :-1]) - self._safe[:, -1]
        on_ratio, on_never = controller.ON_RATIO, controller.ON_NEVER
        never = -self.closed * math.log1p(-self._plan.negligible_bp / 10_000)
        unseen = (self._bad_canaries == 0) & (self._bad_controls == 0)
        compared = np.where(
            unseen,
            np.logaddexp(math.log(on_ratio), math.log(on_never) + never),
            math.log(on_ratio) + log_ratio,
        )
        ceiling = self._plan.ceiling_bp / 10_000
        below = _log_mean(_log_rates(self._bad_canaries, self.closed, ceiling, 1 / _RATES))
        has_control = np.array([stage.control_bp > 0 for stage in self._plan.stages])[self.stage]
        return np.where(has_control, compared, below)

    def _has_crashed_at_once(self) -> NDArray[np.bool_]:
        crashed = self._opening_crashes >= controller.OPENING_CRASH_LOOPS
        limit = self._plan.alpha_bp / 10_000 * controller.CATASTROPHE
        for run in np.flatnonzero(crashed):
            controls = int(self._controls[run].sum())
            rate = (int(self._control_failures[run]) + 1) / (controls + 2)
            crashed[run] = controller.by_chance(rate) <= limit
        return crashed

    def _is_unequal(self) -> NDArray[np.bool_]:
        stage = self._plan.stages[0]
        canaries, controls = self.enrolled[:, 0], self._controls[:, 0]
        if not stage.control_bp:
            return np.zeros(len(self.stage), np.bool_)
        share = np.float64(stage.exposure_bp / (stage.exposure_bp + stage.control_bp))
        ratios = np.concatenate([_RATES, 1 / _RATES])
        log_value = _log_mean(_log_likelihood(canaries, canaries + controls, share, ratios))
        return log_value >= -math.log(controller.MISMATCH_ALPHA)


def _in_all(counts: Integers) -> Integers:
    total: Integers = counts.sum(axis=(1, 2))
    return total


def _log_likelihood(
    of_canaries: Integers, of_all: Integers, share: Floats | np.float64, ratios: Floats
) -> Floats:
    """Return how much likelier the counts are at each ratio than at 1, along a new last axis."""
    raised: Floats = np.log(ratios)
    shared: Floats = np.log1p(np.asarray(share)[..., np.newaxis] * (ratios - 1))
    return of_canaries[..., np.newaxis] * raised - of_all[..., np.newaxis] * shared


def _log_rates(bad: Integers, total: Integers, ceiling: float, multiples: Floats) -> Floats:
    """Return the bets on rates of a share's odds times each multiple, along a new last axis."""
    odds = ceiling / (1 - ceiling)
    rates = multiples * odds / (1 + multiples * odds)
    well = (total - bad)[..., np.newaxis]
    return bad[..., np.newaxis] * np.log(rates / ceiling) + well * np.log(
        (1 - rates) / (1 - ceiling)
    )


def _log_mean(terms: Floats) -> Floats:
    return _log_sum(terms) - math.log(terms.shape[-1])


def _log_sum(terms: Floats) -> Floats:
    largest = terms.max(axis=-1)
    total: Floats = largest + np.log(np.exp(terms - largest[..., np.newaxis]).sum(axis=-1))
    return total
