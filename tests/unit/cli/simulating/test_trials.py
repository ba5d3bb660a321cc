"""Trials of a plan: the same for the same seed, and no lie makes a rollout faster than its plan."""

from dataclasses import replace

import numpy as np
import pytest

from lockgate_cli.simulating.trials import Endings, Fleet, Forgery, run_trials
from lockgate_cli.simulating.vector_controller import Says
from lockgate_release.rollout.plan import DEFAULT_PLAN, Plan

PLAN = replace(
    DEFAULT_PLAN,
    window_s=4 * 3600,
    stages=tuple(replace(stage, dwell_s=stage.dwell_s // 4) for stage in DEFAULT_PLAN.stages),
)
FLEET = Fleet(clients=400_000, base_rate=0.02, bad_rate=0.02)


def _try(plan: Plan = PLAN, fleet: Fleet = FLEET, seed: int = 1, *, first: bool = False) -> Endings:
    return run_trials(plan, fleet, runs=40, hours=72, seed=seed, first_stage_only=first)


def test_the_same_seed_gives_the_same_and_another_gives_others() -> None:
    once, again, other = _try(), _try(), _try(seed=2)
    assert np.array_equal(once.enrolled, again.enrolled)
    assert not np.array_equal(once.enrolled, other.enrolled)


def test_a_harmless_release_gets_to_everybody_and_a_harmful_one_does_not() -> None:
    assert _try().share_of(Says.FINISHED) > 0.9
    harmful = _try(fleet=replace(FLEET, bad_rate=0.12))
    assert (harmful.halted, harmful.widened) == (1, 0)
    assert harmful.median(harmful.enrolled) < 4_400


def test_the_first_step_ends_a_rollout_where_no_more_is_asked_for() -> None:
    assert _try(first=True).share_of(Says.PROVEN) > 0.9


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_whoever_forges_the_best_of_news_gains_no_hour(share: float) -> None:
    best = Forgery(share=share, bad_canaries=0.0, bad_controls=1.0)
    endings = _try(fleet=replace(FLEET, forgery=best))
    done = endings.says == Says.FINISHED
    assert done.any()
    assert endings.hours[done].min() * 3600 >= sum(stage.dwell_s for stage in PLAN.stages)


def test_many_who_lie_their_way_into_the_canary_stop_it() -> None:
    loud = Forgery(share=0.05, as_canaries=True)
    endings = _try(fleet=replace(FLEET, forgery=loud))
    assert endings.halted + endings.share_of(Says.UNEQUAL_ARMS) == 1
    assert endings.widened == 0
