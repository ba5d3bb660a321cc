"""The counts of reports in one SQLite file of their own, so that they never delay a publish.

A flush is one transaction, however many reports are in it. The nonces that came with it are one
row of packed fingerprints; each process keeps those that still matter in memory and reads, at the
beginning of its next flush, what others have added. So processes find each other's repeats, and a
start forgets nothing.
"""

from __future__ import annotations

import secrets
import struct
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path

from sqlite_utils import Database

from lockgate_release.gate import Arm
from lockgate_release.instants import format_instant, parse_instant
from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.reports import Active, CohortKey
from lockgate_release.rollout.counts import Cohort, Opening
from lockgate_server.ports.reports import (
    ACTIVE_KEPT,
    COUNTS_KEPT,
    DROPPED_KEPT,
    ActiveCount,
    Added,
    Admitted,
    Drop,
)
from lockgate_server.stores.fingerprints import FINGERPRINT_BYTES, Fingerprints
from lockgate_server.stores.report_migrations import SCHEMA
from lockgate_server.stores.report_queue import QueueNotes
from lockgate_server.stores.report_tallying import (
    OPENING_KEPT,
    ReleaseKey,
    Tally,
    cohort_of,
    tally,
)
from lockgate_server.stores.sqlite_connections import Connections

__all__ = ["SqliteReportLedger"]

_MOST_NONCES = 1 << 24
_A_STEP_BACK = timedelta(hours=1)


class SqliteReportLedger:
    """A `ReportLedger` in a file, shared by the threads and processes of one machine."""

    def __init__(
        self, path: Path, *, busy_timeout_s: float = 10.0, most_nonces: int = _MOST_NONCES
    ) -> None:
        """Name the file; it is opened, and made if need be, when it is first used.

        So a damaged file is in the way of nobody who does not ask for counts.

        Args:
            path: The file, on a disk of this machine.
            busy_timeout_s: How long to wait for another writer, in seconds.
            most_nonces: How many nonces, and as many outcomes, are remembered at most: 8 bytes on
                the disk and 12 to 24 in the memory of each process for each.
        """
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._most_nonces = most_nonces
        self._opened: Connections | None = None
        self._opening = threading.Lock()
        self._queue = QueueNotes(path.with_suffix(".waiting"))
        self._seen = _Seen()
        self._adding = threading.Lock()

    @property
    def _connections(self) -> Connections:
        with self._opening:
            if self._opened is None:
                self._opened = Connections(self._path, SCHEMA, busy_timeout_s=self._busy_timeout_s)
            return self._opened

    def close(self) -> None:
        """Let go of every file."""
        with self._opening:
            if self._opened is not None:
                self._opened.close()
        self._queue.close()

    def add(
        self, admitted: Sequence[Admitted], dropped: Mapping[Drop, int], *, now: datetime
    ) -> Added:
        """Count reports, each nonce once, and what was dropped: one transaction, all or nothing.

        Where so many nonces are remembered already that no more fit, clients and how they fared
        are dropped instead (`full`): a flood takes no more of this machine than that.

        Raises:
            DiskFullError: They do not fit.
            LocalError: The file is in the way, damaged, or was written by a newer version.
        """
        with self._adding:
            self._seen.forget(now)
            with self._connections.reading() as db:
                # After a start this takes a while, and holds up nobody.
                self._seen.catch_up(db, now)
            with self._connections.writing() as db:
                self._seen.catch_up(db, now)
                fitting = admitted if len(self._seen) < self._most_nonces else _days_of(admitted)
                added = tally(fitting, self._seen)
                _write(db, added, now)
                more = {Drop.REPEATED: added.repeated, Drop.FULL: len(admitted) - len(fitting)}
                _write_dropped(db, [*dropped.items(), *more.items()], now)
        return Added(
            counted=added.counted, repeated=added.repeated, unmatched=tuple(added.unmatched)
        )

    def cohorts(self, app: AppName, channel: ChannelName, version: str) -> tuple[Cohort, ...]:
        """Return how every cohort of a release fares, oldest first.

        Raises:
            LocalError: The file is in the way.
        """
        with self._connections.reading() as db:
            rows = db.execute(
                "SELECT hour, epoch, arm, platform, from_version, what, count FROM cohorts"
                " WHERE app = ? AND channel = ? AND version = ?"
                " ORDER BY hour, epoch, arm, platform, from_version",
                (app, channel, version),
            ).fetchall()
        return tuple(
            cohort_of(
                CohortKey(
                    channel=channel,
                    version=version,
                    hour=parse_instant(hour),
                    epoch=epoch,
                    arm=Arm(arm),
                    platform=Platform(platform),
                    from_version=from_version,
                ),
                [(what, count) for *_, what, count in group],
            )
            for (hour, epoch, arm, platform, from_version), group in groupby(
                rows, key=lambda row: row[:5]
            )
        )

    def opening(self, app: AppName, channel: ChannelName, version: str, *, first: int) -> Opening:
        """Return how the very first `first` canaries fare, at most 100.

        Raises:
            LocalError: The file is in the way.
        """
        with self._connections.reading() as db:
            rows = db.execute(
                "SELECT has_crashed FROM opening WHERE app = ? AND channel = ? AND version = ?"
                " ORDER BY position LIMIT ?",
                (app, channel, version, first),
            ).fetchall()
        return Opening(canaries=len(rows), crash_loops=sum(row[0] for row in rows))

    def last_report_at(self, app: AppName, channel: ChannelName, version: str) -> datetime | None:
        """Return when a report of either arm was last counted, or None before the first.

        Raises:
            LocalError: The file is in the way.
        """
        with self._connections.reading() as db:
            row = db.execute(
                "SELECT at FROM heard WHERE app = ? AND channel = ? AND version = ?",
                (app, channel, version),
            ).fetchone()
        return None if row is None else parse_instant(row[0])

    def active(self, app: AppName, day: date) -> tuple[ActiveCount, ...]:
        """Return the counts of a day, most clients first.

        Raises:
            LocalError: The file is in the way.
        """
        with self._connections.reading() as db:
            rows = db.execute(
                "SELECT channel, version, platform, clients FROM active WHERE app = ? AND day = ?"
                " ORDER BY clients DESC, channel, version, platform",
                (app, day.isoformat()),
            ).fetchall()
        return tuple(
            ActiveCount(
                channel=ChannelName(channel),
                version=version,
                platform=Platform(platform),
                clients=clients,
            )
            for channel, version, platform, clients in rows
        )

    def dropped(self) -> Mapping[Drop, int]:
        """Return what was dropped in the days that are kept; what never was is left out.

        Raises:
            LocalError: The file is in the way.
        """
        with self._connections.reading() as db:
            rows = db.execute("SELECT why, sum(count) FROM dropped GROUP BY why ORDER BY why")
            return {Drop(why): count for why, count in rows.fetchall()}

    def note_waiting(self, waiting: int, *, now: datetime) -> None:
        """Say how many reports wait in this process, in a file beside this one.

        Raises:
            LocalError: The disk is in the way.
        """
        self._queue.note(waiting, now=now)

    def waiting(self, *, now: datetime) -> int | None:
        """Return how many reports wait in all processes, or None where none takes reports in.

        Raises:
            LocalError: The disk is in the way.
        """
        return self._queue.total(now=now)

    def prune(self, *, now: datetime) -> None:
        """Forget what is older than is kept.

        Raises:
            LocalError: The file is in the way.
        """
        counts_from = format_instant(now - COUNTS_KEPT)
        with self._connections.writing() as db:
            db.execute("DELETE FROM cohorts WHERE hour < ?", (counts_from,))
            db.execute("DELETE FROM heard WHERE at < ?", (counts_from,))
            db.execute(
                "DELETE FROM opening WHERE NOT EXISTS (SELECT 1 FROM heard WHERE"
                " heard.app = opening.app AND heard.channel = opening.channel"
                " AND heard.version = opening.version)"
            )
            db.execute("DELETE FROM nonces WHERE until < ?", (format_instant(now),))
            db.execute(
                "DELETE FROM active WHERE day < ?", ((now - ACTIVE_KEPT).date().isoformat(),)
            )
            db.execute(
                "DELETE FROM dropped WHERE day < ?", ((now - DROPPED_KEPT).date().isoformat(),)
            )


class _Seen:
    """What was seen before, as far as it still matters, by the day until which it does."""

    def __init__(self) -> None:
        self._by_day: dict[date, Fingerprints] = {}
        self._position = 0
        self._latest: datetime | None = None
        self._salt = secrets.randbits(64)

    def __len__(self) -> int:
        return sum(len(seen) for seen in self._by_day.values())

    def __contains__(self, value: object) -> bool:
        if isinstance(value, int):
            for seen in self._by_day.values():
                if value in seen:
                    return True
        return False

    def forget(self, now: datetime) -> None:
        """Forget what matters no longer; all of it, to be read again, where the clock went back."""
        if self._latest is not None and now < self._latest - _A_STEP_BACK:
            self._by_day, self._position = {}, 0
        self._latest = now
        for day in [day for day in self._by_day if day < now.date()]:
            del self._by_day[day]

    def catch_up(self, db: Database, now: datetime) -> None:
        """Read what was written since the last time, by this process or another."""
        rows = db.execute(
            "SELECT position, until, fingerprints FROM nonces WHERE position > ? AND until >= ?"
            " ORDER BY position",
            (self._position, format_instant(now)),
        )
        for position, until, packed in rows:
            day = parse_instant(until).date()
            if day not in self._by_day:
                self._by_day[day] = Fingerprints(salt=self._salt)
            self._by_day[day].update(_unpack(packed))
            self._position = position


def _days_of(admitted: Sequence[Admitted]) -> Sequence[Admitted]:
    """Return the reports that need no nonce."""
    return [one for one in admitted if isinstance(one.report, Active)]


def _unpack(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(packed) // FINGERPRINT_BYTES}Q", packed)


def _pack(fingerprints: Collection[int]) -> bytes:
    return struct.pack(f"<{len(fingerprints)}Q", *fingerprints)


def _packed(value: int) -> bytes:
    return value.to_bytes(FINGERPRINT_BYTES, "little")


def _write(db: Database, added: Tally, now: datetime) -> None:
    db.conn.executemany(
        "INSERT INTO cohorts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [
            (
                *(app, cohort.channel, cohort.version, format_instant(cohort.hour)),
                *(cohort.epoch, cohort.arm.value, cohort.platform, cohort.from_version),
                *(what, count),
            )
            for (app, cohort, what), count in added.lines.items()
        ],
    )
    db.conn.executemany(
        "INSERT OR REPLACE INTO heard VALUES (?, ?, ?, ?)",
        [(*release, format_instant(now)) for release in added.heard],
    )
    db.conn.executemany(
        "INSERT INTO active VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET clients = clients + excluded.clients",
        [
            (app, now.date().isoformat(), one.channel, one.version, one.platform, count)
            for (app, one), count in added.active.items()
        ],
    )
    if added.until is not None:
        db.execute(
            "INSERT INTO nonces (until, fingerprints) VALUES (?, ?)",
            (format_instant(added.until), _pack(added.fresh)),
        )
    _write_opening(db, added)


def _write_opening(db: Database, added: Tally) -> None:
    left: dict[ReleaseKey, int] = {}
    for release, mark in added.canaries:
        if release not in left:
            known = "SELECT count(*) FROM opening WHERE app = ? AND channel = ? AND version = ?"
            left[release] = OPENING_KEPT - int(db.execute(known, release).fetchone()[0])
        if left[release] > 0:
            left[release] -= 1
            db.execute(
                "INSERT INTO opening (app, channel, version, fingerprint) VALUES (?, ?, ?, ?)",
                (*release, _packed(mark)),
            )
    db.conn.executemany(
        "UPDATE opening SET has_crashed = 1"
        " WHERE app = ? AND channel = ? AND version = ? AND fingerprint = ?",
        [(*release, _packed(mark)) for release, mark in added.crashed],
    )


def _write_dropped(db: Database, counts: Iterable[tuple[Drop, int]], now: datetime) -> None:
    db.conn.executemany(
        "INSERT INTO dropped VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [(now.date().isoformat(), why.value, count) for why, count in counts if count],
    )
