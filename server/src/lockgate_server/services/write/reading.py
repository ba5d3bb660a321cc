"""Reading an object once, to know its digest: ahead of the hashing, and in bounded memory."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from lockgate_release.errors import ConflictError, DigestMismatchError
from lockgate_release.names import Sha256Hex
from lockgate_server.ports import ObjectInfo, ObjectStore
from lockgate_server.ports.uploads import UploadGoneError

__all__ = ["READERS", "READ_BYTES", "ReadObject", "hash_object", "read_upload"]

READ_BYTES = 8 << 20
"""How much is asked of the store at once."""

READERS = 3
"""How many requests are under way at once; one piece more than that is in memory at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadObject:
    """An object of which every byte was read.

    Attributes:
        info: The state it was read in.
        sha256: The digest of its bytes.
    """

    info: ObjectInfo
    sha256: Sha256Hex


def read_upload(store: ObjectStore, key: str, size_bytes: int) -> ReadObject | None:
    """Return what was read of an object that is to be so long, or None where there is none.

    Raises:
        DigestMismatchError: It has another size. Nothing was read of it.
        UploadGoneError: It went while it was read.
        ConflictError: It was written meanwhile.
        TransportError: The store broke off.
        LocalError: The disk is in the way.
    """
    if size_bytes > READ_BYTES:
        info = store.head(key)
        if info is None:
            return None
        _check_size(info, size_bytes)
        return ReadObject(info=info, sha256=hash_object(store, info))
    # One request tells its state and brings its bytes.
    found = store.open(key)
    if found is None:
        return None
    with found:
        _check_size(found.info, size_bytes)
        data = found.read()
    return ReadObject(info=found.info, sha256=Sha256Hex(hashlib.sha256(data).hexdigest()))


def _check_size(info: ObjectInfo, size_bytes: int) -> None:
    if info.size_bytes != size_bytes:
        raise DigestMismatchError(
            "not the announced size",
            subject="upload",
            expected=f"{size_bytes} bytes",
            found=f"{info.size_bytes} bytes",
        )


def hash_object(store: ObjectStore, info: ObjectInfo) -> Sha256Hex:
    """Return the digest of an object, each of whose bytes is read once.

    Raises:
        UploadGoneError: It is gone.
        ConflictError: It was written meanwhile.
        TransportError: The store broke off.
        LocalError: The disk is in the way.
    """
    digest = hashlib.sha256()
    for piece in _pieces(store, info):
        digest.update(piece)
    return Sha256Hex(digest.hexdigest())


def _pieces(store: ObjectStore, info: ObjectInfo) -> Iterator[bytes]:
    starts = iter(range(0, info.size_bytes, READ_BYTES))
    ahead: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(READERS, thread_name_prefix="read-ahead") as pool:
        try:
            while True:
                while len(ahead) < READERS and (start := next(starts, None)) is not None:
                    ahead.append(pool.submit(_read, store, info, start))
                if not ahead:
                    return
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


def _read(store: ObjectStore, info: ObjectInfo, start: int) -> bytes:
    found = store.open(info.key, start=start, stop=min(start + READ_BYTES, info.size_bytes))
    if found is None:
        raise UploadGoneError("gone while it was read", subject=info.key)
    with found:
        if found.info.etag != info.etag:
            raise ConflictError("written while it was read", subject=info.key)
        return found.read()
