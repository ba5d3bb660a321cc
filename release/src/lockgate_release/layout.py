"""Where things lie below an app's address, in the object store and over HTTP alike.

<app>/metadata/<n>.root.json …      numbered, immutable
<app>/metadata/timestamp.json       the only pointer
<app>/targets/<path>                documents, their digest before the file name
<app>/artifacts/<xx>/<sha256>       content-addressed
<app>/uploads/<id>.…                unverified
<app>/channels/<channel>/version.json   a copy for people
<app>/condemned.json                what is being removed at this moment; else it is not there
"""

from __future__ import annotations

import posixpath

from lockgate_release.names import AppName, ChannelName, Sha256Hex

__all__ = [
    "POLICY_PATH",
    "TRUSTED_ROOT_PATH",
    "artifact_key",
    "artifact_path",
    "channel_copy_key",
    "channel_path",
    "condemned_key",
    "extras_path",
    "metadata_key",
    "release_path",
    "target_key",
    "timestamp_key",
    "upload_data_key",
    "upload_key",
    "upload_part_key",
    "upload_record_key",
]

POLICY_PATH = "policy.json"
"""The policy's TUF target path."""
TRUSTED_ROOT_PATH = "sigstore/trusted_root.json"
"""The TUF target path of what proofs of origin are verified with."""


def release_path(version: str, *, folder: str = "releases") -> str:
    """Return the TUF target path of a release's document."""
    return f"{folder}/{version}/release.json"


def extras_path(version: str, *, folder: str = "releases") -> str:
    """Return the TUF target path of a release's extras."""
    return f"{folder}/{version}/extras.json"


def channel_path(channel: ChannelName) -> str:
    """Return the TUF target path of a channel's document."""
    return f"channels/{channel}/version.json"


def artifact_path(sha256: Sha256Hex) -> str:
    """Return where an artifact lies below its app's address."""
    return f"artifacts/{sha256[:2]}/{sha256}"


def artifact_key(app: AppName, sha256: Sha256Hex) -> str:
    """Return an artifact's key in the object store."""
    return f"{app}/{artifact_path(sha256)}"


def metadata_key(app: AppName, role: str, version: int) -> str:
    """Return the key of one numbered TUF metadata file."""
    return f"{app}/metadata/{version}.{role}.json"


def timestamp_key(app: AppName) -> str:
    """Return the key of the pointer."""
    return f"{app}/metadata/timestamp.json"


def target_key(app: AppName, path: str, sha256: Sha256Hex) -> str:
    """Return the key of a TUF target, by the consistent-snapshot naming (digest first)."""
    folder, name = posixpath.split(path)
    return posixpath.join(app, "targets", folder, f"{sha256}.{name}")


def channel_copy_key(app: AppName, channel: ChannelName) -> str:
    """Return the key of the copy at a channel's stable address."""
    return f"{app}/channels/{channel}/version.json"


def upload_key(app: AppName, upload_id: str) -> str:
    """Return the key of bytes that have arrived and are not yet verified."""
    return f"{app}/uploads/{upload_id}"


def condemned_key(app: AppName) -> str:
    """Return the key of the list of what is being removed at this moment."""
    return f"{app}/condemned.json"


def upload_record_key(app: AppName, upload_id: str) -> str:
    """Return the key of what is known of an upload."""
    return f"{upload_key(app, upload_id)}.json"


def upload_data_key(app: AppName, upload_id: str, attempt: str) -> str:
    """Return the key of what a client sends straight to the store; no two attempts share it."""
    return f"{upload_key(app, upload_id)}.{attempt}.data"


def upload_part_key(app: AppName, upload_id: str, number: int, sha256: Sha256Hex) -> str:
    """Return the key of one part that came through the server."""
    return f"{upload_key(app, upload_id)}.{number}.{sha256}"
