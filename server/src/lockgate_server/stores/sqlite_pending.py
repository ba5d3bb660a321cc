"""Changes that wait for signatures, in the ledger's file; each verb one transaction.

1. An app has at most one of a role: the table says so, whatever two callers do at once.
2. A signature is added to what is pending at that moment, once for each key.
3. An attempt to put a change in force is written with its intent, and refused where the change is
   gone. A change is dropped only while no attempt at it can still succeed. So what was withdrawn
   cannot come into force, and what is coming into force cannot be withdrawn.
4. That an attempt has succeeded is written with the outcome of its intent, and the change goes.
5. What was withdrawn is remembered by its digest: a list that was signed to the end, and stands in
   the store already, is finished by nobody.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime

from sqlite_utils import Database

from lockgate_release.errors import ConflictError
from lockgate_release.instants import format_instant, parse_instant
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.strict_json import dump_json
from lockgate_server.ports import Attempt, Intent, PendingChange, PendingSignature
from lockgate_server.stores.ledger_rows import Row
from lockgate_server.stores.sqlite_audit import DONE, add_entry, add_outcome, entry_with, one
from lockgate_server.stores.sqlite_connections import Connections

__all__ = ["SqlitePending", "end_attempt", "note_attempt"]


class SqlitePending:
    """The verbs of `PendingLedger`, over the connections of a ledger."""

    _connections: Connections

    def begin_pending(
        self, change: PendingChange, intent: Intent, *, now: datetime, instead_of: str = ""
    ) -> bool:
        """Keep a change; False where this very change is kept already.

        Raises:
            ConflictError: Another change of this role is pending, or has been signed meanwhile.
            DiskFullError: It does not fit.
            LocalError: The file is in the way.
        """
        with self._connections.writing() as db:
            found = one(
                db, "SELECT * FROM pending WHERE app = ? AND role = ?", change.app, change.role
            )
            if found is not None and found["change_id"] == change.change_id:
                return False
            if found is not None:
                _check_replaceable(db, found, instead_of)
                _drop(db, found["change_id"])
            _insert(db, change)
            _done(db, intent, now)
        return True

    def pending(self, app: AppName) -> tuple[PendingChange, ...]:
        """Return the app's pending changes, by role.

        Raises:
            LocalError: The file is in the way.
        """
        with self._connections.reading() as db:
            rows = list(db.query("SELECT * FROM pending WHERE app = ? ORDER BY role", (app,)))
            return tuple(_change_of(db, row) for row in rows)

    def add_signatures(
        self,
        app: AppName,
        change_id: Sha256Hex,
        signatures: Sequence[PendingSignature],
        intent: Intent,
        *,
        now: datetime,
    ) -> bool:
        """Keep signatures of a pending change; False where each key's is kept already.

        Raises:
            ConflictError: It is not pending any more.
            LocalError: The file is in the way.
        """
        with self._connections.writing() as db:
            _check_pending(db, app, change_id)
            count = sum(_insert_signature(db, change_id, item) for item in signatures)
            if count:
                _done(db, intent, now)
        return count > 0

    def withdraw_pending(
        self, app: AppName, change_id: Sha256Hex, intent: Intent, *, now: datetime, lost_to: int
    ) -> bool:
        """Drop a pending change for good; False where it is not pending any more.

        Raises:
            ConflictError: An attempt to put it in force may still succeed.
            LocalError: The file is in the way.
        """
        with self._connections.writing() as db:
            if not _is_pending(db, app, change_id):
                return False
            attempt = one(
                db,
                "SELECT * FROM pending_attempts WHERE change_id = ? AND timestamp_version > ?",
                change_id,
                lost_to,
            )
            if attempt is not None:
                raise ConflictError(
                    "it is coming into force at this moment",
                    subject=app,
                    hint="Run the same command again: it says how that has ended.",
                )
            _drop(db, change_id)
            db.execute(
                "INSERT OR REPLACE INTO pending_withdrawn VALUES (?, ?, ?)",
                (app, change_id, format_instant(now)),
            )
            _done(db, intent, now)
        return True

    def was_withdrawn(self, app: AppName, change_id: Sha256Hex) -> bool:
        """Whether a change with this list was withdrawn, and not begun again since.

        Raises:
            LocalError: The file is in the way.
        """
        query = "SELECT * FROM pending_withdrawn WHERE app = ? AND change_id = ?"
        with self._connections.reading() as db:
            return one(db, query, app, change_id) is not None


def note_attempt(db: Database, entry: int, app: AppName, attempt: Attempt) -> None:
    """Write that an entry is an attempt at a change.

    Raises:
        ConflictError: The change is not pending any more.
    """
    _check_pending(db, app, attempt.change_id)
    db.execute(
        "INSERT INTO pending_attempts VALUES (?, ?, ?)",
        (entry, attempt.change_id, attempt.timestamp_version),
    )


def end_attempt(db: Database, entry: int) -> None:
    """Drop the change that an entry has put in force, if it was an attempt at one."""
    row = one(db, "SELECT * FROM pending_attempts WHERE entry = ?", entry)
    if row is not None:
        _drop(db, row["change_id"])


def _is_pending(db: Database, app: AppName, change_id: str) -> bool:
    query = "SELECT * FROM pending WHERE app = ? AND change_id = ?"
    return one(db, query, app, change_id) is not None


def _check_pending(db: Database, app: AppName, change_id: str) -> None:
    if not _is_pending(db, app, change_id):
        raise ConflictError(
            "not pending any more",
            subject=app,
            expected=f"change {change_id[:12]}",
            hint="It is in force, or somebody has withdrawn it: `lockgate audit` says which.",
        )


def _check_replaceable(db: Database, found: Row, instead_of: str) -> None:
    signed = one(db, "SELECT * FROM pending_signatures WHERE change_id = ?", found["change_id"])
    if found["change_id"] != instead_of or signed is not None:
        raise ConflictError("another change is pending", subject=found["app"], found=found["title"])


def _insert(db: Database, change: PendingChange) -> None:
    db.execute(
        "INSERT INTO pending VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            change.change_id,
            change.app,
            change.role,
            change.number,
            change.metadata,
            _pack(change),
            dump_json(change.wishes).decode(),
            change.title,
            change.actor,
            format_instant(change.began_at),
        ),
    )
    db.execute(
        "DELETE FROM pending_withdrawn WHERE app = ? AND change_id = ?",
        (change.app, change.change_id),
    )
    for signature in change.signatures:
        _insert_signature(db, change.change_id, signature)


def _pack(change: PendingChange) -> str:
    packed = {path: base64.b64encode(data).decode() for path, data in change.documents.items()}
    return dump_json(packed).decode()


def _insert_signature(db: Database, change_id: str, signature: PendingSignature) -> bool:
    done = db.execute(
        "INSERT OR IGNORE INTO pending_signatures (change_id, keyid, signature, actor, at)"
        " VALUES (?, ?, ?, ?, ?)",
        (
            change_id,
            signature.keyid,
            signature.signature,
            signature.actor,
            format_instant(signature.at),
        ),
    )
    return done.rowcount == 1


def _drop(db: Database, change_id: str) -> None:
    # Attempts stay: an intent that is closed late must still be known as one.
    db.execute("DELETE FROM pending_signatures WHERE change_id = ?", (change_id,))
    db.execute("DELETE FROM pending WHERE change_id = ?", (change_id,))


def _done(db: Database, intent: Intent, now: datetime) -> None:
    add_outcome(db, entry_with(db, add_entry(db, intent, now)), DONE)


def _change_of(db: Database, row: Row) -> PendingChange:
    query = "SELECT * FROM pending_signatures WHERE change_id = ? ORDER BY position"
    documents = json.loads(row["documents"])
    return PendingChange(
        change_id=Sha256Hex(row["change_id"]),
        app=AppName(row["app"]),
        role=row["role"],
        number=row["number"],
        metadata=bytes(row["metadata"]),
        documents={path: base64.b64decode(data) for path, data in documents.items()},
        wishes=json.loads(row["wishes"]),
        title=row["title"],
        actor=row["actor"],
        began_at=parse_instant(row["began_at"]),
        signatures=tuple(map(_signature_of, db.query(query, (row["change_id"],)))),
    )


def _signature_of(row: Row) -> PendingSignature:
    return PendingSignature(
        keyid=row["keyid"],
        signature=row["signature"],
        actor=row["actor"],
        at=parse_instant(row["at"]),
    )
