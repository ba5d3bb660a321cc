"""Rows of the ledger as values. What cannot be read was changed by hand: no verb writes it so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from lockgate_release.errors import LocalError
from lockgate_release.instants import parse_instant
from lockgate_release.names import AppName
from lockgate_server.ports import AuditEntry, Intent, Scope, TokenInfo
from lockgate_server.stores.audit_chain import Outcome

__all__ = ["Row", "entry_of", "outcome_of", "readable_entry_of", "token_of"]

Row: TypeAlias = Mapping[str, Any]


def token_of(row: Row) -> TokenInfo:
    """Return a token."""
    return TokenInfo(
        token_id=row["token_id"],
        scope=Scope(row["scope"]),
        label=row["label"],
        created_at=parse_instant(row["created_at"]),
        revoked_at=None if row["revoked_at"] is None else parse_instant(row["revoked_at"]),
    )


def outcome_of(row: Row) -> Outcome:
    """Return a line of the log of outcomes."""
    return Outcome(entry=row["entry"], outcome=row["outcome"], chain_sha256=row["chain_sha256"])


def readable_entry_of(row: Row) -> AuditEntry | None:
    """Return an entry of the audit log, or None when it cannot be read."""
    try:
        return _parse_entry(row)
    except ValueError:
        return None


def entry_of(row: Row) -> AuditEntry:
    """Return an entry of the audit log.

    Raises:
        LocalError: It cannot be read.
    """
    try:
        return _parse_entry(row)
    except ValueError as exc:
        raise LocalError(
            "an entry of the audit log was changed by hand",
            subject=f"entry {row['number']}",
            found=str(exc),
            hint="lockgate-server verifies the whole log; restore the ledger from a backup.",
        ) from exc


def _parse_entry(row: Row) -> AuditEntry:
    details = json.loads(row["details"])
    return AuditEntry(
        number=row["number"],
        at=parse_instant(row["at"]),
        intent=Intent(
            app=AppName(row["app"]),
            actor=row["actor"],
            action=row["action"],
            details=details,
            request_id=row["request_id"],
            timestamp_sha256=row["timestamp_sha256"],
            operation_id=row["operation_id"],
        ),
        outcome=row["outcome"],
        chain_sha256=row["chain_sha256"],
    )
