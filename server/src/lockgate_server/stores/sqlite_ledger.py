"""The ledger in one SQLite file: what people did, and how far each app has got.

Every verb is one transaction, so a crash leaves it done or not begun. The audit log is two tables
that only grow: entries, written before anything else is, and outcomes, added when they are known.
An entry without an outcome is open, and stays so across a crash until somebody has compared its
digest with the store. `audit_chain` says what the hashes cover.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sqlite_utils import Database

from lockgate_release.errors import ConflictError, LocalError
from lockgate_release.instants import format_instant, parse_instant
from lockgate_release.names import AppName
from lockgate_server.ports import Attempt, AuditEntry, Highest, Intent, Lease, Scope, TokenInfo
from lockgate_server.stores.audit_chain import (
    find_first_broken,
    merge_highest,
)
from lockgate_server.stores.ledger_migrations import SCHEMA
from lockgate_server.stores.ledger_rows import (
    entry_of,
    outcome_of,
    readable_entry_of,
    token_of,
)
from lockgate_server.stores.sqlite_audit import (
    ABANDONED,
    DONE,
    add_entry,
    add_outcome,
    entry_with,
    one,
)
from lockgate_server.stores.sqlite_connections import Connections
from lockgate_server.stores.sqlite_pending import SqlitePending, end_attempt, note_attempt

__all__ = ["SqliteLedger"]


class SqliteLedger(SqlitePending):
    """A `Ledger` in a file, shared by the threads and processes of one machine."""

    def __init__(
        self,
        path: Path,
        *,
        busy_timeout_s: float = 10.0,
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        """Open the ledger, making the file if need be.

        Args:
            path: The file, on a disk of this machine.
            busy_timeout_s: How long to wait for another writer, in seconds.
            new_id: Makes the id of a new token.

        Raises:
            LocalError: It cannot be opened, is damaged, or was written by a newer version.
        """
        self._connections = Connections(path, SCHEMA, busy_timeout_s=busy_timeout_s)
        self._new_id = new_id

    def close(self) -> None:
        """Let go of every file."""
        self._connections.close()

    def is_usable(self) -> bool:
        """Whether the ledger answers a read and takes a write now; nothing is changed by it."""
        try:
            with self._connections.writing() as db:
                one(db, "SELECT count(*) FROM apps")
                db.execute("INSERT INTO leases VALUES ('~probe', '', '')")
                db.rollback()
        except LocalError:
            return False
        return True

    def create_token(
        self, *, scope: Scope, label: str, secret_sha256: str, now: datetime
    ) -> TokenInfo:
        """Record a token by the hash of its secret.

        Raises:
            ConflictError: There is, or was, a token with this secret.
            LocalError: The file is in the way.
        """
        token_id, created_at = self._new_id(), format_instant(now)
        with self._connections.writing() as db:
            try:
                db.execute(
                    "INSERT INTO tokens (token_id, secret_sha256, scope, label, created_at)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (token_id, secret_sha256, scope.value, label, created_at),
                )
            except sqlite3.IntegrityError as exc:
                raise ConflictError("there is such a token already", subject=label) from exc
        return TokenInfo(
            token_id=token_id, scope=scope, label=label, created_at=parse_instant(created_at)
        )

    def find_token(self, secret_sha256: str) -> TokenInfo | None:
        """Return the living token with this hash, or None.

        Raises:
            LocalError: The file is in the way.
        """
        with self._connections.reading() as db:
            row = one(
                db,
                "SELECT * FROM tokens WHERE secret_sha256 = ? AND revoked_at IS NULL",
                secret_sha256,
            )
        return None if row is None else token_of(row)

    def tokens(self) -> tuple[TokenInfo, ...]:
        """Return every token ever made, oldest first.

        Raises:
            LocalError: The file is in the way.
        """
        with self._connections.reading() as db:
            return tuple(map(token_of, db.query("SELECT * FROM tokens ORDER BY position")))

    def revoke_token(self, token_id: str, *, now: datetime) -> bool:
        """End a token's life; False where there is no living one.

        Raises:
            LocalError: The file is in the way.
        """
        with self._connections.writing() as db:
            done = db.execute(
                "UPDATE tokens SET revoked_at = ? WHERE token_id = ? AND revoked_at IS NULL",
                (format_instant(now), token_id),
            )
            return done.rowcount == 1

    def pin_app(self, app: AppName, root: bytes) -> None:
        """Record an app and the root it is trusted by. The same again changes nothing.

        Raises:
            ConflictError: It is pinned to another root already.
            LocalError: The file is in the way.
        """
        with self._connections.writing() as db:
            db.execute("INSERT OR IGNORE INTO apps VALUES (?, ?)", (app, root))
            row = one(db, "SELECT root FROM apps WHERE app = ?", app)
        if row is None or row["root"] != root:
            raise ConflictError(
                "pinned to another root already",
                subject=app,
                hint="An app's root changes by a new root that the old one signs.",
            )

    def pinned_root(self, app: AppName) -> bytes | None:
        """Return the root an app is trusted by, or None where there is no such app.

        Raises:
            LocalError: The file is in the way.
        """
        with self._connections.reading() as db:
            row = one(db, "SELECT root FROM apps WHERE app = ?", app)
        return None if row is None else bytes(row["root"])

    def apps(self) -> tuple[AppName, ...]:
        """Return every pinned app, by name.

        Raises:
            LocalError: The file is in the way.
        """
        with self._connections.reading() as db:
            return tuple(row["app"] for row in db.query("SELECT app FROM apps ORDER BY app"))

    def begin(self, intent: Intent, *, now: datetime, attempt: Attempt | None = None) -> int:
        """Write an intent, as an open entry of the audit log, and return its number.

        Raises:
            ConflictError: It is an attempt at a change that is not pending any more.
            DiskFullError: It does not fit.
            LocalError: The file is in the way.
        """
        with self._connections.writing() as db:
            number = add_entry(db, intent, now)
            if attempt is not None:
                note_attempt(db, number, intent.app, attempt)
        return number

    def finish(self, number: int, highest: Highest) -> None:
        """Close an entry as done and raise what was recorded as highest, in one transaction.

        Raises:
            DiskFullError: It does not fit.
            LocalError: The file is in the way.
        """
        with self._connections.writing() as db:
            entry = entry_with(db, number)
            if entry["outcome"] != DONE:
                add_outcome(db, entry, DONE)
            end_attempt(db, number)
            app = AppName(entry["app"])
            _store_highest(db, app, merge_highest(_load_highest(db, app), highest))

    def abandon(self, number: int) -> None:
        """Close an entry as abandoned: its timestamp did not come into force.

        Raises:
            DiskFullError: It does not fit.
            LocalError: The file is in the way.
        """
        with self._connections.writing() as db:
            entry = entry_with(db, number)
            if entry["outcome"] not in {DONE, ABANDONED}:
                add_outcome(db, entry, ABANDONED)

    def open_entries(self, app: AppName) -> tuple[AuditEntry, ...]:
        """Return the app's open entries, oldest first.

        Raises:
            LocalError: The file is in the way, or an entry was changed by hand.
        """
        query = (
            "SELECT * FROM audit_log WHERE number IN (SELECT entry FROM audit_open)"
            " AND app = ? AND outcome = 'open' ORDER BY number"
        )
        with self._connections.reading() as db:
            return tuple(map(entry_of, db.query(query, (app,))))

    def highest(self, app: AppName) -> Highest | None:
        """Return the newest state ever signed here, or None before the first.

        Raises:
            LocalError: The file is in the way.
        """
        with self._connections.reading() as db:
            return _load_highest(db, app)

    def audit(self, app: AppName | None, *, limit: int) -> tuple[AuditEntry, ...]:
        """Return the newest entries, newest first, of one app or of all.

        Raises:
            LocalError: The file is in the way, or an entry was changed by hand.
        """
        most = max(0, limit)
        with self._connections.reading() as db:
            if app is None:
                rows = db.query("SELECT * FROM audit_log ORDER BY number DESC LIMIT ?", (most,))
            else:
                rows = db.query(
                    "SELECT * FROM audit_log WHERE app = ? ORDER BY number DESC LIMIT ?",
                    (app, most),
                )
            return tuple(map(entry_of, rows))

    def verify_audit(self) -> int | None:
        """Return the number of the first entry that is missing or was changed, or None.

        Raises:
            LocalError: The file is in the way.
        """
        with self._connections.reading() as db:
            entries = db.query("SELECT * FROM audit_log ORDER BY number")
            outcomes = db.query("SELECT * FROM audit_outcomes ORDER BY position")
            return find_first_broken(
                ((row["number"], readable_entry_of(row)) for row in entries),
                map(outcome_of, outcomes),
            )

    def take_lease(self, name: str, holder: str, *, now: datetime, until: datetime) -> Lease | None:
        """Take or extend a lease; None where somebody else holds it at `now`.

        Raises:
            LocalError: The file is in the way.
        """
        expires_at, latest = format_instant(until), format_instant(until + (until - now))
        with self._connections.writing() as db:
            row = one(db, "SELECT * FROM leases WHERE name = ?", name)
            # The form of an instant is fixed, so texts compare as times do.
            if (
                row
                and row["holder"] != holder
                and format_instant(now) < row["expires_at"] <= latest
            ):
                return None
            db.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (name, holder, expires_at))
        return Lease(name=name, holder=holder, expires_at=parse_instant(expires_at))

    def release_lease(self, name: str, holder: str) -> None:
        """Give a lease back; that it is not held is no error.

        Raises:
            LocalError: The file is in the way.
        """
        with self._connections.writing() as db:
            db.execute("DELETE FROM leases WHERE name = ? AND holder = ?", (name, holder))


def _load_highest(db: Database, app: AppName) -> Highest | None:
    row = one(db, "SELECT * FROM highest WHERE app = ?", app)
    if row is None:
        return None
    found = db.query("SELECT * FROM highest_sequences WHERE app = ? ORDER BY channel", (app,))
    return Highest(
        root=row["root"],
        timestamp=row["timestamp"],
        snapshot=row["snapshot"],
        releases=row["releases"],
        sequences={line["channel"]: line["sequence"] for line in found},
    )


def _store_highest(db: Database, app: AppName, highest: Highest) -> None:
    db.execute(
        "INSERT INTO highest VALUES (?, ?, ?, ?, ?) ON CONFLICT (app) DO UPDATE SET"
        " root = excluded.root, timestamp = excluded.timestamp,"
        " snapshot = excluded.snapshot, releases = excluded.releases",
        (app, highest.root, highest.timestamp, highest.snapshot, highest.releases),
    )
    for channel, sequence in highest.sequences.items():
        db.execute(
            "INSERT INTO highest_sequences VALUES (?, ?, ?)"
            " ON CONFLICT (app, channel) DO UPDATE SET sequence = excluded.sequence",
            (app, channel, sequence),
        )
