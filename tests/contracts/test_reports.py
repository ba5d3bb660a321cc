"""What every ledger of reports holds to: counts, each client once, and nobody in particular."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from lockgate_release.gate import Arm
from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.reports import Active, CohortKey, Enrolled, Failure, Fared, Outcome, Report
from lockgate_release.rollout.counts import Cohort, Opening
from lockgate_server.ports.reports import ActiveCount, Admitted, Drop, ReportLedger
from lockgate_server.stores.sqlite_reports import SqliteReportLedger
from tests.simulators.memory_reports import MemoryReportLedger

APP = AppName("pony")
STABLE = ChannelName("stable")
LINUX = Platform("linux-x86_64")
NOW = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
HOUR = NOW.replace(minute=0)
UNTIL = NOW + timedelta(hours=25)
CANARY = CohortKey(
    channel=STABLE,
    version="1.2.0",
    epoch=1,
    arm=Arm.OFFERED,
    platform=LINUX,
    from_version="1.1.0",
    hour=HOUR,
)
CONTROL = replace(CANARY, arm=Arm.CONTROL)

LEDGERS: dict[str, Callable[[Path], ReportLedger]] = {
    "sqlite": lambda folder: SqliteReportLedger(folder / "reports.sqlite3"),
    "memory": lambda _: MemoryReportLedger(),
}


@pytest.fixture(params=LEDGERS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReportLedger]:
    made = LEDGERS[request.param](tmp_path)
    yield made
    made.close()


def nonce(number: int) -> str:
    return f"{number:032x}"


def admit(*reports: Report, until: datetime = UNTIL, app: AppName = APP) -> list[Admitted]:
    return [Admitted(app=app, report=report, until=until) for report in reports]


def enrolled(number: int, cohort: CohortKey = CANARY) -> Enrolled:
    return Enrolled(nonce=nonce(number), cohort=cohort)


def healthy(number: int, cohort: CohortKey = CANARY) -> Fared:
    return Fared(nonce=nonce(number), cohort=cohort, outcome=Outcome.HEALTHY)


def bad(number: int, failure: Failure = Failure.CRASH_LOOP, cohort: CohortKey = CANARY) -> Fared:
    return Fared(nonce=nonce(number), cohort=cohort, outcome=Outcome.BAD, failure=failure)


def lost(number: int, cohort: CohortKey = CANARY) -> Fared:
    return Fared(
        nonce=nonce(number),
        cohort=cohort,
        outcome=Outcome.NOT_INSTALLED,
        failure=Failure.DOWNLOAD,
    )


def active(version: str = "1.2.0", last: date | None = None) -> Active:
    return Active(channel=STABLE, version=version, platform=LINUX, last_counted=last)


def counted(ledger: ReportLedger) -> tuple[Cohort, ...]:
    return ledger.cohorts(APP, STABLE, "1.2.0")


def test_reports_are_counted_by_cohort(ledger: ReportLedger) -> None:
    told = admit(
        *(enrolled(number) for number in range(6)),
        *(healthy(0), bad(1), bad(2, Failure.HEALTH), bad(3, Failure.TIMEOUT), lost(4)),
        *(enrolled(number, CONTROL) for number in range(10, 12)),
        healthy(10, CONTROL),
    )
    added = ledger.add(told, {}, now=NOW)
    assert (added.counted, added.repeated, added.unmatched) == (14, 0, ())
    assert counted(ledger) == (
        Cohort(
            arm=Arm.CONTROL,
            epoch=1,
            platform=LINUX,
            from_version="1.1.0",
            began_at=HOUR,
            enrolled=2,
            healthy=1,
        ),
        Cohort(
            arm=Arm.OFFERED,
            epoch=1,
            platform=LINUX,
            from_version="1.1.0",
            began_at=HOUR,
            enrolled=6,
            healthy=1,
            bad=3,
            crash_loops=1,
            not_installed=1,
        ),
    )


def test_counts_grow_from_flush_to_flush(ledger: ReportLedger) -> None:
    ledger.add(admit(enrolled(1), enrolled(2)), {}, now=NOW)
    ledger.add(admit(enrolled(3), healthy(1)), {}, now=NOW)
    [cohort] = counted(ledger)
    assert (cohort.enrolled, cohort.healthy) == (3, 1)


@pytest.mark.parametrize("repeat", [enrolled(1), healthy(1)], ids=["enrolled", "outcome"])
def test_a_nonce_counts_once_and_the_repeat_is_counted_as_one(
    ledger: ReportLedger, repeat: Report
) -> None:
    ledger.add(admit(enrolled(1), healthy(1), repeat), {}, now=NOW)
    added = ledger.add(admit(repeat, repeat), {Drop.REPEATED: 7}, now=NOW)
    assert (added.counted, added.repeated) == (0, 2)
    [cohort] = counted(ledger)
    assert (cohort.enrolled, cohort.healthy) == (1, 1)
    assert ledger.dropped() == {Drop.REPEATED: 3 + 7}


def test_a_client_fares_once(ledger: ReportLedger) -> None:
    ledger.add(admit(enrolled(1), healthy(1), bad(1), lost(1)), {}, now=NOW)
    [cohort] = counted(ledger)
    assert (cohort.healthy, cohort.bad, cohort.not_installed) == (1, 0, 0)


@pytest.mark.parametrize(
    "other",
    [
        replace(CANARY, epoch=2),
        replace(CANARY, arm=Arm.CONTROL),
        replace(CANARY, platform=Platform("macos-arm64")),
        replace(CANARY, from_version="1.0.0"),
        replace(CANARY, hour=HOUR - timedelta(hours=1)),
        replace(CANARY, version="1.3.0"),
        replace(CANARY, channel=ChannelName("beta")),
    ],
    ids=lambda other: ",".join(str(other.to_json()[name]) for name in ("epoch", "arm", "version")),
)
def test_an_outcome_counts_in_the_cohort_of_its_enrolment_only(
    ledger: ReportLedger, other: CohortKey
) -> None:
    ledger.add(admit(enrolled(1)), {}, now=NOW)
    forged = admit(bad(1, cohort=other))
    assert ledger.add(forged, {}, now=NOW).unmatched == tuple(forged)
    [cohort] = counted(ledger)
    assert cohort.bad == 0


def test_an_outcome_waits_for_an_enrolment_that_is_on_its_way(ledger: ReportLedger) -> None:
    early = ledger.add(admit(healthy(1)), {}, now=NOW)
    assert early.counted == 0
    ledger.add(admit(enrolled(1)), {}, now=NOW)
    assert ledger.add(early.unmatched, {}, now=NOW).counted == 1
    [cohort] = counted(ledger)
    assert (cohort.enrolled, cohort.healthy) == (1, 1)


def test_apps_and_channels_are_counted_apart(ledger: ReportLedger) -> None:
    other = AppName("horse")
    ledger.add(admit(enrolled(1)), {}, now=NOW)
    ledger.add(admit(enrolled(1), enrolled(2), app=other), {}, now=NOW)
    assert [one.enrolled for one in counted(ledger)] == [1]
    assert [one.enrolled for one in ledger.cohorts(other, STABLE, "1.2.0")] == [2]
    assert ledger.cohorts(APP, ChannelName("beta"), "1.2.0") == ()
    assert ledger.last_report_at(other, ChannelName("beta"), "1.2.0") is None


def test_cohorts_come_oldest_first(ledger: ReportLedger) -> None:
    for hours in (2, 0, 1):
        cohort = replace(CANARY, hour=HOUR - timedelta(hours=hours))
        ledger.add(admit(enrolled(hours, cohort)), {}, now=NOW)
    began = [one.began_at for one in counted(ledger)]
    assert began == sorted(began)


def test_the_very_first_canaries_are_followed_by_themselves(ledger: ReportLedger) -> None:
    ledger.add(admit(*(enrolled(number, CONTROL) for number in range(100, 120))), {}, now=NOW)
    ledger.add(admit(*(enrolled(number) for number in range(30))), {}, now=NOW)
    ledger.add(admit(bad(0), bad(1), bad(2, Failure.HEALTH), bad(25)), {}, now=NOW)
    assert ledger.opening(APP, STABLE, "1.2.0", first=20) == Opening(canaries=20, crash_loops=2)
    assert ledger.opening(APP, STABLE, "1.2.0", first=30) == Opening(canaries=30, crash_loops=3)
    assert ledger.opening(APP, STABLE, "1.3.0", first=20) == Opening()


def test_of_the_opening_no_more_than_a_hundred_are_kept(ledger: ReportLedger) -> None:
    for start in (0, 60, 120):
        ledger.add(admit(*(enrolled(start + number) for number in range(60))), {}, now=NOW)
    assert ledger.opening(APP, STABLE, "1.2.0", first=1000).canaries == 100


def test_the_last_word_of_either_arm_is_remembered_and_a_repeat_is_none(
    ledger: ReportLedger,
) -> None:
    assert ledger.last_report_at(APP, STABLE, "1.2.0") is None
    ledger.add(admit(enrolled(1)), {}, now=NOW)
    later = NOW + timedelta(minutes=5)
    ledger.add(admit(enrolled(2, CONTROL)), {}, now=later)
    ledger.add(admit(enrolled(1), healthy(9)), {}, now=later + timedelta(minutes=5))
    assert ledger.last_report_at(APP, STABLE, "1.2.0") == later


def test_a_day_counts_its_clients_by_version(ledger: ReportLedger) -> None:
    ledger.add(admit(active(), active(last=date(2026, 1, 30)), active("1.1.0")), {}, now=NOW)
    ledger.add(admit(active()), {}, now=NOW)
    ledger.add(admit(active()), {}, now=NOW + timedelta(days=1))
    assert ledger.active(APP, NOW.date()) == (
        ActiveCount(channel=STABLE, version="1.2.0", platform=LINUX, clients=3),
        ActiveCount(channel=STABLE, version="1.1.0", platform=LINUX, clients=1),
    )
    assert ledger.active(AppName("horse"), NOW.date()) == ()
    assert ledger.active(APP, NOW.date() - timedelta(days=1)) == ()


def test_what_was_dropped_is_added_up(ledger: ReportLedger) -> None:
    assert ledger.dropped() == {}
    ledger.add([], {Drop.WEIGHT: 2, Drop.UNKNOWN: 1}, now=NOW)
    ledger.add([], {Drop.WEIGHT: 3}, now=NOW + timedelta(days=1))
    assert ledger.dropped() == {Drop.WEIGHT: 5, Drop.UNKNOWN: 1}


def test_old_counts_are_forgotten(ledger: ReportLedger) -> None:
    ledger.add(admit(enrolled(1), active()), {Drop.WEIGHT: 1}, now=NOW)
    ledger.prune(now=NOW + timedelta(days=29))
    assert counted(ledger)
    assert ledger.dropped()
    ledger.prune(now=NOW + timedelta(days=31))
    assert counted(ledger)
    assert not ledger.dropped()
    ledger.prune(now=NOW + timedelta(days=181))
    assert not counted(ledger)
    assert ledger.last_report_at(APP, STABLE, "1.2.0") is None
    assert ledger.opening(APP, STABLE, "1.2.0", first=20) == Opening()
    assert ledger.active(APP, NOW.date())
    ledger.prune(now=NOW + timedelta(days=401))
    assert not ledger.active(APP, NOW.date())


def test_nonces_outlive_pruning_until_they_are_late_anyway(ledger: ReportLedger) -> None:
    ledger.add(admit(enrolled(1)), {}, now=NOW)
    ledger.prune(now=UNTIL)
    assert ledger.add(admit(enrolled(1)), {}, now=UNTIL).repeated == 1


def test_many_at_once_lose_nothing_and_count_nobody_twice(ledger: ReportLedger) -> None:
    def work(part: int) -> None:
        for start in range(0, 100, 10):
            numbers = range(start, start + 10)
            ledger.add(admit(*(enrolled(number) for number in numbers)), {}, now=NOW)
            mine = admit(enrolled(1000 + 100 * part + start))
            ledger.add(mine, {Drop.UNKNOWN: 1}, now=NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    [cohort] = counted(ledger)
    assert cohort.enrolled == 100 + 40
    assert ledger.dropped() == {Drop.UNKNOWN: 40, Drop.REPEATED: 300}


def test_what_waits_is_known_while_its_process_says_so(ledger: ReportLedger) -> None:
    assert ledger.waiting(now=NOW) is None
    ledger.note_waiting(7, now=NOW)
    ledger.note_waiting(12, now=NOW + timedelta(seconds=1))
    assert ledger.waiting(now=NOW + timedelta(seconds=31)) == 12
    assert ledger.waiting(now=NOW + timedelta(seconds=32)) is None
    ledger.note_waiting(0, now=NOW + timedelta(seconds=40))
    assert ledger.waiting(now=NOW + timedelta(seconds=40)) == 0
