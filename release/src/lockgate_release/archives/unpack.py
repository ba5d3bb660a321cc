"""From an archive's bytes to a tree. Reads one file, writes below one folder, trusts neither.

A format is read as a stream, so memory does not grow with the archive; what is created is decided
by `SafeTree` alone.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from lockgate_release.archives.safe_tree import Limits, SafeTree

__all__ = ["ArchiveKind", "Limits", "guess_kind", "unpack", "unpack_some", "unpack_stream"]


class ArchiveKind(StrEnum):
    """The formats an artifact can have. `file` is one file, installed as it is."""

    TAR_GZ = "tar.gz"
    TAR_XZ = "tar.xz"
    TAR_ZST = "tar.zst"
    ZIP = "zip"
    FILE = "file"


def guess_kind(name: str) -> ArchiveKind:
    """Return the kind a file name announces; a name that announces none is a single file."""
    lower = name.lower()
    if lower.endswith((".tar.gz", ".tgz")):
        return ArchiveKind.TAR_GZ
    if lower.endswith((".tar.xz", ".txz")):
        return ArchiveKind.TAR_XZ
    if lower.endswith((".tar.zst", ".tzst")):
        return ArchiveKind.TAR_ZST
    if lower.endswith((".zip", ".whl")):
        return ArchiveKind.ZIP
    return ArchiveKind.FILE


def unpack(
    archive: Path, kind: ArchiveKind, target: Path, *, name: str, limits: Limits | None = None
) -> None:
    """Leave the content of `archive` in the empty folder `target`, which must exist.

    On an error `target` may hold a part of it: it is the caller's to remove.

    Args:
        archive: The file to unpack.
        kind: Its format. Bytes of another format are refused as damaged.
        target: An existing, empty folder.
        name: The artifact's file name: what a single file is called in the tree.
        limits: How much it may unpack to.

    Raises:
        ArchiveError: It is damaged, or an entry breaks a rule of `SafeTree`.
        OSError: The disk is full, or the archive cannot be read.
    """
    with archive.open("rb") as stream:
        unpack_stream(stream, kind, target, name=name, limits=limits)


def unpack_stream(
    stream: BinaryIO,
    kind: ArchiveKind,
    target: Path,
    *,
    name: str,
    limits: Limits | None = None,
) -> None:
    """Do the same from an open archive, which can seek.

    Raises:
        ArchiveError: It is damaged, or an entry breaks a rule of `SafeTree`.
        OSError: The disk is full, or the archive cannot be read.
    """
    limits = limits or Limits()
    _fill(SafeTree(target, limits, subject=name), stream, kind, limits, name)


def unpack_some(
    stream: BinaryIO,
    kind: ArchiveKind,
    target: Path,
    *,
    name: str,
    only: frozenset[str],
    limits: Limits | None = None,
) -> None:
    """Leave some files of the archive in the empty folder `target`, and read no more than it takes.

    Of a zip only the table of contents and those files are read, of a tar all up to the last of
    them. Names, links and limits are held to the same rules; what stands behind is not looked at,
    so the caller holds each file to its digest. A file that the archive does not have is missing.

    Args:
        stream: The archive. It can seek.
        kind: Its format.
        target: An existing, empty folder.
        name: The artifact's file name: what a single file is called in the tree.
        only: The files, by their paths in the tree. Of a hard link its original must be among them.
        limits: How much the archive may hold.

    Raises:
        ArchiveError: It is damaged, or an entry breaks a rule of `SafeTree`.
        OSError: The disk is full, or the archive cannot be read.
    """
    limits = limits or Limits()
    _fill(SafeTree(target, limits, subject=name, only=only), stream, kind, limits, name)


def _fill(tree: SafeTree, stream: BinaryIO, kind: ArchiveKind, limits: Limits, name: str) -> None:
    # Who only applies deltas needs a tree, and none of the formats.
    from lockgate_release.archives.formats import fill_tree  # noqa: PLC0415 (only for archives)

    fill_tree(tree, stream, kind, limits, name)
