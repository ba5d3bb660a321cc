"""Backups without anybody asking: made when the newest is too old, proven, and the oldest removed.

They run in a thread of the worker, so that a long one keeps no job waiting, and under a lease, so
that two workers do not make two. A process that is killed leaves what is no backup.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from lockgate_release.errors import LockgateError, UsageError
from lockgate_release.instants import utc_now
from lockgate_release.log.server_events import BACKUP_FAILED, BACKUP_MADE
from lockgate_release.log.telling import tell
from lockgate_release.trust.keys import find_secret
from lockgate_server.backups.making import Wanted, make_backup, prune
from lockgate_server.backups.manifest import Manifest
from lockgate_server.backups.places import open_place
from lockgate_server.backups.record import BackupRecord, read_record, write_record
from lockgate_server.backups.scratch import scratch_folder
from lockgate_server.backups.verifying import verify_backup
from lockgate_server.ports import Ledger
from lockgate_server.settings import ServerSettings

__all__ = ["PASSPHRASE", "back_up_if_due", "is_due", "start_backups"]

PASSPHRASE = "LOCKGATE_BACKUP_PASSPHRASE"  # noqa: S105 (the name of a variable)

_log = logging.getLogger(__name__)
_LEASE = "backup"
_LEASE_TIME = timedelta(hours=6)
_RETRY = timedelta(minutes=15)
_INTERVAL_S = 60.0


def is_due(
    record: BackupRecord, to: str, every: timedelta, now: datetime, *, apps: int = 1
) -> bool:
    """Whether a backup is to be made now.

    An app that is new does not wait: its key may be nowhere else. Before the first there is nothing
    to back up. A try that failed is made again after a quarter of an hour, or after `every` if that
    is less.

    Args:
        record: What is known of the newest one.
        to: Where backups go.
        every: How old the newest may become.
        now: The present.
        apps: How many apps there are.
    """
    if not apps:
        return False
    if record.to != to:
        return True
    # A time that is yet to come says nothing: the clock was put back.
    if record.failed_at is not None and timedelta(0) <= now - record.failed_at < min(_RETRY, every):
        return False
    is_young = record.made_at is not None and timedelta(0) <= now - record.made_at < every
    return not is_young or record.apps != apps


def back_up_if_due(
    settings: ServerSettings,
    environ: Mapping[str, str],
    ledger: Ledger,
    holder: str,
    now: Callable[[], datetime],
) -> bool:
    """Make a backup, prove it and remove the oldest, if it is time to; say whether one was made.

    Raises:
        LockgateError: It could not be made, or not be proven; that is written down.
    """
    backing, begun_at = settings.backing, now()
    record = read_record(settings.backup_file)
    if not backing.to:
        return False
    if not is_due(record, backing.to, backing.every, begun_at, apps=len(ledger.apps())):
        return False
    if ledger.take_lease(_LEASE, holder, now=begun_at, until=begun_at + _LEASE_TIME) is None:
        return False
    try:
        manifest = _make(settings, environ, begun_at)
    except LockgateError as exc:
        write_record(settings.backup_file, record.failed(backing.to, now(), str(exc)))
        raise
    finally:
        ledger.release_lease(_LEASE, holder)
    write_record(
        settings.backup_file,
        BackupRecord(
            to=backing.to,
            name=manifest.name,
            made_at=manifest.made_at,
            verified_at=now(),
            size_bytes=manifest.size_bytes,
            apps=len(manifest.apps),
        ),
    )
    return True


def _make(settings: ServerSettings, environ: Mapping[str, str], now: datetime) -> Manifest:
    backing, started = settings.backing, time.monotonic()
    passphrase = None
    if backing.has_keys:
        found = find_secret(PASSPHRASE, environ)
        if found is None:
            raise UsageError("no passphrase for the keys in backups", expected=PASSPHRASE)
        passphrase = found.encode()
    wanted = Wanted(passphrase=passphrase, has_objects=backing.has_objects)
    with open_place(backing.to) as place:
        manifest = make_backup(settings, environ, place, wanted, now=now)
        with scratch_folder(settings.data) as scratch, place.open(manifest.name) as held:
            verify_backup(held, scratch, passphrase=passphrase)
        prune(place, backing.keep, spare=manifest.name)
    tell(_log, BACKUP_MADE, backup=manifest.name, ms=int((time.monotonic() - started) * 1000))
    return manifest


def start_backups(
    settings: ServerSettings,
    environ: Mapping[str, str],
    ledger: Ledger,
    holder: str,
    stop: threading.Event,
) -> None:
    """Look whether it is time, again and again, in a thread of its own; where it is wanted."""

    def run() -> None:
        while True:
            try:
                back_up_if_due(settings, environ, ledger, holder, utc_now)
            except LockgateError as exc:
                tell(_log, BACKUP_FAILED, code=exc.code, reason=str(exc))
            if stop.wait(_INTERVAL_S):
                return

    if settings.backing.to:
        threading.Thread(target=run, name="backups", daemon=True).start()
