"""The ledger's tables, as named steps from an empty file. A step is never edited once released.

Both logs refuse `UPDATE` and `DELETE` by themselves, so that no bug and no hasty hand rewrites
what people did. Whoever owns the file can still do it; `verify_audit` is there to find it.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from lockgate_server.stores.sqlite_connections import Schema

__all__ = ["MIGRATIONS", "SCHEMA", "STEPS"]

MIGRATIONS = Migrations("lockgate")

STEPS = frozenset(
    {
        "0001_tokens",
        "0002_apps",
        "0003_audit",
        "0004_leases",
        "0005_open",
        "0006_operations",
        "0007_pending",
    }
)
"""The name of every step there is."""


@MIGRATIONS(name="0001_tokens")
def _tokens(db: Database) -> None:
    db.execute("""
        CREATE TABLE tokens (
            position INTEGER PRIMARY KEY,
            token_id TEXT NOT NULL UNIQUE,
            secret_sha256 TEXT NOT NULL UNIQUE,
            scope TEXT NOT NULL,
            label TEXT NOT NULL,
            created_at TEXT NOT NULL,
            revoked_at TEXT
        ) STRICT
    """)


@MIGRATIONS(name="0002_apps")
def _apps(db: Database) -> None:
    db.execute("CREATE TABLE apps (app TEXT PRIMARY KEY, root BLOB NOT NULL) STRICT")
    db.execute("""
        CREATE TABLE highest (
            app TEXT PRIMARY KEY,
            root INTEGER NOT NULL,
            timestamp INTEGER NOT NULL,
            snapshot INTEGER NOT NULL,
            releases INTEGER NOT NULL
        ) STRICT
    """)
    db.execute("""
        CREATE TABLE highest_sequences (
            app TEXT NOT NULL REFERENCES highest,
            channel TEXT NOT NULL,
            sequence INTEGER NOT NULL,
            PRIMARY KEY (app, channel)
        ) STRICT
    """)


@MIGRATIONS(name="0003_audit")
def _audit(db: Database) -> None:
    db.execute("""
        CREATE TABLE audit_entries (
            number INTEGER PRIMARY KEY,
            at TEXT NOT NULL,
            app TEXT NOT NULL,
            actor TEXT NOT NULL,
            action TEXT NOT NULL,
            details TEXT NOT NULL,
            request_id TEXT NOT NULL,
            timestamp_sha256 TEXT NOT NULL,
            chain_sha256 TEXT NOT NULL
        ) STRICT
    """)
    db.execute("CREATE INDEX audit_entries_app ON audit_entries (app, number)")
    db.execute("""
        CREATE TABLE audit_outcomes (
            position INTEGER PRIMARY KEY,
            entry INTEGER NOT NULL REFERENCES audit_entries,
            outcome TEXT NOT NULL,
            chain_sha256 TEXT NOT NULL
        ) STRICT
    """)
    db.execute("CREATE INDEX audit_outcomes_entry ON audit_outcomes (entry, position)")
    db.execute("""
        CREATE VIEW audit_log AS
        SELECT *, coalesce(
            (
                SELECT outcome FROM audit_outcomes
                WHERE entry = number ORDER BY position DESC LIMIT 1
            ),
            'open'
        ) AS outcome
        FROM audit_entries
    """)
    for table in ("audit_entries", "audit_outcomes"):
        for verb in ("UPDATE", "DELETE"):
            db.execute(f"""
                CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}
                BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END
            """)


@MIGRATIONS(name="0004_leases")
def _leases(db: Database) -> None:
    db.execute("""
        CREATE TABLE leases (
            name TEXT PRIMARY KEY,
            holder TEXT NOT NULL,
            expires_at TEXT NOT NULL
        ) STRICT
    """)


@MIGRATIONS(name="0005_open")
def _open(db: Database) -> None:
    """Name the open entries, so that finding them takes no longer as the log grows."""
    db.execute("CREATE TABLE audit_open (entry INTEGER PRIMARY KEY) STRICT")
    db.execute("INSERT INTO audit_open SELECT number FROM audit_log WHERE outcome = 'open'")
    db.execute("""
        CREATE TRIGGER audit_entries_opens AFTER INSERT ON audit_entries
        BEGIN INSERT INTO audit_open VALUES (new.number); END
    """)
    db.execute("""
        CREATE TRIGGER audit_outcomes_closes AFTER INSERT ON audit_outcomes
        BEGIN DELETE FROM audit_open WHERE entry = new.entry; END
    """)


@MIGRATIONS(name="0006_operations")
def _operations(db: Database) -> None:
    """Note which run of a command an entry belongs to; older entries belong to none."""
    db.execute("ALTER TABLE audit_entries ADD COLUMN operation_id TEXT NOT NULL DEFAULT ''")


@MIGRATIONS(name="0007_pending")
def _pending(db: Database) -> None:
    """Keep changes that wait for signatures: at most one for each app and role."""
    db.execute("""
        CREATE TABLE pending (
            change_id TEXT PRIMARY KEY,
            app TEXT NOT NULL,
            role TEXT NOT NULL,
            number INTEGER NOT NULL,
            metadata BLOB NOT NULL,
            documents TEXT NOT NULL,
            wishes TEXT NOT NULL,
            title TEXT NOT NULL,
            actor TEXT NOT NULL,
            began_at TEXT NOT NULL,
            UNIQUE (app, role)
        ) STRICT
    """)
    db.execute("""
        CREATE TABLE pending_signatures (
            position INTEGER PRIMARY KEY,
            change_id TEXT NOT NULL REFERENCES pending,
            keyid TEXT NOT NULL,
            signature TEXT NOT NULL,
            actor TEXT NOT NULL,
            at TEXT NOT NULL,
            UNIQUE (change_id, keyid)
        ) STRICT
    """)
    db.execute("""
        CREATE TABLE pending_attempts (
            entry INTEGER PRIMARY KEY REFERENCES audit_entries,
            change_id TEXT NOT NULL,
            timestamp_version INTEGER NOT NULL
        ) STRICT
    """)
    db.execute("CREATE INDEX pending_attempts_change ON pending_attempts (change_id)")
    db.execute("""
        CREATE TABLE pending_withdrawn (
            app TEXT NOT NULL,
            change_id TEXT NOT NULL,
            at TEXT NOT NULL,
            PRIMARY KEY (app, change_id)
        ) STRICT
    """)


SCHEMA = Schema(
    name="the ledger",
    migrations=MIGRATIONS,
    steps=STEPS,
    restore="Stop the server, keep the file for an examination, and put the newest backup of the "
    "ledger in its place. No release is lost: those are in the object store.",
)
