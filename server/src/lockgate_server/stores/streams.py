"""Bodies that are written: bytes, or a stream that is read in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from lockgate_server.ports import MAX_REPLACED_BYTES, Condition, IfMatch

__all__ = ["check_replaced_size", "pieces", "read_piece"]

_PIECE_BYTES = 1 << 20


def pieces(body: bytes | BinaryIO, condition: Condition) -> Iterator[bytes]:
    """Yield a body in pieces that fit into memory.

    Raises:
        ValueError: It is too large to be written with `IfMatch`.
    """
    if isinstance(body, bytes):
        check_replaced_size(len(body), condition)
        yield body
        return
    size_bytes = 0
    while piece := body.read(_PIECE_BYTES):
        size_bytes += len(piece)
        check_replaced_size(size_bytes, condition)
        yield piece


def read_piece(stream: BinaryIO, size_bytes: int) -> bytes:
    """Return the next `size_bytes` of a stream, and fewer only at its end."""
    parts: list[bytes] = []
    left = size_bytes
    while left and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def check_replaced_size(size_bytes: int, condition: Condition) -> None:
    """Return when so many bytes may be written under this condition.

    Raises:
        ValueError: They may not.
    """
    if isinstance(condition, IfMatch) and size_bytes > MAX_REPLACED_BYTES:
        raise ValueError(f"IfMatch writes at most {MAX_REPLACED_BYTES} bytes")
