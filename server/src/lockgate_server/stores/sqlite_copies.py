"""Copies of SQLite files that are in use: one moment of them, whole, in one file.

SQLite's own backup does it: writers go on meanwhile, and what they commit later is not in the copy.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from lockgate_release.errors import LocalError
from lockgate_server.stores.disk import disk_errors
from lockgate_server.stores.sqlite_connections import Schema, sqlite_errors

__all__ = ["check_whole", "copy_database", "forget_state", "seal"]

_PRIVATE_FILE = 0o600
_TIMEOUT_S = 30.0


def copy_database(source: Path, target: Path, schema: Schema) -> None:
    """Copy a file that may be in use to where nothing is.

    Raises:
        DiskFullError: It does not fit.
        LocalError: It cannot be read, is damaged, or the copy cannot be written.
    """
    with disk_errors(str(target)):
        target.touch(_PRIVATE_FILE, exist_ok=False)
    # Opened so that a file that is not there is not made.
    address = f"file:{quote(str(source.resolve()))}?mode=rw"
    with (
        sqlite_errors(source, schema),
        closing(sqlite3.connect(address, uri=True, timeout=_TIMEOUT_S)) as there,
        closing(sqlite3.connect(target)) as here,
    ):
        there.backup(here)
    seal(target, schema)


def seal(path: Path, schema: Schema) -> None:
    """Make a file one file: nothing of it waits in another one beside it.

    Raises:
        LocalError: It is damaged, or cannot be written.
    """
    with sqlite_errors(path, schema), closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    check_whole(path, schema)


def check_whole(path: Path, schema: Schema) -> None:
    """Return when SQLite finds no damage in a file.

    Raises:
        LocalError: It does.
    """
    with sqlite_errors(path, schema), closing(sqlite3.connect(path)) as db:
        found = [str(row[0]) for row in db.execute("PRAGMA integrity_check(3)")]
        lost = list(db.execute("PRAGMA foreign_key_check"))
    if found != ["ok"] or lost:
        raise LocalError(
            f"{schema.name} is damaged",
            subject=str(path),
            found="; ".join(found)[:300] if found != ["ok"] else "rows that name what is not there",
            hint=schema.restore,
        )


def forget_state(path: Path, schema: Schema) -> None:
    """Take out of a ledger's copy how far each app had got, and who holds which lease.

    A copy that somebody puts in place knows nothing newer than itself: without these numbers the
    server signs nothing until a person has confirmed the state.

    Raises:
        LocalError: It cannot be written.
    """
    with sqlite_errors(path, schema), closing(sqlite3.connect(path)) as db, db:
        for table in ("highest_sequences", "highest", "leases"):
            db.execute(f"DELETE FROM {table}")  # noqa: S608 (the names stand above)
