"""Which reports may be counted, held against what is in force."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from lockgate_release.gate import Arm
from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.reports import Active, CohortKey, Enrolled, Fared, Outcome, Report
from lockgate_server.ports.reports import Admitted, Drop
from lockgate_server.services.reports.admission import Place, admit_active, find_place, put
from lockgate_server.services.reports.in_force import InForce, Line

APP = AppName("pony")
STABLE = ChannelName("stable")
LINUX = Platform("linux-x86_64")
NOW = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
HOUR = NOW.replace(minute=0)
LINE = Line(
    epoch=3,
    exposure_bp=100,
    control_bp=9900,
    window=timedelta(hours=24),
    platforms=frozenset({LINUX}),
)
THERE = InForce(
    lines={(STABLE, "1.2.0"): LINE},
    channels=frozenset({STABLE}),
    versions=frozenset({"1.1.0", "1.2.0"}),
)
COHORT = CohortKey(
    channel=STABLE,
    version="1.2.0",
    epoch=3,
    arm=Arm.OFFERED,
    platform=LINUX,
    from_version="1.1.0",
    hour=HOUR,
)
NONCE = "0" * 32


def admit(report: Report, there: InForce, now: datetime) -> Admitted | Drop:
    if isinstance(report, Active):
        return admit_active(APP, report, there, now)
    place = find_place(report.cohort, there, now)
    return put(APP, report, place) if isinstance(place, Place) else place


def judged(there: InForce = THERE, now: datetime = NOW, **change: Any) -> Admitted | Drop:
    return admit(Enrolled(nonce=NONCE, cohort=replace(COHORT, **change)), there, now)


def with_line(**change: Any) -> InForce:
    return replace(THERE, lines={(STABLE, "1.2.0"): replace(LINE, **change)})


def test_what_fits_is_admitted_as_it_is_until_its_window_closes() -> None:
    for report in (
        Enrolled(nonce=NONCE, cohort=COHORT),
        Fared(nonce=NONCE, cohort=COHORT, outcome=Outcome.HEALTHY),
    ):
        until = HOUR + timedelta(hours=25)
        assert admit(report, THERE, NOW) == Admitted(app=APP, report=report, until=until)


@pytest.mark.parametrize("arm", [Arm.OFFERED, Arm.CONTROL])
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_every_epoch_there_was_may_be_spoken_of(arm: Arm, epoch: int) -> None:
    assert isinstance(judged(arm=arm, epoch=epoch), Admitted)


@pytest.mark.parametrize(
    "change",
    [{"channel": ChannelName("beta")}, {"version": "1.1.0"}, {"version": "9"}, {"epoch": 4}],
)
def test_what_is_not_in_force_is_unknown(change: dict[str, Any]) -> None:
    assert judged(**change) is Drop.UNKNOWN


@pytest.mark.parametrize(
    ("line", "change"),
    [
        ({"exposure_bp": 0}, {}),
        ({"control_bp": 0}, {"arm": Arm.CONTROL}),
        ({}, {"platform": Platform("beos-ppc")}),
        ({}, {"from_version": "1.2.0"}),
    ],
)
def test_an_arm_that_nobody_can_be_in_is_impossible(
    line: dict[str, Any], change: dict[str, Any]
) -> None:
    assert judged(with_line(**line), **change) is Drop.IMPOSSIBLE


def test_the_future_is_refused_but_for_a_clock_that_is_a_little_ahead() -> None:
    begins = HOUR + timedelta(hours=1)
    assert judged(hour=begins, now=begins - timedelta(minutes=6)) is Drop.FUTURE
    assert isinstance(judged(hour=begins, now=begins - timedelta(minutes=5)), Admitted)
    assert judged(hour=HOUR + timedelta(days=300)) is Drop.FUTURE


def test_what_comes_after_its_window_is_late() -> None:
    closes = HOUR + timedelta(hours=25)
    assert isinstance(judged(now=closes - timedelta(seconds=1)), Admitted)
    assert judged(now=closes) is Drop.LATE
    assert isinstance(judged(with_line(window=timedelta(days=2)), now=closes), Admitted)


@pytest.mark.parametrize(
    ("change", "counted_as"),
    [
        ({"from_version": "0.0.666"}, {"from_version": "other"}),
        ({"from_version": "1.1.0"}, {"from_version": "1.1.0"}),
    ],
)
def test_strangers_do_not_choose_what_is_counted(
    change: dict[str, Any], counted_as: dict[str, Any]
) -> None:
    found = judged(**change)
    assert isinstance(found, Admitted)
    assert found.report == Enrolled(nonce=NONCE, cohort=replace(COHORT, **counted_as))


def test_a_machine_that_an_artifact_for_any_serves_is_counted_as_any() -> None:
    anybody = Platform("any")
    found = judged(with_line(platforms=frozenset({anybody})), platform=Platform("beos-ppc"))
    assert isinstance(found, Admitted)
    assert found.report == Enrolled(nonce=NONCE, cohort=replace(COHORT, platform=anybody))


@pytest.mark.parametrize(
    ("last", "found"),
    [
        (None, None),
        (date(2026, 1, 30), None),
        (date(2020, 1, 1), None),
        (date(2026, 1, 31), Drop.REPEATED),
        (date(2026, 2, 1), Drop.FUTURE),
    ],
)
def test_a_client_is_counted_once_a_day_by_the_date_it_echoes(
    last: date | None, found: Drop | None
) -> None:
    report = Active(channel=STABLE, version="1.1.0", platform=LINUX, last_counted=last)
    said = admit(report, THERE, NOW)
    assert said is found if found else isinstance(said, Admitted)


def test_of_a_client_in_use_the_unknown_is_called_other() -> None:
    report = Active(
        channel=STABLE, version="0.0.666", platform=Platform("beos-ppc"), last_counted=None
    )
    found = admit(report, THERE, NOW)
    assert isinstance(found, Admitted)
    known = replace(report, version="other", platform=Platform("other"))
    assert found.report == known
    elsewhere = replace(report, channel=ChannelName("beta"))
    assert admit(elsewhere, THERE, NOW) is Drop.UNKNOWN
