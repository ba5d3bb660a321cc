"""The file of a delta: what it is, the plan of the tree, and what the codec made of the rest.

| field | bytes |
|---|---|
| magic | `LGDELTA` and the version, 1 |
| size of the codec's name, 1 to 32 | 1 |
| the codec's name: `a-z`, `0-9`, `.`, `-` | so many |
| size of the plan, in bytes | 4, little-endian |
| size of the compressed plan, in bytes | 4, little-endian |
| the plan, compressed: raw LZMA2 with a dictionary of 1 MiB, lc 3, lp 0, pb 0 | so many |
| what the codec made | all the rest |
"""

from __future__ import annotations

import lzma
import re
import struct
from dataclasses import dataclass
from typing import BinaryIO

from lockgate_release.deltas.tree_plan import MAX_PLAN_BYTES
from lockgate_release.errors import ArchiveError

__all__ = ["Head", "read_head", "write_head"]

_MAGIC = b"LGDELTA\x01"
_SIZES = struct.Struct("<II")
_ALGORITHM = re.compile(rb"[a-z0-9.-]{1,32}")
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 20, "lc": 3, "lp": 0, "pb": 0}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What stands before the codec's bytes.

    Attributes:
        algorithm: The codec's name.
        plan: The plan's bytes, as `tree_plan` writes them.
    """

    algorithm: str
    plan: bytes


def write_head(head: Head, out: BinaryIO) -> None:
    """Write it where `out` stands.

    Raises:
        OSError: It cannot be written.
    """
    name = head.algorithm.encode()
    if not _ALGORITHM.fullmatch(name) or len(head.plan) > MAX_PLAN_BYTES:
        raise ValueError(f"no head of a delta: {head.algorithm}, {len(head.plan)} bytes")
    packed = lzma.compress(head.plan, lzma.FORMAT_RAW, filters=_FILTERS)
    out.write(_MAGIC + bytes([len(name)]) + name + _SIZES.pack(len(head.plan), len(packed)))
    out.write(packed)


def read_head(stream: BinaryIO, *, subject: str) -> Head:
    """Return what stands at the beginning of a delta, and leave `stream` behind it.

    Args:
        stream: The delta, from anywhere.
        subject: Its name, for messages.

    Raises:
        ArchiveError: It is no delta, or damaged.
        OSError: It cannot be read.
    """
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise ArchiveError("not a delta of a kind that is known here", subject=subject)
    name = _read(stream, _read(stream, 1, subject)[0], subject)
    if not _ALGORITHM.fullmatch(name):
        raise ArchiveError("not a codec's name", subject=subject, found=ascii(name))
    plan_bytes, packed_bytes = _SIZES.unpack(_read(stream, _SIZES.size, subject))
    if plan_bytes > MAX_PLAN_BYTES or packed_bytes > MAX_PLAN_BYTES:
        raise ArchiveError("a plan that is too long", subject=subject, found=f"{plan_bytes} bytes")
    plan = _expand(_read(stream, packed_bytes, subject), plan_bytes, subject)
    return Head(algorithm=name.decode(), plan=plan)


def _read(stream: BinaryIO, size_bytes: int, subject: str) -> bytes:
    data = stream.read(size_bytes)
    if len(data) != size_bytes:
        raise ArchiveError("cut off", subject=subject)
    return data


def _expand(packed: bytes, size_bytes: int, subject: str) -> bytes:
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
    try:
        # One more than there may be, so that the end is reached, or too much is seen.
        plan = decoder.decompress(packed, max_length=size_bytes + 1)
    except lzma.LZMAError as exc:
        raise ArchiveError("damaged", subject=subject, found=str(exc)) from exc
    if len(plan) != size_bytes or not decoder.eof or decoder.unused_data:
        raise ArchiveError("not as long as announced", subject=subject, found=f"{len(plan)} bytes")
    return plan
