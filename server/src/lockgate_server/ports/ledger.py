"""The port to the ledger, which holds what people did and how far each app has got."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from lockgate_release.names import AppName
from lockgate_release.strict_json import JsonObject
from lockgate_server.ports.pending import Attempt, PendingLedger

__all__ = [
    "AuditEntry",
    "Highest",
    "Intent",
    "Lease",
    "Ledger",
    "Scope",
    "TokenInfo",
]


class Scope(StrEnum):
    """What a token may do; each scope includes those before it."""

    READ = "read"
    PUBLISH = "publish"
    ADMIN = "admin"

    def includes(self, other: Scope) -> bool:
        """Whether a holder of this scope may do what `other` allows."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """A token, without its secret: only a hash of that is ever stored."""

    token_id: str
    scope: Scope
    label: str
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Highest:
    """The newest state of an app that was ever signed here: never to be gone below.

    Attributes:
        root: Version of root.
        timestamp: Version of the timestamp.
        snapshot: Version of the snapshot.
        releases: Version of the list of releases.
        sequences: Sequence of each channel's document, and number of each further list of
            releases, as `role/<role>`.
    """

    root: int
    timestamp: int
    snapshot: int
    releases: int
    sequences: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Who wants to change what, and why: written before anything is.

    Attributes:
        app: The app.
        actor: The token's label and id, or the operating system's user on the server itself.
        action: Such as `publish`, `revoke`, `rollout.pause`, `resign`.
        details: What exactly, and why; no secrets.
        request_id: The request it came with, or "".
        timestamp_sha256: The digest of the timestamp that will put it in force.
        operation_id: The run of a command that it belongs to, as the command says it, or "".
    """

    app: AppName
    actor: str
    action: str
    details: JsonObject
    request_id: str
    timestamp_sha256: str
    operation_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An intent as it stands in the log. Each entry's hash covers the one before it.

    An outcome is known later than its intent, so it is no part of `chain_sha256`: outcomes are a
    log of their own, chained in the same way, and `Ledger.verify_audit` checks both.

    Attributes:
        number: Counts up from 1, without a gap.
        at: When it was written.
        intent: What was wanted.
        outcome: `open`, `done` or `abandoned`.
        chain_sha256: SHA-256 over the hash of the entry before, in hex (64 zeros before the
            first), and this entry as canonical JSON: number, time and every field of its intent.
    """

    number: int
    at: datetime
    intent: Intent
    outcome: str
    chain_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to do a job alone, until it runs out."""

    name: str
    holder: str
    expires_at: datetime


class Ledger(PendingLedger, Protocol):
    """What people did, and how far each app has got. Its verbs are use cases, never tables.

    Safe to share between threads and processes. Raises `LocalError` when its disk is in the way.
    Times are kept in whole seconds.
    """

    def create_token(
        self, *, scope: Scope, label: str, secret_sha256: str, now: datetime
    ) -> TokenInfo:
        """Record a token by the hash of its secret.

        Raises:
            ConflictError: There is, or was, a token with this secret.
        """
        ...

    def find_token(self, secret_sha256: str) -> TokenInfo | None:
        """Return the living token with this hash, or None."""
        ...

    def tokens(self) -> tuple[TokenInfo, ...]:
        """Return every token ever made, oldest first."""
        ...

    def revoke_token(self, token_id: str, *, now: datetime) -> bool:
        """End a token's life; False where there is no living one."""
        ...

    def pin_app(self, app: AppName, root: bytes) -> None:
        """Record an app and the root it is trusted by. The same again changes nothing.

        Raises:
            ConflictError: It is pinned to another root already.
        """
        ...

    def pinned_root(self, app: AppName) -> bytes | None:
        """Return the root an app is trusted by, or None where there is no such app."""
        ...

    def apps(self) -> tuple[AppName, ...]:
        """Return every pinned app, by name."""
        ...

    def begin(self, intent: Intent, *, now: datetime, attempt: Attempt | None = None) -> int:
        """Write an intent, as an open entry of the audit log, and return its number.

        Raises:
            ConflictError: It is an attempt at a change that is not pending any more.
        """
        ...

    def finish(self, number: int, highest: Highest) -> None:
        """Close an entry as done and raise what was recorded as highest, in one transaction.

        If it was an attempt at a pending change, that is pending no more. Nothing recorded is ever
        lowered. That a timestamp was in force is final: it may be said again, and also of an entry
        that somebody took for abandoned. A number that nobody was given is a `ValueError`.
        """
        ...

    def abandon(self, number: int) -> None:
        """Close an entry as abandoned: its timestamp did not come into force.

        An entry that is done stays done. A number that nobody was given is a `ValueError`.
        """
        ...

    def open_entries(self, app: AppName) -> tuple[AuditEntry, ...]:
        """Return the app's open entries, oldest first."""
        ...

    def highest(self, app: AppName) -> Highest | None:
        """Return the newest state ever signed here, or None before the first."""
        ...

    def audit(self, app: AppName | None, *, limit: int) -> tuple[AuditEntry, ...]:
        """Return the newest entries, newest first, of one app or of all."""
        ...

    def verify_audit(self) -> int | None:
        """Return the number of the first entry that is missing or was changed, or None.

        It finds an entry or an outcome that was changed, moved or taken out. It cannot find that
        the newest ones were cut off, nor a log that was written anew from some point on: compare
        with a `chain_sha256` kept elsewhere.
        """
        ...

    def take_lease(self, name: str, holder: str, *, now: datetime, until: datetime) -> Lease | None:
        """Take or extend a lease; None where somebody else holds it at `now`.

        One that ends later than twice the span asked for was taken under a wrong clock, and counts
        for nothing.
        """
        ...

    def release_lease(self, name: str, holder: str) -> None:
        """Give a lease back; that it is not held is no error."""
        ...

    def is_usable(self) -> bool:
        """Whether the ledger answers a read and a write now."""
        ...

    def close(self) -> None:
        """Let go of every file."""
        ...
