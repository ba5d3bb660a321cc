"""Small objects out of the store, whole: never more than the caller is ready to hold."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate_release.errors import RepositoryError
from lockgate_server.ports import Etag, ObjectStore

__all__ = ["MAX_METADATA_BYTES", "HeldObject", "read_held", "read_object"]

MAX_METADATA_BYTES = 32 << 20
"""No metadata file is larger; the store is read as a hostile mirror."""


@dataclass(frozen=True, slots=True)
class HeldObject:
    """An object's bytes, and the etag they were read under."""

    data: bytes
    etag: Etag


def read_object(
    store: ObjectStore, key: str, *, limit_bytes: int = MAX_METADATA_BYTES
) -> HeldObject | None:
    """Return an object's bytes, or None where nothing is.

    Raises:
        RepositoryError: It is larger than `limit_bytes`.
        TransportError: The store cannot be reached.
    """
    stored = store.open(key)
    if stored is None:
        return None
    with stored:
        if stored.info.size_bytes > limit_bytes:
            raise RepositoryError(
                "too large",
                subject=key,
                expected=f"at most {limit_bytes} bytes",
                found=str(stored.info.size_bytes),
            )
        return HeldObject(stored.read(), stored.info.etag)


def read_held(store: ObjectStore, key: str) -> HeldObject | None:
    """Return an object's bytes, or None where nothing is, or nothing that is small enough.

    For what counts only where it is signed: what is too large to be read was signed by nobody.

    Raises:
        TransportError: The store cannot be reached.
    """
    try:
        return read_object(store, key)
    except RepositoryError:
        return None
