"""The ports: what the use cases ask of storage and of the ledger, in the words of the use cases.

The object store holds what clients see; the ledger holds what people did and how far each app has
got. Losing the ledger loses no release. Every adapter passes `tests/contracts/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import BinaryIO, NewType, Protocol, TypeAlias

from lockgate_release.errors import ConflictError
from lockgate_release.names import AppName
from lockgate_release.strict_json import JsonObject

__all__ = [
    "MAX_REPLACED_BYTES",
    "Always",
    "AuditEntry",
    "Condition",
    "Etag",
    "Highest",
    "IfAbsent",
    "IfMatch",
    "Intent",
    "Lease",
    "Ledger",
    "LostRaceError",
    "ObjectInfo",
    "ObjectStore",
    "Scope",
    "StoredObject",
    "TokenInfo",
]

Etag = NewType("Etag", str)
"""Opaque, of characters that may stand between the quotes of an HTTP `ETag`.

Equal means that nothing else has been written in between; some stores make it from the bytes
alone, so writing the same bytes again may keep it.
"""

MAX_REPLACED_BYTES = 8 << 20
"""The largest object that `IfMatch` may write: it is for pointers, which every store can replace
in one conditional request."""


class LostRaceError(ConflictError):
    """A conditional write found another state than the one it was conditional on."""

    code = "conflict.lost-race"


@dataclass(frozen=True, slots=True)
class Always:
    """Write whatever is there."""


@dataclass(frozen=True, slots=True)
class IfAbsent:
    """Write only where nothing is."""


@dataclass(frozen=True, slots=True)
class IfMatch:
    """Write only over the state with this etag."""

    etag: Etag


Condition: TypeAlias = Always | IfAbsent | IfMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What is known of an object without reading it. Sizes in bytes, times aware UTC."""

    key: str
    size_bytes: int
    etag: Etag
    modified_at: datetime


class StoredObject(Protocol):
    """An object that is open for reading. Use it in a `with` block."""

    @property
    def info(self) -> ObjectInfo:
        """What is known of the whole object, also when only a range of it is read."""
        ...

    def read(self) -> bytes:
        """Return all that is left. For small objects."""
        ...

    def chunks(self, size_bytes: int = 1 << 18) -> Iterator[bytes]:
        """Yield what is left, in pieces of at most `size_bytes`.

        Raises:
            TransportError: The store broke off.
        """
        ...

    def local_file(self) -> BinaryIO | None:
        """Return the open file, at the start of the range, where there is one to send as it is."""
        ...

    def __enter__(self) -> StoredObject: ...

    def __exit__(self, *exc_info: object) -> None: ...


class ObjectStore(Protocol):
    """A flat space of keys, as R2, S3 and a directory can all be.

    Keys are `/`-joined parts of `A-Z a-z 0-9 . _ + ! -`, each at most 255 characters long, all
    together at most 900; no part is empty, `.` or `..`; anything else is a `ValueError`. No key
    is another one and a `/` and more. Every write is atomic and durable once it returns: a reader
    sees the old bytes or the new ones. Where a store cannot be reached, `TransportError`; where
    this machine's disk or its settings for the store are in the way, `LocalError`.
    """

    def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object, or None where nothing is."""
        ...

    def open(self, key: str, *, start: int = 0, stop: int | None = None) -> StoredObject | None:
        """Open an object, or the range `[start, stop)` of it; None where nothing is.

        A `stop` beyond the end means the end; an empty or negative range is a `ValueError`.

        Raises:
            UsageError: `start` is not 0 and lies at or beyond the end.
        """
        ...

    def put(
        self,
        key: str,
        body: bytes | BinaryIO,
        condition: Condition,
        *,
        content_type: str = "application/octet-stream",
        cache_control: str = "no-cache",
    ) -> Etag:
        """Write an object and return its etag. A stream is read to its end in bounded memory.

        What reading the stream raises goes through as it is, and nothing is written. With
        `IfMatch`, more than `MAX_REPLACED_BYTES` is a `ValueError`.

        Raises:
            LostRaceError: The condition does not hold. Nothing was written.
            TransportError: The store did not answer; the write may or may not have happened.
        """
        ...

    def copy(self, source: str, target: str, condition: IfAbsent) -> Etag:
        """Copy an object to where nothing is, without its bytes passing through here if possible.

        The copy keeps the content type and the cache control of the source.

        Raises:
            LostRaceError: Something is at `target` already.
            UsageError: Nothing is at `source`.
        """
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key begins with `prefix`, in the order of their keys."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; that there is none is no error."""
        ...

    def close(self) -> None:
        """Let go of every file and connection."""
        ...


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
        sequences: Sequence of each channel's document.
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
    """

    app: AppName
    actor: str
    action: str
    details: JsonObject
    request_id: str
    timestamp_sha256: str


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


class Ledger(Protocol):
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

    def begin(self, intent: Intent, *, now: datetime) -> int:
        """Write an intent, as an open entry of the audit log, and return its number."""
        ...

    def finish(self, number: int, highest: Highest) -> None:
        """Close an entry as done and raise what was recorded as highest, in one transaction.

        Nothing recorded is ever lowered. That a timestamp was in force is final: it may be said
        again, and also of an entry that somebody took for abandoned. A number that nobody was
        given is a `ValueError`.
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
        """Take or extend a lease; None where somebody else holds it at `now`."""
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
