"""The tables of the counts of reports, as named steps. A step is never edited once released."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from lockgate_server.stores.sqlite_connections import Schema

__all__ = ["SCHEMA"]

_MIGRATIONS = Migrations("lockgate-reports")


@_MIGRATIONS(name="0001_counts")
def _counts(db: Database) -> None:
    db.execute("""
        CREATE TABLE cohorts (
            app TEXT NOT NULL,
            channel TEXT NOT NULL,
            version TEXT NOT NULL,
            hour TEXT NOT NULL,
            epoch INTEGER NOT NULL,
            arm TEXT NOT NULL,
            platform TEXT NOT NULL,
            from_version TEXT NOT NULL,
            what TEXT NOT NULL,
            count INTEGER NOT NULL,
            PRIMARY KEY (
                app, channel, version, hour, epoch, arm, platform, from_version, what
            )
        ) STRICT, WITHOUT ROWID
    """)
    db.execute("""
        CREATE TABLE heard (
            app TEXT NOT NULL,
            channel TEXT NOT NULL,
            version TEXT NOT NULL,
            at TEXT NOT NULL,
            PRIMARY KEY (app, channel, version)
        ) STRICT, WITHOUT ROWID
    """)
    db.execute("""
        CREATE TABLE opening (
            position INTEGER PRIMARY KEY,
            app TEXT NOT NULL,
            channel TEXT NOT NULL,
            version TEXT NOT NULL,
            fingerprint BLOB NOT NULL,
            has_crashed INTEGER NOT NULL DEFAULT 0
        ) STRICT
    """)
    db.execute("CREATE INDEX opening_release ON opening (app, channel, version, position)")
    db.execute("""
        CREATE TABLE nonces (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            until TEXT NOT NULL,
            fingerprints BLOB NOT NULL
        ) STRICT
    """)
    db.execute("""
        CREATE TABLE active (
            app TEXT NOT NULL,
            day TEXT NOT NULL,
            channel TEXT NOT NULL,
            version TEXT NOT NULL,
            platform TEXT NOT NULL,
            clients INTEGER NOT NULL,
            PRIMARY KEY (app, day, channel, version, platform)
        ) STRICT, WITHOUT ROWID
    """)
    db.execute("""
        CREATE TABLE dropped (
            day TEXT NOT NULL,
            why TEXT NOT NULL,
            count INTEGER NOT NULL,
            PRIMARY KEY (day, why)
        ) STRICT, WITHOUT ROWID
    """)


SCHEMA = Schema(
    name="the file of report counts",
    migrations=_MIGRATIONS,
    steps=frozenset({"0001_counts"}),
    restore="Stop the server and move the file away: a new one is made. Only counts are lost; "
    "rollouts stay where they are and count from the beginning.",
)
