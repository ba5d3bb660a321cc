"""Codec `lockgate-zstd-1`: what is new, compressed by zstd with old bytes in front of it.

For each segment of the new bytes, one behind the other:

| field | bytes, little-endian |
|---|---|
| where the old bytes begin | 8 |
| how many old bytes | 4 |
| how many new bytes, 1 or more | 4 |
| size of the frame in bytes | 4 |
| the frame, with the old bytes as its prefix (`zstd --patch-from`) | so many |

Both sides hold one segment and its old bytes. Quick to make, and a good deal larger than columns.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from lockgate_release.archives.streams import import_zstd
from lockgate_release.deltas.file_bytes import OldBytes
from lockgate_release.errors import ArchiveError

__all__ = ["decode", "decode_memory_bytes", "encode"]

_HEAD = struct.Struct("<QIII")
_SUBJECT = "zstd patch"
_NEW_BYTES = 8 << 20
_OLD_BYTES = 12 << 20
_MIN_NEW_BYTES = 1 << 20
_MIN_WINDOW_LOG, _MAX_WINDOW_LOG = 10, 23
_LEVEL = 12
"""Where more effort begins to cost more than it saves, measured on programs of 40 and 100 MB."""
_BASE_MEMORY_BYTES = 36 << 20
"""A Python with what it imports for this, and small buffers."""
_INPUT_BYTES = 1 << 16
_OUTPUT_BYTES = 1 << 20
_SLACK_BYTES = 1 << 16
"""By how much a frame may exceed what it holds."""


def decode_memory_bytes(old_bytes: int, new_bytes: int) -> int:
    """Return the most that a process which decodes takes, in bytes, for so many old and new."""
    # The library keeps a copy of the old bytes.
    segment = 2 * min(old_bytes, _OLD_BYTES) + 2 * min(new_bytes, _NEW_BYTES)
    return _BASE_MEMORY_BYTES + segment


def encode(
    old: OldBytes,
    new: OldBytes,
    out: BinaryIO,
    *,
    memory_bytes: int,
    tree_bytes: int = 0,  # noqa: ARG001 (of the port; segments are small in any tree)
) -> None:
    """Write what leads from `old` to `new`; the same bytes for the same two.

    Args:
        old: What is there.
        new: What is to be.
        out: Where the patch goes.
        memory_bytes: What it may take; a sixteenth of it makes a segment.
        tree_bytes: What both are a part of; of no use here.

    Raises:
        ArchiveError: This Python has no zstd.
        OSError: Something cannot be read or written.
    """
    most_new = min(_NEW_BYTES, max(memory_bytes // 16, _MIN_NEW_BYTES))
    for start in range(0, new.size, most_new):
        size = min(most_new, new.size - start)
        at, count = _choose_old(old.size, new.size, start, size)
        frame = _compress(old.read_at(at, count), new.read_at(start, size))
        out.write(_HEAD.pack(at, count, size, len(frame)))
        out.write(frame)


def _choose_old(old_bytes: int, new_bytes: int, start: int, size: int) -> tuple[int, int]:
    """Return where the old bytes are that a segment is most like, and how many.

    Both rows follow the names of the same tree, so it is where the same part of the old row is.
    """
    count = min(old_bytes, _OLD_BYTES)
    middle = (start + size // 2) * old_bytes // new_bytes
    at = min(max(middle - count // 2, 0), old_bytes - count)
    return at, count


def _compress(old: bytes, new: bytes) -> bytes:
    zstd = import_zstd(_SUBJECT)
    parameter = zstd.CompressionParameter
    options = {
        parameter.compression_level: _LEVEL,
        # Over both, or the encoder takes old bytes for out of reach. The decoder's is one segment.
        parameter.window_log: max((len(old) + len(new)).bit_length(), _MIN_WINDOW_LOG),
        parameter.enable_long_distance_matching: 1,
        parameter.checksum_flag: 0,
    }
    frame: bytes = zstd.compress(new, options=options, zstd_dict=_prefix(old))
    return frame


def _prefix(old: bytes) -> object:
    """Return the old bytes as what a frame begins behind, or nothing where there are too few."""
    if len(old) < 8:  # What the library takes for a dictionary at all.
        return None
    return import_zstd(_SUBJECT).ZstdDict(old, is_raw=True).as_prefix


def decode(old: OldBytes, patch: BinaryIO, *, size_bytes: int) -> Iterator[bytes]:
    """Yield exactly `size_bytes` of the new bytes.

    Args:
        old: What is there.
        patch: The patch, from anywhere, up to its end.
        size_bytes: How many bytes come out.

    Raises:
        ArchiveError: The patch is damaged, or this Python has no zstd.
        OSError: Something cannot be read.
    """
    left = size_bytes
    while left:
        head = patch.read(_HEAD.size)
        if len(head) != _HEAD.size:
            raise ArchiveError("cut off", subject=_SUBJECT)
        at, count, size, packed = _HEAD.unpack(head)
        if not 0 < size <= min(left, _NEW_BYTES) or count > _OLD_BYTES:
            raise ArchiveError("a segment out of its bounds", subject=_SUBJECT, found=f"{size}")
        yield from _expand(_prefix(old.read_at(at, count)), patch, size, packed)
        left -= size


def _expand(prefix: object, patch: BinaryIO, size: int, packed: int) -> Iterator[bytes]:
    zstd = import_zstd(_SUBJECT)
    limit = {zstd.DecompressionParameter.window_log_max: _MAX_WINDOW_LOG}
    decoder = zstd.ZstdDecompressor(zstd_dict=prefix, options=limit)
    while not decoder.eof:
        given = b""
        if decoder.needs_input:
            given = patch.read(min(packed, _INPUT_BYTES))
            packed -= len(given)
            if not given:
                raise ArchiveError("cut off", subject=_SUBJECT)
        try:
            data: bytes = decoder.decompress(given, max_length=_OUTPUT_BYTES)
        except zstd.ZstdError as exc:
            raise ArchiveError("damaged", subject=_SUBJECT, found=str(exc)) from exc
        size -= len(data)
        if size < 0:
            break
        if data:
            yield data
    if size or packed or decoder.unused_data:
        raise ArchiveError("a segment that is not as long as announced", subject=_SUBJECT)
