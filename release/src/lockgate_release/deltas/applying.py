"""From the tree that is there, and a delta, to the new tree. The standard library is enough.

1. The delta's bytes are verified before it is applied, and the old tree is proven; what comes out
   is proven by its whole tree's digest. All three are the caller's. Still nothing here is believed.
2. The plan is checked as a whole before anything is written: its names, sizes and sources.
3. Every entry is created by `SafeTree`, under the rules that hold for archives.
4. What the codec yields is counted: not a byte more or less than the plan says.
5. Memory is bounded by the numbers of entries and the codec's segment, not by the size of the tree.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, cast

from lockgate_release.archives.damage import damage_as_error
from lockgate_release.archives.safe_tree import Limits, SafeTree
from lockgate_release.deltas.algorithms import find_codec, supported_algorithms
from lockgate_release.deltas.container import read_head
from lockgate_release.deltas.file_bytes import FileBytes
from lockgate_release.deltas.listing import OldEntry, list_tree
from lockgate_release.deltas.plan_reading import decode_plan
from lockgate_release.deltas.tree_plan import TreePlan
from lockgate_release.digests import EntryKind
from lockgate_release.errors import ArchiveError

__all__ = ["apply_delta", "supported_algorithms"]

# What the standard library says of hostile bytes where nobody foresaw them.
_DAMAGE = (lzma.LZMAError, struct.error, EOFError, ValueError, ArithmeticError, LookupError)


def _go_on() -> None:
    """Stop nothing."""


def apply_delta(
    delta: Path,
    old: Path,
    new: Path,
    *,
    limits: Limits,
    check: Callable[[], None] = _go_on,
) -> None:
    """Leave in the empty folder `new`, which must exist, the tree that the delta leads to.

    On an error `new` may hold a part of it: it is the caller's to remove.

    Args:
        delta: The file, verified by its digest.
        old: The tree it was made from, proven. Nothing of it is changed.
        new: An existing, empty folder.
        limits: How much the new tree may hold.
        check: Called before each entry and each piece of what is new; what it raises ends it all.

    Raises:
        ArchiveError: The delta is damaged, of an algorithm that is not known here, made for another
            tree, or breaks a rule of `SafeTree`.
        OSError: The disk is full, or something cannot be read.
    """
    subject = delta.name
    with delta.open("rb") as stream, damage_as_error(_DAMAGE, subject):
        head = read_head(stream, subject=subject)
        codec = find_codec(head.algorithm, subject=subject)
        listing = list_tree(old)
        plan = decode_plan(head.plan, listing, limits=limits, subject=subject)
        files = ((listing[n].path, listing[n].size_bytes) for n in plan.references)
        with closing(FileBytes(old, files)) as old_bytes:
            chunks = codec.decode(old_bytes, stream, size_bytes=plan.new_bytes)
            content = _Row(iter(chunks), subject, check)
            tree = SafeTree(new, limits, subject=subject)
            _fill(tree, plan, listing, old, content, check)
            content.check_end()
        if stream.read(1):
            raise ArchiveError("bytes after its end", subject=subject)
        tree.finish()


def _fill(
    tree: SafeTree,
    plan: TreePlan,
    listing: list[OldEntry],
    old: Path,
    content: _Row,
    check: Callable[[], None],
) -> None:
    for path, kind, executable, size_bytes, target, source, twin, _ in plan.entries:
        check()
        if kind is EntryKind.DIRECTORY:
            tree.add_folder(path)
        elif kind is EntryKind.LINK:
            tree.add_link(path, target)
        elif source is not None:
            original = f"{old}/{listing[source].path}"
            tree.add_copy_of(path, original, size_bytes, executable=executable)
        elif twin is not None:
            tree.add_copy(path, plan.entries[twin].path, executable=executable)
        else:
            piece = cast("BinaryIO", content.piece(size_bytes))
            tree.add_file(path, piece, executable=executable)


class _Row:
    """What a codec yields, cut into the files it belongs to."""

    def __init__(
        self, chunks: Iterator[bytes | bytearray], subject: str, check: Callable[[], None]
    ) -> None:
        self._chunks = chunks
        self._subject = subject
        self._check = check
        self._rest = memoryview(b"")

    def piece(self, size_bytes: int) -> _Piece:
        """Return a stream of the next bytes."""
        return _Piece(self, size_bytes)

    def take(self, size_bytes: int) -> memoryview:
        """Return at least one and at most `size_bytes` of the next bytes."""
        while not self._rest:
            self._check()
            chunk = next(self._chunks, None)
            if chunk is None:
                raise ArchiveError("ends before the tree does", subject=self._subject)
            self._rest = memoryview(chunk)
        taken, self._rest = self._rest[:size_bytes], self._rest[size_bytes:]
        return taken

    def check_end(self) -> None:
        """Return if nothing is left."""
        if self._rest or any(map(len, self._chunks)):
            raise ArchiveError("goes on behind the tree's end", subject=self._subject)


class _Piece:
    """A stream of so many bytes of a row."""

    def __init__(self, row: _Row, size_bytes: int) -> None:
        self._row = row
        self._left = size_bytes

    def read(self, size: int, /) -> memoryview | bytes:
        """Return at most `size` bytes, and none only at the end."""
        if not self._left:
            return b""
        data = self._row.take(min(size, self._left))
        self._left -= len(data)
        return data
