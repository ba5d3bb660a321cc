"""Which files of an app are served, and how long they may be kept. Reads nothing.

    metadata/timestamp.json                  60 s: the only pointer
    metadata/<n>.<role>.json                 for ever
    targets/<folders>/<sha256>.<name>        for ever; the digest is the ETag
    artifacts/<xx>/<sha256>                  for ever; the digest is the ETag
    channels/<channel>/version.json          60 s: a copy for people

Nothing else is: what lies below `uploads/` has not been verified by anybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lockgate_release.names import is_app_name

__all__ = ["CACHED_S", "MISSING_CACHE_CONTROL", "FileKind", "describe_key", "find_file"]

MISSING_CACHE_CONTROL = "public, max-age=10"
"""For how long an answer of "no such file" may be kept: the next root appears where none was."""

CACHED_S = 60
"""For how long a cache may go on to answer with a pointer after it was replaced."""

_FOR_EVER = "public, max-age=31536000, immutable"
_SHORT = f"public, max-age={CACHED_S}"
_JSON = "application/json"
_BYTES = "application/octet-stream"

_NAME = r"[a-z0-9][a-z0-9._-]*"
_KINDS = (
    (re.compile(r"metadata/timestamp\.json"), _JSON, _SHORT),
    (re.compile(r"metadata/[1-9][0-9]{0,15}\.[a-z][a-z0-9._-]*\.json"), _JSON, _FOR_EVER),
    (
        re.compile(r"targets/(?:[A-Za-z0-9][A-Za-z0-9.+!_-]*/)*(?P<sha256>[0-9a-f]{64})\.[a-z_.]+"),
        _JSON,
        _FOR_EVER,
    ),
    (
        re.compile(r"artifacts/(?P<xx>[0-9a-f]{2})/(?P<sha256>(?P=xx)[0-9a-f]{62})"),
        _BYTES,
        _FOR_EVER,
    ),
    (re.compile(rf"channels/{_NAME}/version\.json"), _JSON, _SHORT),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKind:
    """How one file is served.

    Attributes:
        key: Where it lies in the object store.
        content_type: Its media type.
        cache_control: For how long it may be kept, as HTTP says it.
        sha256: Its digest where the address is made of it, else "".
    """

    key: str
    content_type: str
    cache_control: str
    sha256: str = ""


def find_file(app: str, path: str) -> FileKind | None:
    """Return how the file at `path` of an app is served, or None where nothing may be."""
    if not is_app_name(app) or ".." in path:
        return None
    for pattern, content_type, cache_control in _KINDS:
        match = pattern.fullmatch(path)
        if match is not None:
            return FileKind(
                key=f"{app}/{path}",
                content_type=content_type,
                cache_control=cache_control,
                sha256=match.groupdict().get("sha256") or "",
            )
    return None


def describe_key(key: str) -> FileKind:
    """Return how an object is served, for a store that serves it by itself.

    Raises:
        ValueError: It is not a key that is ever served.
    """
    app, _, path = key.partition("/")
    found = find_file(app, path)
    if found is None:
        raise ValueError(f"nothing is served at {key!r}")
    return found
