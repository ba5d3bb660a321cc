"""A file that is being sent: read in place by several threads, and held to what it was at first.

Nothing of it is kept in memory but the block that is on its way. The bytes are read once from the
disk and again from the system's cache, where the reader that hashes the whole has just put them.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lockgate_release.errors import LocalError, UsageError
from lockgate_release.uploads import UploadId, make_upload_id

__all__ = ["PartBody", "SentFile", "open_sent"]

_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFile:
    """An open file, and what it was when it was opened.

    Attributes:
        path: Where it is, for messages.
        descriptor: The open file.
        size_bytes: Its size.
        changed_at_ns: When it was last written to, as its file system has it.
        upload_id: What its upload is called.
    """

    path: Path
    descriptor: int
    size_bytes: int
    changed_at_ns: int
    upload_id: UploadId

    def read(self, start: int, size_bytes: int) -> bytes:
        """Return the bytes from `start`, at most `size_bytes`, and at least one of them.

        Raises:
            LocalError: There are none any more, or they cannot be read.
        """
        try:
            data = os.pread(self.descriptor, size_bytes, start)
        except OSError as exc:
            raise _unreadable(self.path, exc) from exc
        if not data and size_bytes:
            raise _changed(self.path)
        return data

    def digest(self, start: int, size_bytes: int, kind: str) -> str:
        """Return the digest of a piece, `md5` or `sha256`, in hexadecimal digits.

        Raises:
            LocalError: It cannot be read any more.
        """
        digest = hashlib.new(kind, usedforsecurity=kind != "md5")
        for block in self._blocks(start, size_bytes):
            digest.update(block)
        return digest.hexdigest()

    def crc32(self, start: int, size_bytes: int) -> int:
        """Return the CRC-32 of a piece.

        Raises:
            LocalError: It cannot be read any more.
        """
        crc32 = 0
        for block in self._blocks(start, size_bytes):
            crc32 = zlib.crc32(block, crc32)
        return crc32

    def _blocks(self, start: int, size_bytes: int) -> Iterator[bytes]:
        end = start + size_bytes
        while start < end:
            block = self.read(start, min(_BLOCK_BYTES, end - start))
            start += len(block)
            yield block

    def check_unchanged(self) -> None:
        """Return only if nobody has written to the file since it was opened.

        Raises:
            LocalError: Somebody has.
        """
        try:
            found = os.fstat(self.descriptor)
        except OSError as exc:
            raise _unreadable(self.path, exc) from exc
        if (found.st_size, found.st_mtime_ns) != (self.size_bytes, self.changed_at_ns):
            raise _changed(self.path)


@contextmanager
def open_sent(path: Path) -> Iterator[SentFile]:
    """Yield the file at `path`, open.

    Raises:
        UsageError: There is none.
        LocalError: It cannot be read.
    """
    try:
        with path.open("rb") as stream:
            found = os.fstat(stream.fileno())
            yield SentFile(
                path=path,
                descriptor=stream.fileno(),
                size_bytes=found.st_size,
                changed_at_ns=found.st_mtime_ns,
                upload_id=make_upload_id(stream, found.st_size),
            )
    except FileNotFoundError as exc:
        raise UsageError("no such file", subject=str(path)) from exc
    except OSError as exc:
        raise _unreadable(path, exc) from exc


def _unreadable(path: Path, exc: OSError) -> LocalError:
    return LocalError("cannot be read", subject=str(path), found=exc.strerror or str(exc))


def _changed(path: Path) -> LocalError:
    return LocalError("changed while it was being sent", subject=str(path))


class PartBody:
    """A piece of a file as a body.

    Attributes:
        read_bytes: How much of it has been read.
        crc32: The CRC-32 of that.
    """

    def __init__(
        self, file: SentFile, start: int, size_bytes: int, advance: Callable[[int], None]
    ) -> None:
        """Stand at the beginning of the piece.

        Args:
            file: The file.
            start: Where the piece begins.
            size_bytes: How long it is.
            advance: Told of each block that is on its way, in bytes. What it raises ends the body.
        """
        self._file = file
        self._at = start
        self._end = start + size_bytes
        self._size_bytes = size_bytes
        self._advance = advance
        self.read_bytes = 0
        self.crc32 = 0

    def __len__(self) -> int:
        """Return the size in bytes."""
        return self._size_bytes

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, at most `size`.

        Raises:
            LocalError: The file cannot be read any more.
        """
        left = self._end - self._at
        data = self._file.read(self._at, min(left, _BLOCK_BYTES, size if size >= 0 else left))
        self._at += len(data)
        self.read_bytes += len(data)
        self.crc32 = zlib.crc32(data, self.crc32)
        self._advance(len(data))
        return data
