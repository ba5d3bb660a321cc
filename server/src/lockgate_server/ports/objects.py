"""The port to the object store, which holds what clients see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, NewType, Protocol, TypeAlias

from lockgate_release.errors import ConflictError, LocalError

__all__ = [
    "MAX_REPLACED_BYTES",
    "Always",
    "Condition",
    "Etag",
    "IfAbsent",
    "IfMatch",
    "LostRaceError",
    "ObjectInfo",
    "ObjectStore",
    "StoredObject",
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


class UnsupportedError(LocalError):
    """The store says that it is not able to do this, ever: asking again is for nothing."""

    code = "local.store-unsupported"


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

    def copy(
        self, source: str, target: str, condition: IfAbsent, *, source_etag: Etag | None = None
    ) -> Etag:
        """Copy an object to where nothing is, without its bytes passing through here if possible.

        The copy keeps the content type and the cache control of the source. With `source_etag`,
        only that state of the source is copied.

        Raises:
            LostRaceError: Something is at `target` already, or another state at `source`.
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
