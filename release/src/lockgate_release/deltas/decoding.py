"""New bytes from old ones and a solid delta, `columns-1`, with the standard library alone.

`docs/reference/delta-format.md` is the specification. The rules, as numbered there:

    1. A delta is a row of blocks; the sizes of what they make add up to what the caller expects.
    2. A block is its head, the directory of its columns, and the columns.
    3. Covers say what is copied from where; what no cover makes is taken from the literals.
    4. A fix-up adds to one 32-bit word of what was copied.
    5. Every length is a limit: it is checked before memory is taken. Nothing may be left over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from lockgate_release.deltas.columns import (
    ColumnReader,
    ColumnSpec,
    damaged,
    read_varint,
    read_varints,
)
from lockgate_release.deltas.file_bytes import OldBytes

__all__ = [
    "COLUMNS",
    "MAX_COVERS",
    "MAX_COVER_BYTES",
    "decode_memory_bytes",
    "decode_solid",
]

MAX_COVERS = 1 << 20
"""Of one block: what their positions may take is bounded with them."""
MAX_COVER_BYTES = 1 << 20
"""What is made in one piece; a longer cover is written as several."""
_WORD = struct.Struct("<I")
_WORD_BYTES = 4
_MEMORY_BYTES = 80 << 20

COLUMNS = (
    ("gaps", ColumnSpec()),
    ("lengths", ColumnSpec()),
    ("seeks", ColumnSpec()),
    ("literals", ColumnSpec(pb=2)),
    ("fix-gaps", ColumnSpec(lc=0)),
    ("fix-values", ColumnSpec(lc=0, lp=2, pb=2)),
)


def decode_memory_bytes(old_bytes: int, new_bytes: int) -> int:
    """Return the most memory that decoding takes, the interpreter included."""
    return _MEMORY_BYTES if old_bytes + new_bytes else 0


def decode_solid(old: OldBytes, patch: BinaryIO, *, size_bytes: int) -> Iterator[bytes]:
    """Yield the new bytes, `size_bytes` in all, in pieces of at most `MAX_COVER_BYTES`.

    `patch` is read from where it stands, by position: it must be able to seek.

    Raises:
        ArchiveError: The delta is damaged, or does not belong to these old bytes.
    """
    while size_bytes:
        block = _Block(old, patch, limit_bytes=size_bytes)
        size_bytes -= block.size_bytes
        yield from block.pieces()
        patch.seek(block.end)


class _Block:
    """One block: its head is read when it is made, its columns as they are needed."""

    def __init__(self, old: OldBytes, patch: BinaryIO, *, limit_bytes: int) -> None:
        self._old = old
        self.size_bytes = read_varint(patch)
        if not 0 < self.size_bytes <= limit_bytes:
            raise damaged("a block has an impossible size", found=f"{self.size_bytes} bytes")
        self._covers = read_varint(patch)
        if self._covers > MAX_COVERS:
            raise damaged("has too many covers", found=str(self._covers))
        directory = [(spec, read_varint(patch), read_varint(patch)) for _, spec in COLUMNS]
        at = patch.tell()
        self._columns = []
        for spec, packed_bytes, size in directory:
            if size > 4 * self.size_bytes + 64:
                raise damaged("a column has an impossible size", found=f"{size} bytes")
            self._columns.append(
                ColumnReader(patch, spec, at=at, packed_bytes=packed_bytes, size_bytes=size)
            )
            at += packed_bytes
        self.end = at

    def pieces(self) -> Iterator[bytes]:
        """Yield what the block makes."""
        gaps, lengths, seeks, literals, fix_gaps, fix_values = self._columns
        fixes = _Fixes(fix_gaps, fix_values)
        left_bytes = self.size_bytes
        old_at = 0
        for gap, length, seek in self._cover_table(gaps, lengths, seeks):
            left_bytes -= gap + length
            if left_bytes < 0 or length > MAX_COVER_BYTES:
                raise damaged("a cover is too long")
            yield from _pass_on(literals, gap)
            old_at += seek >> 1 ^ -(seek & 1)
            if not 0 <= old_at <= self._old.size - length:
                raise damaged("a cover lies outside of the old bytes")
            copied = self._old.read_at(old_at, length)
            old_at += length
            yield fixes.apply(copied)
        yield from _pass_on(literals, left_bytes)
        if fixes.left:
            raise damaged("holds more fix-ups than it uses")
        for column in self._columns:
            column.finish()

    def _cover_table(self, *columns: ColumnReader) -> Iterator[tuple[int, int, int]]:
        values = []
        for column in columns:
            if column.left_bytes > 8 * self._covers:
                raise damaged("a column of covers is too long")
            values.append(read_varints(column.read(column.left_bytes)))
            if len(values[-1]) != self._covers:
                raise damaged("a column of covers has another length than its head says")
        yield from zip(*values, strict=True)


class _Fixes:
    """The fix-ups of a block, in the order of their positions."""

    def __init__(self, gaps: ColumnReader, values: ColumnReader) -> None:
        count = values.left_bytes // _WORD_BYTES
        if gaps.left_bytes > 8 * count or values.left_bytes % _WORD_BYTES:
            raise damaged("a column of fix-ups has an impossible size")
        self._gaps = read_varints(gaps.read(gaps.left_bytes))
        if len(self._gaps) != count:
            raise damaged("fix-ups lack a value")
        self._values = values
        self._next = 0
        self._skip_bytes = self._gaps[0] if count else 0

    @property
    def left(self) -> int:
        """How many fix-ups have not been used."""
        return len(self._gaps) - self._next

    def apply(self, copied: bytes) -> bytes:
        """Return what was copied, put right."""
        if self._skip_bytes >= len(copied) or not self.left:
            self._skip_bytes -= len(copied)
            return copied
        made = bytearray(copied + bytes(_WORD_BYTES))
        at = self._skip_bytes
        gaps = self._gaps
        while at < len(copied):
            value = _WORD.unpack(self._values.read(_WORD_BYTES))[0]
            word = _WORD.unpack_from(made, at)[0] + value & 0xFFFFFFFF
            _WORD.pack_into(made, at, word)
            self._next += 1
            if self._next == len(gaps):
                at = len(made)
                break
            at = min(at + _WORD_BYTES, len(copied)) + gaps[self._next]
        self._skip_bytes = at - len(copied)
        return bytes(made[: len(copied)])


def _pass_on(literals: ColumnReader, size: int) -> Iterator[bytes]:
    while size:
        data = literals.read(min(size, MAX_COVER_BYTES))
        size -= len(data)
        yield data
