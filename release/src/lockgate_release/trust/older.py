"""States that came before the one in force, and that somebody may still hold. Pure.

1. A snapshot counts while root's present keys have signed it and it has not expired: a client that
   was given it last will still follow it, and a cache may still hand it out.
2. What it names counts by its length and its hash alone: they stand under that signature.

Nothing is ever signed on top of what this module returns.
"""

from __future__ import annotations

from datetime import datetime

from tuf.api import exceptions as tuf_errors
from tuf.api.metadata import Root, Snapshot, Targets

from lockgate_release.errors import DocumentError
from lockgate_release.trust.chain import parse_metadata
from lockgate_release.trust.roles import Role

__all__ = ["find_role", "read_older_snapshot"]


def read_older_snapshot(root: Root, number: int, data: bytes, now: datetime) -> Snapshot | None:
    """Return a snapshot that a client may still follow, or None where this is none (rule 1).

    Args:
        root: The root in force.
        number: What it is numbered.
        data: Its bytes.
        now: The present, aware.
    """
    try:
        metadata = parse_metadata(Snapshot, data, f"{number}.snapshot.json")
        root.verify_delegate(Role.SNAPSHOT.value, metadata.signed_bytes, metadata.signatures)
    except (DocumentError, tuf_errors.RepositoryError, ValueError):
        return None
    signed = metadata.signed
    return None if signed.version != number or signed.is_expired(now) else signed


def find_role(snapshot: Snapshot, role: str, data: bytes) -> Targets | None:
    """Return the metadata of a role that a snapshot names, or None where these bytes are not it.

    Args:
        snapshot: From `read_older_snapshot`.
        role: Targets, channels or a role of releases.
        data: The bytes at the number that the snapshot names.
    """
    meta = snapshot.meta.get(f"{role}.json")
    if meta is None:
        return None
    try:
        meta.verify_length_and_hashes(data)
        return parse_metadata(Targets, data, f"{meta.version}.{role}.json").signed
    except (DocumentError, tuf_errors.LengthOrHashMismatchError):
        return None
