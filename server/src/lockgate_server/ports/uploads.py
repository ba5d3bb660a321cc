"""The port to uploads that go from a client straight to the store, in parts.

A store that has none of this is served by the server itself: there is no adapter then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NewType, Protocol

from lockgate_release.errors import ConflictError
from lockgate_release.uploads import ArrivedPart
from lockgate_server.errors import NotFoundError

__all__ = [
    "DirectUploads",
    "PartsRefusedError",
    "StoreUploadId",
    "UnfinishedUpload",
    "UploadGoneError",
]

StoreUploadId = NewType("StoreUploadId", str)
"""What the store calls an upload in parts."""


class UploadGoneError(NotFoundError):
    """There is no such upload: it was completed, given up, or never begun."""

    code = "not-found.upload"


class PartsRefusedError(ConflictError):
    """The parts that were named are not the parts that have arrived."""

    code = "conflict.upload-parts"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedUpload:
    """An upload that the store holds parts of, seen by nobody."""

    key: str
    store_id: StoreUploadId
    begun_at: datetime


class DirectUploads(Protocol):
    """Uploads in parts that a client sends to the store by itself, at addresses it is given.

    Nothing is at the key before `complete`, and afterwards no address that was given out can
    change what is there. Raises `TransportError` where the store cannot be reached and
    `LocalError` where its settings are wrong.
    """

    def begin(self, key: str, *, content_type: str, cache_control: str) -> StoreUploadId:
        """Begin an upload to a key and return what the store calls it."""
        ...

    def part_url(
        self, key: str, store_id: StoreUploadId, number: int, size_bytes: int, *, expires_s: int
    ) -> str:
        """Return an address that takes one part, without any other credentials, for a while.

        Args:
            key: Where the upload goes.
            store_id: The upload.
            number: Of the part, from 1.
            size_bytes: Of the part; a store that can holds the sender to it.
            expires_s: For how long it is good, in seconds.
        """
        ...

    def parts(self, key: str, store_id: StoreUploadId) -> tuple[ArrivedPart, ...]:
        """Return what has arrived; nothing where the store cannot tell.

        Raises:
            UploadGoneError: There is no such upload.
        """
        ...

    def complete(self, key: str, store_id: StoreUploadId, etags: Mapping[int, str]) -> None:
        """Make the parts, by number and etag, the object at the key. It is asked for once.

        Raises:
            UploadGoneError: There is no such upload: completed already, or given up.
            PartsRefusedError: These are not the parts that have arrived.
            TransportError: The store did not answer; the object may be there or not.
        """
        ...

    def abort(self, key: str, store_id: StoreUploadId) -> None:
        """Give an upload up; that there is none is no error."""
        ...

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Yield the uploads to keys that begin with `prefix`; none where the store cannot tell."""
        ...
