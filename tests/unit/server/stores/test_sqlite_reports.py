"""The counts of reports in a file: processes that share it, starts, and what is on the disk."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.errors import LocalError
from lockgate_server.ports.reports import Drop
from lockgate_server.stores.fingerprints import Fingerprints
from lockgate_server.stores.sqlite_reports import SqliteReportLedger
from tests.contracts.test_reports import (
    CANARY,
    NOW,
    UNTIL,
    active,
    admit,
    counted,
    enrolled,
    healthy,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reports.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteReportLedger]:
    with closing(SqliteReportLedger(path)) as made:
        yield made


def test_two_processes_find_each_others_repeats(path: Path, ledger: SqliteReportLedger) -> None:
    with closing(SqliteReportLedger(path)) as other:
        ledger.add(admit(enrolled(1), enrolled(2)), {}, now=NOW)
        assert other.add(admit(enrolled(1), healthy(2)), {}, now=NOW).repeated == 1
        assert ledger.add(admit(healthy(2)), {}, now=NOW).repeated == 1
    [cohort] = counted(ledger)
    assert (cohort.enrolled, cohort.healthy) == (2, 1)


def test_a_start_forgets_no_nonce(path: Path) -> None:
    with closing(SqliteReportLedger(path)) as before:
        before.add(admit(*map(enrolled, range(2000))), {}, now=NOW)
    with closing(SqliteReportLedger(path)) as after:
        assert after.add(admit(*map(enrolled, range(2000))), {}, now=NOW).repeated == 2000
        assert after.add(admit(*map(healthy, range(2000))), {}, now=NOW).counted == 2000


def test_nonces_of_many_days_are_all_known(path: Path, ledger: SqliteReportLedger) -> None:
    for days in range(5):
        until = UNTIL + timedelta(days=days)
        ledger.add(admit(enrolled(days), until=until), {}, now=NOW)
    with closing(SqliteReportLedger(path)) as other:
        assert other.add(admit(*map(enrolled, range(5))), {}, now=NOW).repeated == 5


def test_a_flush_is_one_row_of_nonces_whatever_is_in_it(
    path: Path, ledger: SqliteReportLedger
) -> None:
    for size in (1, 10, 1000):
        reports = [enrolled(size * 10_000 + number) for number in range(size)]
        ledger.add(admit(*reports), {}, now=NOW)
    with closing(sqlite3.connect(path)) as raw:
        sizes = [row[0] for row in raw.execute("SELECT length(fingerprints) FROM nonces")]
        assert sizes == [8, 80, 8000]
        assert raw.execute("SELECT count(*) FROM cohorts").fetchone() == (1,)


def test_no_nonce_stands_in_the_file(path: Path, ledger: SqliteReportLedger) -> None:
    ledger.add(admit(enrolled(0xFEEDFACECAFEBEEF)), {}, now=NOW)
    ledger.close()
    assert b"feedfacecafebeef" not in path.read_bytes()
    assert 0xFEEDFACECAFEBEEF.to_bytes(8, "little") not in path.read_bytes()
    assert 0xFEEDFACECAFEBEEF.to_bytes(8, "big") not in path.read_bytes()


def test_pruned_nonces_leave_the_file(path: Path, ledger: SqliteReportLedger) -> None:
    ledger.add(admit(enrolled(1)), {}, now=NOW)
    ledger.prune(now=UNTIL + timedelta(seconds=1))
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*) FROM nonces").fetchone() == (0,)
    ledger.add(admit(enrolled(2), until=UNTIL + timedelta(days=2)), {}, now=NOW)
    assert ledger.add(admit(enrolled(2)), {}, now=NOW).repeated == 1


def test_a_clock_that_was_ahead_for_a_while_lets_nothing_be_counted_twice(
    ledger: SqliteReportLedger,
) -> None:
    for number in range(3):
        ledger.add(admit(enrolled(number)), {}, now=NOW)
    ahead = NOW + timedelta(days=3)
    ledger.add(admit(enrolled(3), until=ahead + timedelta(days=1)), {}, now=ahead)
    assert ledger.add(admit(*map(enrolled, range(4))), {}, now=NOW).repeated == 4


def test_a_flood_of_nonces_takes_no_more_memory_than_is_set(path: Path) -> None:
    with closing(SqliteReportLedger(path, most_nonces=3)) as small:
        small.add(admit(*map(enrolled, range(3))), {}, now=NOW)
        added = small.add(admit(enrolled(4), healthy(1), active()), {}, now=NOW)
        assert (added.counted, added.unmatched) == (1, ())
        assert small.dropped() == {Drop.FULL: 2}
        later = UNTIL + timedelta(days=1)
        assert small.add(admit(enrolled(5), until=later), {}, now=later).counted == 1


def test_what_fails_counts_nothing_and_can_be_tried_again(
    path: Path, ledger: SqliteReportLedger
) -> None:
    with closing(SqliteReportLedger(path, busy_timeout_s=0.01)) as hurried:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LocalError, match="file of report counts is held"):
                hurried.add(admit(enrolled(1)), {Drop.WEIGHT: 1}, now=NOW)
            other.execute("ROLLBACK")
        assert counted(hurried) == ()
        assert hurried.add(admit(enrolled(1)), {Drop.WEIGHT: 1}, now=NOW).counted == 1
    assert [one.enrolled for one in counted(ledger)] == [1]


def test_a_file_that_is_none_is_refused_with_what_to_do(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    ledger = SqliteReportLedger(path)
    with pytest.raises(LocalError, match="no SQLite file") as caught:
        ledger.dropped()
    assert "a new one is made" in caught.value.hint


def test_fingerprints_are_found_again_however_many_there_are() -> None:
    # Multiples of a power of two would all want the same slot, but for the salt.
    values = [*range(1, 5000), *(number << 40 for number in range(1, 3000))]
    fingerprints = Fingerprints(values, salt=0x9E3779B97F4A7C15)
    fingerprints.update(values)
    assert len(fingerprints) == len(set(values))
    assert all(value in fingerprints for value in values)
    assert 5001 not in fingerprints
    assert CANARY.epoch in fingerprints
