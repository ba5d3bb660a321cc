"""What an installed tree holds, by name and size, without reading a byte of its files.

A delta is applied to a tree that was proven a moment ago, so its files need no second hashing.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from lockgate_release.digests import EntryKind, scan_tree
from lockgate_release.errors import ArchiveError

__all__ = ["OldEntry", "list_tree"]

_EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


class OldEntry(NamedTuple):
    """One entry of the tree that is there. A tuple: there may be hundreds of thousands.

    Attributes:
        path: Relative to the tree's root, parts joined by `/`.
        kind: What it is.
        executable: Whether anybody may execute the file; False for everything else.
        size_bytes: A file's size, 0 for everything else.
        target: A link's target, "" for everything else.
    """

    path: str
    kind: EntryKind
    executable: bool = False
    size_bytes: int = 0
    target: str = ""


def list_tree(root: Path) -> list[OldEntry]:
    """Return the entries below `root` in the byte order of their paths, following no link.

    Raises:
        ArchiveError: It holds a device, a socket or a pipe.
        OSError: It cannot be read.
    """
    found = [_describe(item, path) for item, path in scan_tree(root)]
    return sorted(found, key=lambda entry: entry.path.encode("utf-8", "surrogateescape"))


def _describe(item: os.DirEntry[str], path: str) -> OldEntry:
    if item.is_dir(follow_symlinks=False):
        return OldEntry(path, EntryKind.DIRECTORY)
    if item.is_symlink():
        target = os.readlink(item.path)  # noqa: PTH115 (objects for thousands of paths cost)
        return OldEntry(path, EntryKind.LINK, target=target)
    found = item.stat(follow_symlinks=False)
    mode = found.st_mode
    if not stat.S_ISREG(mode):
        raise ArchiveError("not a file, folder or link", subject=item.path)
    return OldEntry(path, EntryKind.FILE, mode & _EXECUTABLE != 0, found.st_size)
