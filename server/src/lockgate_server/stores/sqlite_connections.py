"""Connections to one SQLite file: one per thread, durable, and with SQLite's errors translated.

1. The file is in WAL mode, so that readers and the one writer do not wait for each other, with
   `synchronous=FULL`, so that what was committed survives a power cut.
2. A writing transaction takes the write lock at once (`BEGIN IMMEDIATE`): it never finds at its
   end that what it has read is no longer so.
3. The first thing a process does is to bring the file's tables up to date, alone: SQLite's own
   waiting does not cover the change to WAL mode.
4. A connection is never used across a fork.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database, Migrations

from lockgate_release.errors import DiskFullError, LocalError
from lockgate_server.stores.disk import disk_errors, make_durable_folder

__all__ = ["Connections", "Schema", "sqlite_errors"]

_PRIVATE_FILE = 0o600
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_TROUBLE = {
    sqlite3.SQLITE_CORRUPT: ("{} is damaged", ""),
    sqlite3.SQLITE_NOTADB: ("{} is no SQLite file", ""),
    sqlite3.SQLITE_BUSY: (
        "{} is held by another process",
        "Try again; should it last, look for a process that hangs.",
    ),
    sqlite3.SQLITE_LOCKED: ("{} is held by another connection", "Try again."),
    sqlite3.SQLITE_READONLY: ("{} cannot be written", "Look at its owner and mode."),
    sqlite3.SQLITE_PERM: ("{} cannot be written", "Look at its owner and mode."),
    sqlite3.SQLITE_CANTOPEN: ("{} cannot be opened", "Look at its folder and mode."),
    sqlite3.SQLITE_IOERR: ("the disk fails under {}", "Look at the disk's health."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What a file holds.

    Attributes:
        name: What it is called in messages, such as `the ledger`.
        migrations: Its tables, as named steps from an empty file.
        steps: The name of every step there is.
        restore: What to do where it is damaged.
    """

    name: str
    migrations: Migrations
    steps: frozenset[str]
    restore: str

    def unknown_steps(self, db: Database) -> list[str]:
        """Return the steps that were taken on a file and that this version does not know."""
        return sorted({step.name for step in self.migrations.applied(db)} - self.steps)


@contextmanager
def sqlite_errors(path: Path, schema: Schema) -> Iterator[None]:
    """Translate what SQLite says of a file in the block.

    Raises:
        DiskFullError: The disk is full.
        LocalError: The file is damaged, held, or in the way otherwise.
    """
    try:
        yield
    except sqlite3.DatabaseError as exc:
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise DiskFullError(
                f"{schema.name} does not fit", subject=str(path), hint="Make room and try again."
            ) from exc
        if code not in _TROUBLE:
            raise
        what, hint = _TROUBLE[code]
        raise LocalError(
            what.format(schema.name),
            subject=str(path),
            found=str(exc),
            hint=schema.restore if code in _DAMAGED else hint,
        ) from exc


class Connections:
    """The connections of one process to one file."""

    def __init__(self, path: Path, schema: Schema, *, busy_timeout_s: float) -> None:
        """Open the file, making it if need be, and bring its tables up to date.

        Args:
            path: The file.
            schema: What it holds.
            busy_timeout_s: How long to wait for another writer, in seconds.

        Raises:
            LocalError: It cannot be opened, is damaged, or was written by a newer version.
        """
        self._path = path
        self._schema = schema
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._open: dict[threading.Thread, Database] = {}
        # After a fork these stay open: closing them would let go of locks that the parent holds.
        self._inherited: list[Database] = []
        self._closed = False
        self._prepare()

    def close(self) -> None:
        """Close the connections of every thread."""
        with self._lock:
            self._closed = True
            while self._open:
                self._open.popitem()[1].close()

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """Yields a connection that sees one state throughout the block.

        Raises:
            LocalError: The file cannot be read.
        """
        with sqlite_errors(self._path, self._schema):
            database = self._mine()
            with _transaction(database, "BEGIN"):
                yield database

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """Yields a connection whose writes are durable after the block, all or none.

        Raises:
            DiskFullError: They do not fit.
            LocalError: The file cannot be written.
        """
        with sqlite_errors(self._path, self._schema):
            database = self._mine()
            with _transaction(database, "BEGIN IMMEDIATE"):
                yield database

    def _mine(self) -> Database:
        thread = threading.current_thread()
        with self._lock:
            if self._closed:
                raise ValueError(f"{self._schema.name} was closed")
            if self._process != os.getpid():
                self._inherited.extend(self._open.values())
                self._open.clear()
                self._process = os.getpid()
            if thread not in self._open:
                for gone in [other for other in self._open if not other.is_alive()]:
                    self._open.pop(gone).close()
                self._open[thread] = self._connect()
            return self._open[thread]

    def _connect(self) -> Database:
        # `close` closes connections of other threads; apart from that each stays with its own.
        connection = sqlite3.connect(
            self._path,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            database = Database(connection)
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return database

    def _prepare(self) -> None:
        with disk_errors(str(self._path)):
            make_durable_folder(self._path.parent)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
                # SQLite gives its own files the mode of this one.
                with suppress(FileExistsError):
                    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                    os.close(os.open(self._path, flags, _PRIVATE_FILE))
                    os.fsync(folder)
                self._migrate()
            finally:
                os.close(folder)

    def _migrate(self) -> None:
        with sqlite_errors(self._path, self._schema), closing(self._connect()) as database:
            database.enable_wal()
            with _transaction(database, "BEGIN IMMEDIATE"):
                unknown = self._schema.unknown_steps(database)
                if unknown:
                    raise LocalError(
                        f"{self._schema.name} was written by a newer version of the server",
                        subject=str(self._path),
                        found=", ".join(unknown),
                        hint="Install that version again, or restore the backup made before it.",
                    )
                self._schema.migrations.apply(database)


@contextmanager
def _transaction(database: Database, begin: str) -> Iterator[None]:
    database.execute(begin)
    try:
        yield
        database.commit()
    except BaseException:
        # What went wrong first is what counts; SQLite may have rolled back by itself.
        with suppress(sqlite3.Error):
            database.rollback()
        raise
