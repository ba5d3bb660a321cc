"""What a key in the store is, by where it lies. Reads nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from lockgate_release.layout import condemned_key
from lockgate_release.names import AppName
from lockgate_release.trust.roles import ROLE_NAME, Role

__all__ = ["Kind", "StoredKey", "parse_key"]


class Kind(StrEnum):
    """What an object is. They are removed in this order: what names goes before what is named."""

    UPLOAD = "upload"
    COPY = "copy"
    METADATA = "metadata"
    DOCUMENT = "document"
    ARTIFACT = "artifact"
    POINTER = "pointer"
    NOTE = "note"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """A key, taken apart.

    Attributes:
        kind: What lies there.
        role: Of metadata, whose.
        number: Of metadata, which; else 0.
        sha256: The digest in the key, of what is named by its content; else "".
    """

    kind: Kind
    role: str | None = None
    number: int = 0
    sha256: str = ""


_METADATA = re.compile(
    rf"metadata/(?P<number>[1-9][0-9]{{0,15}})\.(?!{Role.TIMESTAMP}\.)(?P<role>{ROLE_NAME})\.json"
)
_SHA256 = r"(?P<sha256>[0-9a-f]{64})"
_DOCUMENTS = (
    re.compile(rf"targets/{ROLE_NAME}/[^/]+/{_SHA256}\.(?:release|extras)\.json"),
    re.compile(rf"targets/channels/[^/]+/{_SHA256}\.version\.json"),
    re.compile(rf"targets/{_SHA256}\.policy\.json"),
    re.compile(rf"targets/sigstore/{_SHA256}\.trusted_root\.json"),
)
_ARTIFACT = re.compile(r"artifacts/(?P<xx>[0-9a-f]{2})/(?P<sha256>(?P=xx)[0-9a-f]{62})")
_COPY = re.compile(r"channels/[^/]+/version\.json")


def parse_key(app: AppName, key: str) -> StoredKey:
    """Return what lies at a key of an app; what Lockgate never writes there is `UNKNOWN`."""
    path = key.removeprefix(f"{app}/")
    if found := _METADATA.fullmatch(path):
        return StoredKey(kind=Kind.METADATA, role=found["role"], number=int(found["number"]))
    for pattern in _DOCUMENTS:
        if found := pattern.fullmatch(path):
            return StoredKey(kind=Kind.DOCUMENT, sha256=found["sha256"])
    if found := _ARTIFACT.fullmatch(path):
        return StoredKey(kind=Kind.ARTIFACT, sha256=found["sha256"])
    return StoredKey(kind=_parse_rest(app, key, path))


def _parse_rest(app: AppName, key: str, path: str) -> Kind:
    if _COPY.fullmatch(path):
        return Kind.COPY
    if path.startswith("uploads/"):
        return Kind.UPLOAD
    if path == "metadata/timestamp.json":
        return Kind.POINTER
    return Kind.NOTE if key == condemned_key(app) else Kind.UNKNOWN
