"""Streams that hash what passes through them, and end in an error rather than in wrong bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from io import RawIOBase
from typing import Protocol

from lockgate_release.errors import DigestMismatchError, UsageError
from lockgate_release.names import Sha256Hex

__all__ = ["ChunkSource", "Source", "VerifiedStream"]


class Source(Protocol):
    """Where bytes come from."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most so many bytes, and none only at the end."""
        ...


class ChunkSource:
    """Chunks, read as a stream is."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Read these, as far as somebody asks."""
        self._chunks = chunks
        self._chunk = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        """Return what is left of a chunk, at most so many bytes, and none only at the end."""
        while not self._chunk:
            following = next(self._chunks, None)
            if following is None:
                return b""
            self._chunk = memoryview(following)
        end = len(self._chunk) if size < 0 else size
        taken, self._chunk = bytes(self._chunk[:end]), self._chunk[end:]
        return taken


class VerifiedStream(RawIOBase):
    """A stream of a known size and digest.

    Whoever reads it to its end has read these bytes: where others come, reading raises before the
    last of them is given out.
    """

    def __init__(self, source: Source, size_bytes: int, sha256: Sha256Hex) -> None:
        """Read `size_bytes` of a source, which is not read any further."""
        super().__init__()
        self._source = source
        self._left = size_bytes
        self._expected = sha256
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most so many bytes.

        Raises:
            DigestMismatchError: The bytes are others than were announced.
            UsageError: They are fewer.
        """
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        data = self._source.read(wanted) if wanted else b""
        if wanted and not data:
            raise UsageError(
                "the body broke off", expected="as many bytes as announced", found="fewer"
            )
        self._left -= len(data)
        self._digest.update(data)
        if self._left == 0 and self._digest.hexdigest() != self._expected:
            raise DigestMismatchError(
                "not the announced content",
                subject="upload",
                expected=self._expected,
                found=self._digest.hexdigest(),
            )
        return data

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer as far as one read does."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
