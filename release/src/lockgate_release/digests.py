"""Digests of files and of unpacked trees. Reads the disk; writes nothing.

A tree's digest proves an installation however it was made: unpacked, patched or repaired. It is
the SHA-256 of the canonical listing: the line `lockgate-tree-1`, then for each entry below the
root, in the byte order of its path, four fields, each ended by a NUL:

    kind    `d` directory, `f` file, `l` symbolic link
    mode    `x` a file that may be executed, `-` everything else
    value   a file's SHA-256 in hex, a link's target, nothing for a directory
    path    relative, parts joined by `/`, UTF-8

Owners, times and other permission bits are no part of it: they differ between machines that hold
the same software. Set-id bits are refused, because they are software that does not show.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from io import BufferedReader
from pathlib import Path

from lockgate_release.errors import ArchiveError, DigestMismatchError
from lockgate_release.names import Sha256Hex

__all__ = [
    "CHUNK_BYTES",
    "EntryKind",
    "TreeDigest",
    "TreeEntry",
    "digest_bytes",
    "digest_entries",
    "digest_file",
    "digest_stream",
    "digest_tree",
    "encode_listing",
    "parse_listing",
    "scan_tree",
    "walk_tree",
]

CHUNK_BYTES = 1 << 20
"""How much of a file is held in memory at once."""

_HEADER = b"lockgate-tree-1\n"
_EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_SET_ID = stat.S_ISUID | stat.S_ISGID


class EntryKind(StrEnum):
    """What an entry of a tree is."""

    DIRECTORY = "d"
    FILE = "f"
    LINK = "l"


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEntry:
    """One line of a tree's listing.

    Attributes:
        path: Relative to the tree's root, parts joined by `/`.
        value: A file's SHA-256, a link's target, "" for a directory.
        size_bytes: A file's size, 0 for everything else. No part of the digest: the SHA-256 is.
    """

    path: str
    kind: EntryKind
    executable: bool = False
    value: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeDigest:
    """What was found by reading a whole tree."""

    sha256: Sha256Hex
    size_bytes: int
    entries: int


def digest_bytes(data: bytes) -> Sha256Hex:
    """Return the SHA-256 of `data`."""
    return Sha256Hex(hashlib.sha256(data).hexdigest())


def digest_stream(stream: BufferedReader) -> Sha256Hex:
    """Return the SHA-256 of what is left in `stream`, holding one chunk at a time."""
    return Sha256Hex(hashlib.file_digest(stream, "sha256").hexdigest())


def digest_file(path: Path) -> Sha256Hex:
    """Return the SHA-256 of the file at `path`.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        return digest_stream(stream)


def digest_entries(entries: Iterable[TreeEntry]) -> TreeDigest:
    """Return the digest of a tree from its listing, in whatever order the entries come."""
    digest = hashlib.sha256(_HEADER)
    size_bytes = 0
    count = 0
    for entry in _in_order(entries):
        digest.update(_encode_entry(entry))
        size_bytes += entry.size_bytes
        count += 1
    return TreeDigest(sha256=Sha256Hex(digest.hexdigest()), size_bytes=size_bytes, entries=count)


def encode_listing(entries: Iterable[TreeEntry]) -> bytes:
    """Return the canonical listing: the bytes whose SHA-256 is the tree's digest."""
    return _HEADER + b"".join(_encode_entry(entry) for entry in _in_order(entries))


def parse_listing(data: bytes, *, sha256: str, subject: str = "listing") -> tuple[TreeEntry, ...]:
    """Return the entries of the canonical listing in `data`, in its order; sizes are unknown (0).

    Args:
        data: The listing, from anywhere: its digest proves it.
        sha256: The tree's signed digest, 64 lower-case hex digits.
        subject: The listing, for messages.

    Raises:
        DigestMismatchError: It is the listing of another tree, or damaged.
        ArchiveError: It was signed, and is no listing.
    """
    found = digest_bytes(data)
    if found != sha256:
        raise DigestMismatchError(
            "not the listing of the tree that was signed",
            subject=subject,
            expected=sha256,
            found=found,
        )
    fields = data.removeprefix(_HEADER).decode("utf-8", "surrogateescape").split("\0")
    if not data.startswith(_HEADER) or len(fields) % 4 != 1 or fields[-1]:
        raise ArchiveError("not a tree's listing", subject=subject)
    kinds = {kind.value: kind for kind in EntryKind}
    paths = fields[3::4]
    if not (kinds.keys() >= set(fields[:-1:4]) and all(map(_is_inner, paths))):
        raise ArchiveError("not a tree's listing", subject=subject)
    return tuple(
        TreeEntry(path=path, kind=kinds[kind], executable=mode == "x", value=value)
        for kind, mode, value, path in zip(
            fields[:-1:4], fields[1::4], fields[2::4], paths, strict=True
        )
    )


def _is_inner(path: str) -> bool:
    return not {"", ".", ".."}.intersection(path.split("/"))


def _in_order(entries: Iterable[TreeEntry]) -> list[TreeEntry]:
    return sorted(entries, key=lambda entry: _encode(entry.path))


def _encode_entry(entry: TreeEntry) -> bytes:
    mode = "x" if entry.executable else "-"
    return _encode(f"{entry.kind.value}\0{mode}\0{entry.value}\0{entry.path}\0")


def _encode(text: str) -> bytes:
    """Return a text's UTF-8, or the very bytes a file system gave where they are none."""
    return text.encode("utf-8", "surrogateescape")


def digest_tree(root: Path) -> TreeDigest:
    """Return the digest of the tree below `root`.

    Raises:
        ArchiveError: It holds a device, a socket, a pipe or a set-id file.
        OSError: It cannot be read.
    """
    return digest_entries(walk_tree(root))


def walk_tree(root: Path) -> Iterator[TreeEntry]:
    """Yield the entries below `root`, following no link.

    Raises:
        ArchiveError: It holds a device, a socket, a pipe or a set-id file.
        OSError: It cannot be read.
    """
    for item, path in scan_tree(root):
        yield _read_entry(item, path)


def scan_tree(root: Path) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Yield what the folders below `root` hold, each with its path there, following no link.

    Raises:
        OSError: A folder cannot be read.
    """
    # Paths are plain texts here: objects for them would cost more than the hashing of small files.
    pending = [""]
    while pending:
        folder = pending.pop()
        with os.scandir(f"{root}/{folder}") as found:
            for item in found:
                path = folder + item.name
                if item.is_dir(follow_symlinks=False):
                    pending.append(f"{path}/")
                yield item, path


def _read_entry(item: os.DirEntry[str], name: str) -> TreeEntry:
    path = item.path
    found = item.stat(follow_symlinks=False)
    mode = found.st_mode
    if stat.S_ISLNK(mode):
        return TreeEntry(path=name, kind=EntryKind.LINK, value=os.readlink(path))  # noqa: PTH115
    if stat.S_ISDIR(mode):
        return TreeEntry(path=name, kind=EntryKind.DIRECTORY)
    if not stat.S_ISREG(mode):
        raise ArchiveError("not a file, folder or link", subject=path)
    if mode & _SET_ID:
        raise ArchiveError("set-id bit", subject=path, expected="a plain file")
    return TreeEntry(
        path=name,
        kind=EntryKind.FILE,
        executable=bool(mode & _EXECUTABLE),
        value=_digest_plain_file(path, found.st_size),
        size_bytes=found.st_size,
    )


def _digest_plain_file(path: str, size_bytes: int) -> Sha256Hex:
    """Return the digest of a file's content, reading a small one at once and without a buffer."""
    # A pipe that has come into its place meanwhile is nothing to wait for.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        digest = hashlib.sha256()
        while chunk := os.read(handle, min(size_bytes + 1, CHUNK_BYTES)):
            digest.update(chunk)
        return Sha256Hex(digest.hexdigest())
    finally:
        os.close(handle)
