"""Decompressed streams that cannot go on for ever, take all memory, or end in rubbish."""

from __future__ import annotations

import lzma
from typing import BinaryIO, Protocol

from lockgate_release.errors import ArchiveError

__all__ = ["LimitedStream", "Readable", "XzStream"]

_INPUT_BYTES = 1 << 16
_MAX_MEMORY_BYTES = 256 << 20
"""What decompressing an `.xz` may take: four times what `xz -9` asks for."""


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
