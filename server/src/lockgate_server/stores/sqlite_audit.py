"""Writing the audit log's two tables, within a transaction that somebody else has begun."""

from __future__ import annotations

from datetime import datetime

from sqlite_utils import Database

from lockgate_release.instants import format_instant
from lockgate_release.strict_json import dump_json
from lockgate_server.ports import Intent
from lockgate_server.stores.audit_chain import CHAIN_START, chain_entry, chain_outcome
from lockgate_server.stores.ledger_rows import Row

__all__ = ["ABANDONED", "DONE", "add_entry", "add_outcome", "entry_with", "one"]

DONE, ABANDONED = "done", "abandoned"


def one(db: Database, query: str, *parameters: object) -> Row | None:
    """Return the first row of an answer, or None."""
    return next(iter(list(db.query(query, parameters))), None)


def add_entry(db: Database, intent: Intent, now: datetime) -> int:
    """Write an intent as an open entry, and return its number."""
    last = one(db, "SELECT * FROM audit_entries ORDER BY number DESC LIMIT 1")
    number: int = last["number"] + 1 if last else 1
    before = last["chain_sha256"] if last else CHAIN_START
    db.execute(
        "INSERT INTO audit_entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number,
            format_instant(now),
            intent.app,
            intent.actor,
            intent.action,
            dump_json(intent.details).decode(),
            intent.request_id,
            intent.timestamp_sha256,
            chain_entry(before, number, now, intent),
            intent.operation_id,
        ),
    )
    return number


def entry_with(db: Database, number: int) -> Row:
    """Return an entry with its outcome; a number that nobody was given is a `ValueError`."""
    row = one(db, "SELECT * FROM audit_log WHERE number = ?", number)
    if row is None:
        raise ValueError(f"no entry {number} in the audit log")
    return row


def add_outcome(db: Database, entry: Row, outcome: str) -> None:
    """Write how an entry has ended."""
    last = one(db, "SELECT * FROM audit_outcomes ORDER BY position DESC LIMIT 1")
    before = last["chain_sha256"] if last else CHAIN_START
    db.execute(
        "INSERT INTO audit_outcomes (entry, outcome, chain_sha256) VALUES (?, ?, ?)",
        (
            entry["number"],
            outcome,
            chain_outcome(before, entry["number"], entry["chain_sha256"], outcome),
        ),
    )
