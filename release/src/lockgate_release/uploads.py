"""Uploads: what a client asks of the server, and how a file is cut into parts.

Both sides use this, so that they cannot drift apart. An upload is bytes that have arrived and
are not yet verified; its id names the file well enough to find it again, and proves nothing: the
digest at the end does.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, NewType

from lockgate_release.errors import UsageError
from lockgate_release.names import Sha256Hex, is_sha256
from lockgate_release.strict_json import Fields, Json, JsonObject, parse_json

__all__ = [
    "LEAST_PART_BYTES",
    "MAX_PARTS",
    "MAX_URLS",
    "ArrivedPart",
    "BeginRequest",
    "FinishRequest",
    "UploadId",
    "UploadMode",
    "UrlsRequest",
    "is_upload_id",
    "make_upload_id",
    "parse_upload_id",
    "part_bytes_of",
    "part_sizes",
]

UploadId = NewType("UploadId", str)

LEAST_PART_BYTES = 16 << 20
"""The size of a part, unless that makes too many of them."""

MAX_PARTS = 1_000
"""How many parts an upload has at most."""

MAX_URLS = 100
"""For how many parts addresses are asked for at once at most."""

_SUBJECT = "request"
_EDGE_BYTES = 1 << 20
_ID = re.compile(r"[0-9a-f]{32}")
_ETAG = r"[!-~]{1,1024}"


class UploadMode(StrEnum):
    """Where the parts go: straight to the store, or to the server."""

    DIRECT = "direct"
    SERVER = "server"


def make_upload_id(file: BinaryIO, size_bytes: int) -> UploadId:
    """Return the id of a file's upload: from its size, its first MiB and its last.

    Args:
        file: The file, which can be sought in; where it stands afterwards is not promised.
        size_bytes: Its size.
    """
    file.seek(0)
    first = hashlib.sha256(file.read(_EDGE_BYTES)).hexdigest()
    file.seek(max(0, size_bytes - _EDGE_BYTES))
    last = hashlib.sha256(file.read(_EDGE_BYTES)).hexdigest()
    named = f"lockgate-upload-1\n{size_bytes}\n{first}\n{last}\n"
    return UploadId(hashlib.sha256(named.encode()).hexdigest()[:32])


def is_upload_id(text: str) -> bool:
    """Whether a text may be the id of an upload: 32 lower-case hexadecimal digits."""
    return _ID.fullmatch(text) is not None


def parse_upload_id(text: str) -> UploadId:
    """Return the id of an upload.

    Raises:
        UsageError: It is none.
    """
    if not is_upload_id(text):
        raise UsageError(
            "not an upload id", expected="32 lower-case hexadecimal digits", found=repr(text[:80])
        )
    return UploadId(text)


def part_bytes_of(size_bytes: int) -> int:
    """Return the size of each part but the last: 16 MiB, doubled until 1,000 parts suffice."""
    part_bytes = LEAST_PART_BYTES
    while part_bytes * MAX_PARTS < size_bytes:
        part_bytes *= 2
    return part_bytes


def part_sizes(size_bytes: int, part_bytes: int) -> list[int]:
    """Return the size of every part in order; an empty file has one empty part."""
    starts = range(0, max(1, size_bytes), part_bytes)
    return [min(part_bytes, size_bytes - start) for start in starts]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivedPart:
    """A part that has arrived.

    Attributes:
        number: Counts from 1.
        size_bytes: Its size; 0 where it is not said.
        etag: What the store called it, in direct mode. It proves nothing.
        sha256: Its digest, in server mode.
    """

    number: int
    size_bytes: int = 0
    etag: str = ""
    sha256: str = ""

    def to_json(self) -> JsonObject:
        """Return the part as it stands in requests and answers."""
        named: dict[str, Json] = {"number": self.number}
        if self.size_bytes:
            named["size"] = self.size_bytes
        if self.etag:
            named["etag"] = self.etag
        if self.sha256:
            named["sha256"] = self.sha256
        return named


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginRequest:
    """Begin an upload, or join the one of this id.

    Attributes:
        upload_id: The upload.
        size_bytes: The file's size.
        sha256: Digest of the whole file where it is known by now: what is there already need not
            be sent. It is told again at the end.
    """

    upload_id: UploadId
    size_bytes: int
    sha256: Sha256Hex | None = None

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        said: dict[str, Json] = {"upload_id": self.upload_id, "size": self.size_bytes}
        if self.sha256 is not None:
            said["sha256"] = self.sha256
        return said

    @classmethod
    def parse(cls, data: bytes) -> BeginRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject=_SUBJECT)
        wanted = "32 lower-case hexadecimal digits"
        return cls(
            upload_id=UploadId(fields.checked("upload_id", is_upload_id, wanted)),
            size_bytes=fields.integer("size"),
            sha256=_read_digest(fields) if fields.has("sha256") else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlsRequest:
    """Ask for the addresses of some parts."""

    numbers: Sequence[int]

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        return {"numbers": list(self.numbers)}

    @classmethod
    def parse(cls, data: bytes) -> UrlsRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject=_SUBJECT)
        return cls(numbers=fields.integers("numbers", minimum=1, maximum=MAX_PARTS, most=MAX_URLS))


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRequest:
    """Say what an upload is, now that all of it is sent.

    Attributes:
        sha256: Digest of the whole file.
        size_bytes: Its size.
        parts: Every part, with what it is called: `etag` in direct mode, `sha256` in server mode.
    """

    sha256: Sha256Hex
    size_bytes: int
    parts: Sequence[ArrivedPart]

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        return {
            "sha256": self.sha256,
            "size": self.size_bytes,
            "parts": [part.to_json() for part in self.parts],
        }

    @classmethod
    def parse(cls, data: bytes) -> FinishRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject=_SUBJECT)
        return cls(
            sha256=_read_digest(fields),
            size_bytes=fields.integer("size"),
            parts=[_read_part(part) for part in fields.objects("parts", most=MAX_PARTS)],
        )


def _read_digest(fields: Fields) -> Sha256Hex:
    return Sha256Hex(fields.checked("sha256", is_sha256, "64 lower-case hexadecimal digits"))


def _read_part(fields: Fields) -> ArrivedPart:
    number = fields.integer("number", minimum=1, maximum=MAX_PARTS)
    size_bytes = fields.integer("size", default=0)
    if fields.has("etag"):
        etag = fields.text("etag", pattern=_ETAG, max_length=1024)
        return ArrivedPart(number=number, size_bytes=size_bytes, etag=etag)
    return ArrivedPart(number=number, size_bytes=size_bytes, sha256=_read_digest(fields))
