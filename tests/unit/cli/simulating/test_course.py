"""One simulated rollout: everybody is told what the rules say, when they look."""

from dataclasses import replace
from datetime import time

import numpy as np
import pytest

from lockgate_cli.simulating.course import Course, Rates, follow
from lockgate_cli.simulating.population import Population, draw_population
from lockgate_cli.simulating.scene import KINDS, arm_told
from lockgate_cli.simulating.vector_gate import draw_places
from lockgate_release.gate import Arm
from lockgate_release.rollout.plan import DEFAULT_PLAN, Plan, Stage, WeekDay, Window
from lockgate_release.rollout.situation import Action, Reason

SALT = "0196720b2521dd0259f43e4cee7f05f5"
CLIENTS = 200_000


@pytest.fixture(scope="module")
def fleet() -> Population:
    places = draw_places(SALT, CLIENTS, seed=5, processes=1)
    return draw_population(places, kinds=len(KINDS), seed=5, reporting=0.7, slow=0.1)


def go(fleet: Population, *, bad: float, plan: Plan = DEFAULT_PLAN, days: int = 12) -> Course:
    rates = Rates(base=0.05, bad=bad)
    return follow(plan, fleet, rates, salt=SALT, seed=5, most_hours=days * 24)


def _next_look(fleet: Population, client: int, hour: int) -> int:
    while True:
        day, into = divmod(hour - int(fleet.opens[client]), 24)
        is_day = (day + int(fleet.on_day[client])) % int(fleet.every[client]) == 0
        if is_day and into < int(fleet.open_for[client]):
            return hour
        hour += 1


@pytest.mark.parametrize("hour", [0, 7, 25, 100, 331])
def test_a_client_looks_in_the_first_hour_in_which_it_is_on(fleet: Population, hour: int) -> None:
    part = slice(0, 400)
    found = fleet.next_look(part, hour).tolist()
    assert found == [_next_look(fleet, client, hour) for client in range(400)]


def test_as_many_look_in_a_day_as_are_on(fleet: Population) -> None:
    hours = (fleet.open_for / fleet.every).sum()
    assert fleet.looks_per_hour().sum() == pytest.approx(hours)


STAGE = Stage(exposure_bp=100, control_bp=500, dwell_s=0, reports=0)


@pytest.mark.parametrize(
    ("arm", "told"), [(Arm.OFFERED, Arm.OFFERED), (Arm.CONTROL, Arm.CONTROL), (Arm.OUTSIDE, None)]
)
def test_the_decision_says_what_each_kind_of_client_is_told(arm: Arm, told: Arm | None) -> None:
    assert {arm_told(kind, arm, STAGE, 1, SALT) for kind in KINDS} == {told}


def test_a_harmless_release_reaches_everybody_and_nobody_before_their_stage(
    fleet: Population,
) -> None:
    course = go(fleet, bad=0.05)
    assert course.verdict.reason is Reason.FINISHED
    exposures = [hour.exposure_bp for hour in course.hours]
    assert exposures == sorted(exposures)
    for hour in course.hours:
        assert hour.updated <= int((fleet.places < hour.exposure_bp).sum())
    dwell_h = DEFAULT_PLAN.stages[0].dwell_s // 3600
    assert all(stage.hours >= dwell_h for stage in course.stages[:-1])
    assert course.hours[-1].updated >= 0.99 * CLIENTS


def test_a_harmful_release_is_halted_before_it_has_hurt_many(fleet: Population) -> None:
    course = go(fleet, bad=0.4)
    assert course.verdict.action is Action.HALT
    assert len(course.stages) == 1
    assert course.hours[-1].updated <= int((fleet.places < 100).sum())
    assert 0 < course.hours[-1].hurt <= course.hours[-1].updated


def test_a_fleet_that_is_too_small_stays_where_it_is(fleet: Population) -> None:
    plan = replace(DEFAULT_PLAN, worst_ratio_percent=110)
    course = go(fleet, bad=0.05, plan=plan, days=4)
    assert course.verdict.reason is Reason.NOT_PROVEN
    assert len(course.hours) == 4 * 24


def test_a_plan_s_hours_are_kept(fleet: Population) -> None:
    thursdays = Window(days=frozenset({WeekDay.THU}), opens=time(9), closes=time(17))
    course = go(fleet, bad=0.05, plan=replace(DEFAULT_PLAN, windows=(thursdays,)), days=4)
    second = course.stages[1].began
    assert (second // 24, second % 24) == (3, 9)


def test_the_same_seed_gives_the_same_course(fleet: Population) -> None:
    once, again = go(fleet, bad=0.05, days=3), go(fleet, bad=0.05, days=3)
    assert once.hours == again.hours
    assert [hour.requests for hour in once.hours] == pytest.approx(
        np.array([hour.requests for hour in again.hours])
    )
