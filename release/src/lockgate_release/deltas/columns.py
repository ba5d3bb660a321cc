"""Columns: streams of like values, each packed on its own, that cannot be larger than they say.

Like stands beside like, so that LZMA finds what repeats. The directory in front says how long each
column is, packed and unpacked. A reader takes no more memory than its dictionary and one step.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, BinaryIO

from lockgate_release.errors import ArchiveError

__all__ = [
    "ColumnReader",
    "ColumnSpec",
    "bits_of",
    "check_used_up",
    "damaged",
    "pack_column",
    "read_varint",
    "varints_of",
    "words_of",
    "write_varint",
    "write_varints",
]

_MIN_DICTIONARY_BYTES = 4096
_INPUT_BYTES = 1 << 15
_STEP_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 12
_WORD_BYTES = 4
_MAX_VARINT_BYTES = 8
"""Values are below 2**53, as in every document of ours."""
_MAX_SHIFT = 7 * (_MAX_VARINT_BYTES - 1)


def damaged(what: str, *, expected: str = "", found: str = "") -> ArchiveError:
    """Return the error of a delta that cannot be what its publisher made."""
    return ArchiveError(what, subject="delta", expected=expected, found=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSpec:
    """How LZMA is tuned for one column: the same when packing and when reading."""

    lc: int = 3
    lp: int = 0
    pb: int = 0
    most_bytes: int = 1 << 20
    """Of the dictionary: how far back anything is looked for."""

    def filters(self, size_bytes: int) -> list[dict[str, Any]]:
        """Return liblzma's filter chain for a column of `size_bytes` unpacked."""
        dictionary_bytes = _MIN_DICTIONARY_BYTES
        while dictionary_bytes < min(size_bytes, self.most_bytes):
            dictionary_bytes *= 2
        return [
            {
                "id": lzma.FILTER_LZMA2,
                "preset": 9 | lzma.PRESET_EXTREME,
                "dict_size": dictionary_bytes,
                "lc": self.lc,
                "lp": self.lp,
                "pb": self.pb,
            }
        ]


def pack_column(raw: bytes, spec: ColumnSpec) -> bytes:
    """Return `raw` packed; nothing for nothing."""
    if not raw:
        return b""
    return lzma.compress(raw, format=lzma.FORMAT_RAW, filters=spec.filters(len(raw)))


class ColumnReader:
    """What one packed column holds, from its beginning to its end."""

    def __init__(
        self, patch: BinaryIO, spec: ColumnSpec, *, at: int, packed_bytes: int, size_bytes: int
    ) -> None:
        """Read the column that lies `packed_bytes` long at `at` of `patch`.

        Raises:
            ArchiveError: It holds nothing, and takes bytes.
        """
        if packed_bytes and not size_bytes:
            raise damaged("an empty column takes bytes")
        self._patch = patch
        self._at = at
        self._packed_bytes = packed_bytes
        self.left_bytes = size_bytes
        self._ready = bytearray()
        self._is_over = not packed_bytes and not size_bytes
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=spec.filters(size_bytes))

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes.

        Raises:
            ArchiveError: The column holds fewer, or is damaged.
        """
        if size > self.left_bytes:
            raise damaged("a column is too short", expected=f"{size} bytes", found=self._left())
        while len(self._ready) < size:
            self._ready += self._step()
        data = bytes(self._ready[:size])
        del self._ready[:size]
        self.left_bytes -= size
        return data

    def finish(self) -> None:
        """Make sure that nothing is left over, and let go of what reading took.

        Raises:
            ArchiveError: The column holds more than its head says, or its end is missing.
        """
        if self._is_over:
            return
        while not self._decoder.eof and not self._ready:
            self._ready += self._step(at_end=True)
        if self._ready or self.left_bytes or self._packed_bytes or self._decoder.unused_data:
            raise damaged("a column holds more than it says")
        self._is_over = True
        del self._decoder

    def _left(self) -> str:
        return f"{self.left_bytes} bytes"

    def _step(self, *, at_end: bool = False) -> bytes:
        packed = b""
        if self._decoder.needs_input:
            self._patch.seek(self._at)
            packed = self._patch.read(min(_INPUT_BYTES, self._packed_bytes))
            self._at += len(packed)
            self._packed_bytes -= len(packed)
        try:
            data = self._decoder.decompress(packed, max_length=_STEP_BYTES)
        except (lzma.LZMAError, EOFError) as error:
            raise damaged("a column does not unpack") from error
        is_over = self._decoder.eof or (self._decoder.needs_input and not packed)
        if not data and is_over and not (at_end and self._decoder.eof):
            raise damaged("a column is cut off")
        return data


def write_varint(value: int) -> bytes:
    """Return `value`, 0 or more, in groups of seven bits, the lowest first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_varints(values: Iterable[int]) -> bytes:
    """Return all `values`, one behind the other."""
    small = [bytes((value,)) for value in range(128)]
    return b"".join([small[v] if v < 128 else write_varint(v) for v in values])


def read_varint(stream: BinaryIO) -> int:
    """Return the next value of a stream.

    Raises:
        ArchiveError: The stream ends, or the value is larger than any of ours.
    """
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        data = stream.read(1)
        if not data:
            raise damaged("is cut off")
        value |= (data[0] & 127) << (7 * index)
        if data[0] < 128:
            return value
    raise damaged("holds a number that is too large")


def _chunks(column: ColumnReader) -> Iterator[bytes]:
    while column.left_bytes:
        yield column.read(min(column.left_bytes, _CHUNK_BYTES))


def varints_of(column: ColumnReader) -> Iterator[int]:
    """Yield the numbers that a column holds.

    Raises:
        ArchiveError: One is larger than any of ours, or has no end.
    """
    stream = chain.from_iterable(_chunks(column))
    for byte in stream:
        if byte < 128:
            yield byte
        else:
            yield _long_varint(byte & 127, stream)


def _long_varint(value: int, stream: Iterable[int]) -> int:
    shift = 7
    for byte in stream:
        if byte < 128:
            return value | byte << shift
        if shift == _MAX_SHIFT:
            raise damaged("holds a number that is too large")
        value |= (byte & 127) << shift
        shift += 7
    raise damaged("a column is cut off")


def words_of(column: ColumnReader) -> Iterator[int]:
    """Return the words of 32 bits, not negative, that a column holds.

    Raises:
        ArchiveError: The last one is cut off.
    """
    if column.left_bytes % _WORD_BYTES:
        raise damaged("a column of words is cut off")
    return chain.from_iterable(map(_unpack_words, _chunks(column)))


def _unpack_words(chunk: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(chunk) // _WORD_BYTES}I", chunk)


def bits_of(column: ColumnReader) -> Iterator[int]:
    """Return the bits of a column, the lowest of each byte first."""
    return chain.from_iterable(map(_unpack_bits, _chunks(column)))


def _unpack_bits(chunk: bytes) -> bytes:
    text = format(int.from_bytes(chunk, "little"), f"0{8 * len(chunk)}b")
    return text.encode().translate(_BIT)[::-1]


def check_used_up(values: Iterator[int], *, spare: int = 0) -> None:
    """Make sure that nothing is left of a column but `spare` zeros: bits come eight at a time.

    Raises:
        ArchiveError: There is more.
    """
    rest = list(islice(values, spare + 1))
    if len(rest) > spare or any(rest):
        raise damaged("a column holds more than is needed")


_BIT = bytes(byte & 1 for byte in range(256))
