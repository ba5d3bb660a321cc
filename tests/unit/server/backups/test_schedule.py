"""Backups without anybody asking: when they are due, what is kept of them, and that one is made."""

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lockgate_release.errors import LockgateError, UsageError
from lockgate_server.backing import Backing, read_backing
from lockgate_server.backups.record import BackupRecord, read_record, write_record
from lockgate_server.backups.schedule import back_up_if_due, is_due, start_backups
from lockgate_server.settings import ServerSettings
from tests.simulators.server_site import ServerSite

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ServerSite]:
    made = ServerSite(tmp_path)
    yield made
    made.close()


def settings_of(site: ServerSite, **how: object) -> ServerSettings:
    said = {"to": str(site.backups), "every": DAY, "keep": 2, **how}
    return ServerSettings(data=site.data, backing=Backing(**said))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (BackupRecord(), True),
        (BackupRecord(to="here"), True),
        (BackupRecord(to="here", made_at=NOW - DAY), True),
        (BackupRecord(to="here", made_at=NOW - DAY + MINUTE, apps=1), False),
        (BackupRecord(to="here", made_at=NOW - MINUTE, apps=0), True),  # an app is new
        (BackupRecord(to="there", made_at=NOW), True),
        (BackupRecord(to="here", made_at=NOW + DAY), True),  # the clock was put back
        (BackupRecord(to="here", failed_at=NOW - MINUTE), False),
        (BackupRecord(to="here", failed_at=NOW - 15 * MINUTE), True),
        (BackupRecord(to="here", failed_at=NOW + MINUTE), True),
        (BackupRecord(to="here", made_at=NOW - DAY, failed_at=NOW - MINUTE), False),
        (BackupRecord(to="here", failed_at=NOW - MINUTE, apps=0), False),
    ],
)
def test_when_a_backup_is_due(record: BackupRecord, *, expected: bool) -> None:
    assert is_due(record, "here", DAY, NOW) is expected


def test_before_the_first_app_there_is_nothing_to_back_up() -> None:
    assert not is_due(BackupRecord(), "here", DAY, NOW, apps=0)


def test_a_backup_is_made_proven_written_down_and_not_made_again_too_soon(
    site: ServerSite,
) -> None:
    settings = settings_of(site, has_objects=True)
    ledger = site.scene.ledger
    made = []
    for hours in (0, 1, 24, 48, 49):
        now = NOW + timedelta(hours=hours)
        made.append(back_up_if_due(settings, {}, ledger, "me", lambda now=now: now))  # type: ignore[misc]
    assert made == [True, False, True, True, False]
    kept = site.type("backup", "list", site.backups).out.split()
    assert kept == ["lockgate-20260502T120000Z", "lockgate-20260503T120000Z"]
    record = read_record(settings.backup_file)
    assert (record.name, record.verified_at) == (kept[-1], NOW + 2 * DAY)


def test_a_backup_that_failed_is_written_down_and_tried_again(site: ServerSite) -> None:
    settings = settings_of(site, has_keys=True)
    ledger = site.scene.ledger
    with pytest.raises(UsageError, match="no passphrase"):
        back_up_if_due(settings, {}, ledger, "me", lambda: NOW)
    record = read_record(settings.backup_file)
    assert (record.failed_at, record.name) == (NOW, "")
    assert "no passphrase" in record.why
    assert not back_up_if_due(settings, {}, ledger, "me", lambda: NOW + MINUTE)
    environ = {"LOCKGATE_BACKUP_PASSPHRASE": "a long enough passphrase"}
    assert back_up_if_due(settings, environ, ledger, "me", lambda: NOW + 15 * MINUTE)
    assert read_record(settings.backup_file).failed_at is None


def test_two_workers_do_not_make_two(site: ServerSite) -> None:
    ledger = site.scene.ledger
    assert ledger.take_lease("backup", "another", now=NOW, until=NOW + 6 * HOUR)
    assert not back_up_if_due(settings_of(site), {}, ledger, "me", lambda: NOW)
    assert not site.backups.exists()


def test_a_server_that_is_told_nothing_makes_none(site: ServerSite) -> None:
    settings = ServerSettings(data=site.data)
    assert not back_up_if_due(settings, {}, site.scene.ledger, "me", lambda: NOW)
    before = threading.active_count()
    start_backups(settings, {}, site.scene.ledger, "me", threading.Event())
    assert threading.active_count() == before


def test_the_worker_makes_one_by_itself_and_tells_of_what_fails(
    site: ServerSite, caplog: pytest.LogCaptureFixture
) -> None:
    stop, ledger = threading.Event(), site.scene.ledger
    settings = settings_of(site)
    start_backups(settings, {}, ledger, "me", stop)
    end_thread(stop)
    assert read_record(settings.backup_file).verified_at is not None
    stop.clear()
    site.backups.rename(site.folder / "moved")
    site.backups.write_bytes(b"a file in the way")
    settings.backup_file.unlink()
    with caplog.at_level(logging.INFO):
        start_backups(settings, {}, ledger, "me", stop)
        end_thread(stop)
    assert "backup.failed" in caplog.messages
    assert read_record(settings.backup_file).failed_at is not None


def end_thread(stop: threading.Event) -> None:
    """Let it do what it has begun, and end."""
    (thread,) = (one for one in threading.enumerate() if one.name == "backups")
    stop.set()
    thread.join()


def test_a_record_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "backup.json"
    record = BackupRecord(to="here", name="x", made_at=NOW, verified_at=NOW, size_bytes=5, apps=2)
    write_record(path, record)
    assert read_record(path) == record
    path.write_bytes(b"{")
    assert read_record(path) == BackupRecord()


def test_settings_of_backups_are_read_back_as_they_were_said() -> None:
    said = {
        "backup_to": "/backup",
        "backup_every": "6h",
        "backup_keep": "3",
        "backup_parts": "keys objects",
    }
    backing = read_backing(said.get)
    again = backing.to_environ()
    assert read_backing(lambda name: again[f"LOCKGATE_{name.upper()}"]) == backing
    assert read_backing(lambda _: None) == Backing()


@pytest.mark.parametrize(
    "said",
    [
        {"backup_to": "one.tar"},
        {"backup_every": "soon"},
        {"backup_keep": "0"},
        {"backup_parts": "keys everything"},
    ],
)
def test_settings_that_make_no_sense_are_refused(said: dict[str, str]) -> None:
    with pytest.raises(LockgateError):
        read_backing(said.get)
