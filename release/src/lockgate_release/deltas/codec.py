"""The codec `columns-1`: made where `hdiffpatch` is, applied by the standard library alone."""

from __future__ import annotations

from typing import BinaryIO

from lockgate_release.deltas.decoding import decode_memory_bytes, decode_solid
from lockgate_release.deltas.file_bytes import OldBytes

__all__ = ["decode_memory_bytes", "decode_solid", "encode_solid"]


def encode_solid(
    old: OldBytes, new: OldBytes, out: BinaryIO, *, memory_bytes: int, tree_bytes: int = 0
) -> None:
    """Write what makes `new` of `old`, taking about `memory_bytes` at most.

    `tree_bytes` is what both are a part of: what is taken stays in proportion to it.
    """
    from lockgate_release.deltas import encoding  # noqa: PLC0415 (clients never make deltas)

    encoding.encode_solid(old, new, out, memory_bytes=memory_bytes, tree_bytes=tree_bytes)
