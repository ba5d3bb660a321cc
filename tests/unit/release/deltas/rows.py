"""Rows of bytes as the codec sees them, and what it makes of two of them."""

from __future__ import annotations

import io

from lockgate_release.deltas import references
from lockgate_release.deltas.codec import decode_solid, encode_solid

__all__ = ["Bytes", "decoded", "encoded"]

_CEILING_BYTES = 200 << 20
"""What encoding may take where no test is about that."""

_GULP_BYTES = 1 << 20


class Bytes:
    """Old or new bytes that refuse to be read outside of themselves, or in one gulp."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data

    def read_at(self, offset: int, size: int, /) -> bytes:
        assert 0 <= offset <= offset + size <= self.size
        assert size <= _GULP_BYTES
        return self._data[offset : offset + size]


def encoded(old: bytes, new: bytes, *, memory_bytes: int = _CEILING_BYTES) -> bytes:
    """Return what makes `new` of `old`."""
    out = io.BytesIO()
    encode_solid(Bytes(old), Bytes(new), out, memory_bytes=memory_bytes)
    return out.getvalue()


def decoded(old: bytes, patch: bytes, size_bytes: int) -> bytes:
    """Return what a patch makes of `old`, piece by piece."""
    pieces = list(decode_solid(Bytes(old), io.BytesIO(patch), size_bytes=size_bytes))
    assert all(0 < len(piece) <= references.MAX_PIECE_BYTES for piece in pieces)
    return b"".join(pieces)
