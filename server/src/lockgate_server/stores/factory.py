"""Which object store an address names."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lockgate_release.errors import UsageError
from lockgate_server.ports import ObjectStore
from lockgate_server.ports.uploads import DirectUploads
from lockgate_server.stores.directory import DirectoryStore

__all__ = ["find_clock", "find_room", "find_uploads", "open_store"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_EXPECTED = "a folder, file:///FOLDER, or s3://BUCKET/PREFIX?endpoint=URL&region=NAME&style=path"


def open_store(address: str) -> ObjectStore:
    """Return the object store at an address.

    A folder is made if need be; a bucket is not asked anything yet.

    Args:
        address: A path, a `file:` URL of this machine, or `s3://bucket/prefix` with the options
            `endpoint`, `region` and `style`. A path with a colon is written `./like:this`.

    Raises:
        UsageError: It is none of these.
        LocalError: The folder can be neither opened nor made, or boto3 cannot be set up.
    """
    match = _SCHEME.match(address)
    scheme = match[1].lower() if match else ""
    if scheme == "s3":
        return _bucket(address)
    if scheme == "file":
        return DirectoryStore(_folder(address))
    if scheme or not address:
        # The rest is not repeated: it may hold a secret.
        raise UsageError("no store for this address", expected=_EXPECTED, found=f"{scheme}:…")
    return DirectoryStore(Path(address))


def find_room(store: ObjectStore) -> int | None:
    """Return how many bytes more a store has for uploads, or None where nobody can tell.

    Raises:
        LocalError: The disk is in the way.
    """
    return store.room_bytes() if isinstance(store, DirectoryStore) else None


def find_uploads(store: ObjectStore) -> DirectUploads | None:
    """Return how clients send to a store by themselves, or None where it cannot be done."""
    if isinstance(store, DirectoryStore):
        return None
    # Only now, for the reason below.
    from lockgate_server.stores.s3 import S3Store  # noqa: PLC0415
    from lockgate_server.stores.s3_uploads import S3Uploads  # noqa: PLC0415

    return S3Uploads(store.bucket) if isinstance(store, S3Store) else None


def find_clock(store: ObjectStore) -> datetime | None:
    """Return what the store's own clock says, or None where it is this machine's.

    Raises:
        TransportError: The store does not answer.
        LocalError: The store refuses.
    """
    if isinstance(store, DirectoryStore):
        return None
    # Only now, for the reason below.
    from lockgate_server.stores.s3 import S3Store  # noqa: PLC0415
    from lockgate_server.stores.s3_clock import read_clock  # noqa: PLC0415

    return read_clock(store.bucket) if isinstance(store, S3Store) else None


def _bucket(address: str) -> ObjectStore:
    # boto3 takes a quarter of a second to import, which a directory need not pay for.
    from lockgate_server.stores.s3 import S3Store  # noqa: PLC0415
    from lockgate_server.stores.s3_address import S3Address  # noqa: PLC0415

    return S3Store(S3Address.parse(address))


def _folder(address: str) -> Path:
    parts = urlsplit(address)
    if parts.netloc not in {"", "localhost"} or not parts.path or parts.query or parts.fragment:
        raise UsageError(
            "not a folder of this machine", expected="file:///FOLDER", found=repr(address)
        )
    return Path(unquote(parts.path))
