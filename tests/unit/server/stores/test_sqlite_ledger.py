"""The ledger's file: under tampering, damage, a full disk, and a newer version's hand."""

import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lockgate_release.errors import DiskFullError, LocalError
from lockgate_release.names import AppName
from lockgate_server.ports import Highest, Intent, Scope
from lockgate_server.stores.ledger_migrations import MIGRATIONS, STEPS
from lockgate_server.stores.sqlite_ledger import SqliteLedger

NOW = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
APP = AppName("app")
HIGHEST = Highest(root=1, timestamp=1, snapshot=1, releases=1, sequences={"stable": 1})


def intent(**details: str) -> Intent:
    return Intent(
        app=APP,
        actor="ci (token-1)",
        action="publish",
        details=details,
        request_id="r-1",
        timestamp_sha256="ab" * 32,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    made = SqliteLedger(path, busy_timeout_s=0.1)
    yield made
    made.close()


def run_sql(path: Path, *statements: str) -> None:
    """What somebody with the file in hands can do."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for statement in statements:
            connection.execute(statement)
    finally:
        connection.close()


# --- tampering -------------------------------------------------------------------------------


@pytest.fixture
def written(ledger: SqliteLedger) -> SqliteLedger:
    for number in range(1, 6):
        ledger.begin(intent(version=f"{number}.0"), now=NOW)
    for number in (2, 1, 4):
        ledger.finish(number, HIGHEST)
    ledger.abandon(3)
    assert ledger.verify_audit() is None
    return ledger


def triggers(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    connection.close()
    return [name for (name,) in found]


def tamper(path: Path, *statements: str) -> None:
    run_sql(path, *(f"DROP TRIGGER {name}" for name in triggers(path)), *statements)


@pytest.mark.parametrize(
    "change",
    [
        "at = '2026-01-31T08:00:01Z'",
        "at = 'yesterday'",
        "app = 'other'",
        "actor = 'somebody else'",
        "action = 'revoke'",
        """details = '{"version":"3.1"}'""",
        "details = '{'",
        "details = '[]'",
        "request_id = ''",
        "operation_id = 'another'",
        "timestamp_sha256 = ''",
        "chain_sha256 = ''",
        "number = 9",
    ],
)
def test_a_changed_entry_is_found(written: SqliteLedger, path: Path, change: str) -> None:
    tamper(path, f"UPDATE audit_entries SET {change} WHERE number = 3")
    assert written.verify_audit() == 3


@pytest.mark.parametrize(
    ("statements", "number"),
    [
        (["DELETE FROM audit_entries WHERE number = 1"], 1),
        (["DELETE FROM audit_entries WHERE number = 3"], 3),
        (["DELETE FROM audit_outcomes WHERE entry = 1"], 4),
        (["UPDATE audit_outcomes SET outcome = 'done' WHERE entry = 3"], 3),
        (["UPDATE audit_outcomes SET entry = 5 WHERE entry = 3"], 5),
        (["UPDATE audit_outcomes SET entry = 77 WHERE entry = 3"], 77),
        (["INSERT INTO audit_outcomes VALUES (NULL, 5, 'done', '')"], 5),
        (["INSERT INTO audit_entries SELECT 6, at, app, actor, action, details, request_id,"
          " timestamp_sha256, chain_sha256, operation_id FROM audit_entries WHERE number = 5"], 6),
        (["UPDATE audit_entries SET number = 99 WHERE number = 2",
          "UPDATE audit_entries SET number = 2 WHERE number = 3",
          "UPDATE audit_entries SET number = 3 WHERE number = 99"], 2),
    ],
)  # fmt: skip
def test_what_was_taken_out_moved_or_slipped_in_is_found(
    written: SqliteLedger, path: Path, statements: list[str], number: int
) -> None:
    tamper(path, *statements)
    assert written.verify_audit() == number


def test_an_entry_that_cannot_be_read_is_no_crash(written: SqliteLedger, path: Path) -> None:
    tamper(path, "UPDATE audit_entries SET details = '{' WHERE number = 5")
    asks: list[Callable[[], object]] = [
        lambda: written.audit(None, limit=1),
        lambda: written.open_entries(APP),
    ]
    for ask in asks:
        with pytest.raises(LocalError, match=r"entry 5: .* changed by hand"):
            ask()
    assert [entry.number for entry in written.audit(None, limit=0)] == []


@pytest.mark.parametrize("table", ["audit_entries", "audit_outcomes"])
def test_the_log_refuses_to_be_rewritten_by_a_hasty_hand(
    written: SqliteLedger, path: Path, table: str
) -> None:
    before = written.audit(None, limit=10)
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET chain_sha256 = ''"):
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            run_sql(path, statement)
    assert written.audit(None, limit=10) == before


# --- damage ----------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_left_alone_with_a_word_on_what_to_do(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(LocalError, match="backup"):
        SqliteLedger(path)
    assert path.read_bytes() == b"no database at all" * 1000


def test_open_entries_of_an_older_version_are_found_after_the_upgrade(path: Path) -> None:
    ledger = SqliteLedger(path)
    numbers = [ledger.begin(intent(version=f"{number}.0"), now=NOW) for number in range(4)]
    ledger.finish(numbers[1], HIGHEST)
    ledger.close()
    run_sql(
        path,
        "DROP TRIGGER audit_entries_opens",
        "DROP TRIGGER audit_outcomes_closes",
        "DROP TABLE audit_open",
        "DELETE FROM _sqlite_migrations WHERE name = '0005_open'",
    )
    upgraded = SqliteLedger(path)
    app = intent().app
    assert [entry.number for entry in upgraded.open_entries(app)] == [numbers[0], *numbers[2:]]
    upgraded.abandon(numbers[0])
    assert [entry.number for entry in upgraded.open_entries(app)] == numbers[2:]
    upgraded.close()


def test_a_damaged_file_is_told_from_an_empty_one(path: Path) -> None:
    ledger = SqliteLedger(path)
    for _ in range(50):
        ledger.begin(intent(reason="x" * 500), now=NOW)
    ledger.close()
    data = bytearray(path.read_bytes())
    for page in range(0, len(data), 4096):
        if b"x" * 500 in data[page : page + 4096]:
            data[page : page + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    damaged = SqliteLedger(path)
    with pytest.raises(LocalError, match=r"damaged.*backup"):
        damaged.audit(None, limit=100)
    damaged.close()


def test_a_folder_in_the_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(LocalError, match="opened"):
        SqliteLedger(path)


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocalError, match="Not a directory"):
        SqliteLedger(tmp_path / "file/below/ledger.db")


def test_a_newer_versions_file_is_not_touched(path: Path) -> None:
    SqliteLedger(path).close()
    run_sql(
        path,
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
        " VALUES ('lockgate', '9999_future', '')",
    )
    with pytest.raises(LocalError, match=r"newer version.*9999_future"):
        SqliteLedger(path)


def test_every_step_is_known_by_name(ledger: SqliteLedger) -> None:
    with ledger._connections.reading() as db:
        assert {step.name for step in MIGRATIONS.applied(db)} == STEPS
        assert MIGRATIONS.pending(db) == []


def test_opening_again_keeps_everything(path: Path, written: SqliteLedger) -> None:
    written.pin_app(APP, b"root")
    again = SqliteLedger(path)
    assert again.audit(None, limit=9) == written.audit(None, limit=9)
    assert again.highest(APP) == HIGHEST
    assert again.pinned_root(APP) == b"root"
    again.close()


def test_a_full_disk_is_told_apart_and_leaves_the_log_whole(ledger: SqliteLedger) -> None:
    ledger.begin(intent(), now=NOW)
    with ledger._connections.reading() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(DiskFullError, match=r"ledger\.db"):
        ledger.begin(intent(reason="x" * 50_000), now=NOW)
    assert len(ledger.audit(None, limit=9)) == 1
    assert ledger.verify_audit() is None
    ledger.begin(intent(), now=NOW)


def test_a_ledger_that_somebody_holds_is_not_usable_and_says_why(
    ledger: SqliteLedger, path: Path
) -> None:
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        assert not ledger.is_usable()
        with pytest.raises(LocalError, match="held by another process"):
            ledger.begin(intent(), now=NOW)
        assert ledger.audit(None, limit=1) == ()  # readers do not wait
    finally:
        holder.close()
    assert ledger.is_usable()


# --- the file and its connections ------------------------------------------------------------


def test_only_its_owner_may_read_the_ledger(ledger: SqliteLedger, path: Path) -> None:
    ledger.create_token(scope=Scope.ADMIN, label="x", secret_sha256="ab" * 32, now=NOW)
    modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}


def test_every_connection_waits_for_the_disk(ledger: SqliteLedger) -> None:
    found: list[object] = []

    def look() -> None:
        with ledger._connections.reading() as db:
            found.append(db.execute("PRAGMA synchronous").fetchone()[0])
            found.append(db.execute("PRAGMA journal_mode").fetchone()[0])

    other = threading.Thread(target=look)
    other.start()
    other.join()
    look()
    assert found == [2, "wal"] * 2


def test_threads_that_ended_leave_no_open_files(ledger: SqliteLedger) -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - it is about this very process

    def in_a_thread(act: Callable[[], object]) -> None:
        thread = threading.Thread(target=act)
        thread.start()
        thread.join()

    in_a_thread(ledger.apps)
    before = open_files()
    for _ in range(10):
        in_a_thread(ledger.apps)
    assert open_files() <= before


def test_a_closed_ledger_holds_no_file_and_does_not_open_again(path: Path) -> None:
    ledger = SqliteLedger(path)
    ledger.begin(intent(), now=NOW)
    ledger.close()
    ledger.close()
    assert [found.name for found in path.parent.iterdir()] == ["ledger.db"]
    with pytest.raises(ValueError, match="closed"):
        ledger.apps()


def test_a_lease_that_ran_out_in_another_time_zone_ran_out(ledger: SqliteLedger) -> None:
    ledger.take_lease("job", "a", now=NOW, until=NOW + timedelta(minutes=1))
    east = (NOW + timedelta(minutes=1)).astimezone(
        datetime.strptime("+0900", "%z").tzinfo  # a clock that shows a later hour
    )
    assert ledger.take_lease("job", "b", now=east, until=east + timedelta(minutes=1)) is not None


def test_a_log_from_before_operations_keeps_its_links_after_the_upgrade(path: Path) -> None:
    ledger = SqliteLedger(path)
    ledger.begin(intent(), now=NOW)
    before = ledger.audit(None, limit=1)
    ledger.close()
    run_sql(
        path,
        "ALTER TABLE audit_entries DROP COLUMN operation_id",
        "DELETE FROM _sqlite_migrations WHERE name = '0006_operations'",
    )
    upgraded = SqliteLedger(path)
    assert upgraded.audit(None, limit=1) == before
    assert upgraded.verify_audit() is None
    upgraded.begin(replace(intent(), operation_id="ci-7"), now=NOW)
    assert upgraded.verify_audit() is None
    upgraded.close()
