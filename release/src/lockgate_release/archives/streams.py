"""Decompressed streams that cannot go on for ever, take all memory, or end in rubbish."""

from __future__ import annotations

import lzma
import sys
from types import ModuleType
from typing import BinaryIO, Protocol

from lockgate_release.errors import ArchiveError

__all__ = ["LimitedStream", "Readable", "XzStream", "ZstdStream", "import_zstd"]

_INPUT_BYTES = 1 << 16
_MAX_MEMORY_BYTES = 256 << 20
"""What decompressing an `.xz` may take: four times what `xz -9` asks for."""
_ZSTD_WINDOW_LOG = 23
"""The largest window of a `.zst`, as a power of two: 8 MiB.

What every decoder should read and no encoder exceed (RFC 8878, 3.1.1.1.2): up to `zstd -19`.
"""


class Readable(Protocol):
    """Something that can be read from its beginning to its end."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end."""
        ...


class LimitedStream:
    """A stream that refuses to go on for ever."""

    def __init__(self, stream: Readable, limit_bytes: int, *, subject: str) -> None:
        """Read `stream`, but no more than `limit_bytes`."""
        self._stream = stream
        self._left = limit_bytes
        self._subject = subject

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end.

        Raises:
            ArchiveError: The stream is longer than it may be.
        """
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ArchiveError("unpacks to more than it may", subject=self._subject)
        return data


class XzStream:
    """What an `.xz` file holds.

    `lzma.LZMAFile` overlooks what stands behind the end, reads the older format without checksums
    too, and takes as much memory as the file asks for.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """Read the file from where it stands."""
        self._stream = stream
        self._decoder = self._start()
        self._input = b""

    @staticmethod
    def _start() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_MEMORY_BYTES)

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end.

        Raises:
            lzma.LZMAError: The file is damaged, or asks for too much memory.
            EOFError: It is cut off.
        """
        while not self._decoder.eof or self._go_on():
            if self._decoder.needs_input and not self._input:
                self._input = self._stream.read(_INPUT_BYTES)
                if not self._input:
                    raise EOFError("compressed file ended before the end-of-stream marker")
            given, self._input = self._input, b""
            data = self._decoder.decompress(given, max_length=size)
            if data:
                return data
        return b""

    def _go_on(self) -> bool:
        """Begin the next of several streams, if there is one. Zeros between them are padding."""
        rest = self._decoder.unused_data.lstrip(b"\0")
        while not rest:
            rest = self._stream.read(_INPUT_BYTES)
            if not rest:
                return False
            rest = rest.lstrip(b"\0")
        self._decoder, self._input = self._start(), rest
        return True


class ZstdStream:
    """What a `.zst` file holds: exactly one frame, whose window a small machine can hold.

    `ZstdFile` takes as much memory as the file asks for, and goes on with frames behind the end.
    """

    def __init__(self, stream: BinaryIO, *, subject: str) -> None:
        """Read the file from where it stands.

        Raises:
            ArchiveError: This Python cannot read the format.
        """
        self._zstd = import_zstd(subject)
        self._stream = stream
        self._subject = subject
        limit = {self._zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
        self._decoder = self._zstd.ZstdDecompressor(options=limit)

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end.

        Raises:
            ArchiveError: The file is damaged, or asks for too much memory.
            EOFError: It is cut off.
        """
        while not self._decoder.eof:
            given = b""
            if self._decoder.needs_input:
                given = self._stream.read(_INPUT_BYTES)
                if not given:
                    raise EOFError("compressed file ended before the end of its frame")
            data = self._decompress(given, size)
            if data:
                return data
        if self._decoder.unused_data or self._stream.read(1):
            raise ArchiveError(
                "bytes after its end", subject=self._subject, expected="one frame, and nothing else"
            )
        return b""

    def _decompress(self, given: bytes, size: int) -> bytes:
        try:
            data: bytes = self._decoder.decompress(given, max_length=size)
        except self._zstd.ZstdError as exc:
            # The library tells its errors apart by their words alone.
            if "too much memory" not in str(exc):
                raise ArchiveError("damaged", subject=self._subject, found=str(exc)) from exc
            raise ArchiveError(
                "asks for too much memory",
                subject=self._subject,
                expected=f"a window of at most {1 << (_ZSTD_WINDOW_LOG - 20)} MiB",
                hint="Pack it with zstd -19 or lower, and without --long.",
            ) from exc
        return data


def import_zstd(subject: str) -> ModuleType:
    """Return Python's module where it has one (PEP 784), else its backport.

    Raises:
        ArchiveError: This Python has neither.
    """
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415 (only for this format)
        else:
            from backports import zstd  # noqa: PLC0415 (only for this format)
    except ImportError as exc:
        raise ArchiveError(
            "compressed with zstd, which cannot be read here",
            subject=subject,
            hint="Install lockgate-release[zstd], or use Python 3.14 or newer.",
        ) from exc
    return zstd
