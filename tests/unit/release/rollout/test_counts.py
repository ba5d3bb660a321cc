"""Counting: what has closed, what silence is, and what is compared with what."""

from datetime import UTC, datetime, timedelta

import pytest

from lockgate_release.gate import Arm
from lockgate_release.names import Platform
from lockgate_release.rollout.counts import Cohort, Totals, compare, total

BEGAN_AT = datetime(2026, 1, 5, 8, tzinfo=UTC)
WINDOW_S = 3600
CLOSED_AT = BEGAN_AT + timedelta(hours=2)
LINUX, MAC = Platform("linux-x86_64"), Platform("macos-arm64")


def _cohort(
    arm: Arm,
    enrolled: int,
    *,
    healthy: int = 0,
    bad: int = 0,
    not_installed: int = 0,
    platform: Platform = LINUX,
    from_version: str = "1.0.0",
    epoch: int = 1,
) -> Cohort:
    return Cohort(
        arm=arm,
        epoch=epoch,
        platform=platform,
        from_version=from_version,
        began_at=BEGAN_AT,
        enrolled=enrolled,
        healthy=healthy,
        bad=bad,
        not_installed=not_installed,
    )


def test_a_window_closes_when_the_last_of_the_hour_has_had_its_time() -> None:
    cohort = _cohort(Arm.OFFERED, 10)
    assert not cohort.has_closed(CLOSED_AT - timedelta(seconds=1), WINDOW_S)
    assert cohort.has_closed(CLOSED_AT, WINDOW_S)


def test_silence_is_a_bad_outcome_in_both_arms_alike() -> None:
    for arm in (Arm.OFFERED, Arm.CONTROL):
        cohort = _cohort(arm, 10, healthy=6, bad=1)
        assert total([cohort], arm, now=CLOSED_AT, window_s=WINDOW_S).bad == 4


def test_who_could_not_install_is_compared_with_nobody_and_has_failed() -> None:
    cohort = _cohort(Arm.OFFERED, 10, healthy=7, not_installed=3)
    totals = total([cohort], Arm.OFFERED, now=CLOSED_AT, window_s=WINDOW_S)
    assert totals == Totals(enrolled=10, closed=7, bad=0, failed_already=3, answered=10)


def test_a_failure_counts_at_once_and_a_comparison_waits() -> None:
    cohorts = [_cohort(Arm.OFFERED, 10, bad=2), _cohort(Arm.CONTROL, 90, healthy=90)]
    early = CLOSED_AT - timedelta(minutes=1)
    totals = total(cohorts, Arm.OFFERED, now=early, window_s=WINDOW_S)
    assert totals == Totals(enrolled=10, failed_already=2, answered=2)
    assert compare(cohorts, now=early, window_s=WINDOW_S).cells == ()


@pytest.mark.parametrize(
    "forged",
    [
        _cohort(Arm.OFFERED, 1, healthy=50),
        _cohort(Arm.OFFERED, 1, bad=50),
        _cohort(Arm.OFFERED, 1, not_installed=50),
    ],
)
def test_more_outcomes_than_clients_make_no_count_negative_or_larger(forged: Cohort) -> None:
    assert 0 <= forged.bad_or_silent <= forged.compared <= 1


def test_only_clients_that_differ_in_nothing_but_the_arm_are_compared() -> None:
    cohorts = [
        _cohort(Arm.OFFERED, 10, healthy=9),
        _cohort(Arm.CONTROL, 30, healthy=30),
        _cohort(Arm.OFFERED, 5, platform=MAC),
        _cohort(Arm.CONTROL, 5, from_version="0.9.0"),
        _cohort(Arm.CONTROL, 5, epoch=2),
    ]
    compared = compare(cohorts, now=CLOSED_AT, window_s=WINDOW_S)
    (cell,) = compared.cells
    assert (cell.bad_canary, cell.bad_control, cell.canary_share) == (1, 0, 0.25)
    assert compared.by_platform == {LINUX: (cell,)}


def test_the_share_is_that_of_those_who_are_there_not_of_those_who_were_drawn() -> None:
    cohorts = [
        _cohort(Arm.OFFERED, 12, not_installed=2, healthy=10),
        _cohort(Arm.CONTROL, 10, healthy=10),
    ]
    (cell,) = compare(cohorts, now=CLOSED_AT, window_s=WINDOW_S).cells
    assert cell.canary_share == 0.5
