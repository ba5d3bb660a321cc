"""From an archive's bytes to a tree. Reads one file, writes below one folder, trusts neither.

A format is read as a stream, so memory does not grow with the archive; what is created is decided
by `SafeTree` alone.
"""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, assert_never, cast

from lockgate_release.archives.safe_tree import Limits, SafeTree
from lockgate_release.errors import ArchiveError

__all__ = ["ArchiveKind", "Limits", "guess_kind", "unpack"]

_SET_ID = stat.S_ISUID | stat.S_ISGID
_EXECUTABLE = 0o111
# Tar headers and padding come on top of the files: what a stream may hold beyond them.
_TAR_OVERHEAD_BYTES = 16 << 20
_TAR_ENTRY_OVERHEAD_BYTES = 4096
_MAX_LINK_BYTES = 4096
_ENCRYPTED = 0x1
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    UnicodeDecodeError,
    NotImplementedError,
    gzip.BadGzipFile,
)


class ArchiveKind(StrEnum):
    """The formats an artifact can have. `file` is one file, installed as it is."""

    TAR_GZ = "tar.gz"
    TAR_XZ = "tar.xz"
    ZIP = "zip"
    FILE = "file"


def guess_kind(name: str) -> ArchiveKind:
    """Return the kind a file name announces; a name that announces none is a single file."""
    lower = name.lower()
    if lower.endswith((".tar.gz", ".tgz")):
        return ArchiveKind.TAR_GZ
    if lower.endswith((".tar.xz", ".txz")):
        return ArchiveKind.TAR_XZ
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
    tree = SafeTree(target, limits or Limits(), subject=name)
    with archive.open("rb") as stream, _damage_as_error(name):
        match kind:
            case ArchiveKind.TAR_GZ | ArchiveKind.TAR_XZ:
                _unpack_tar(stream, kind, tree, limits or Limits(), name)
            case ArchiveKind.ZIP:
                _unpack_zip(stream, tree, name)
            case ArchiveKind.FILE:
                tree.add_file(name, stream, executable=True)
            case _:
                assert_never(kind)
        tree.finish()


@contextmanager
def _damage_as_error(name: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as exc:
        raise ArchiveError("damaged", subject=name, found=str(exc)[:200]) from exc


class _LimitedStream(io.RawIOBase):
    """A decompressed stream that refuses to go on for ever."""

    def __init__(self, stream: BinaryIO, limit_bytes: int, name: str) -> None:
        super().__init__()
        self._stream = stream
        self._left = limit_bytes
        self._name = name

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ArchiveError("unpacks to more than it may", subject=self._name)
        return data


def _unpack_tar(
    stream: BinaryIO, kind: ArchiveKind, tree: SafeTree, limits: Limits, name: str
) -> None:
    limit_bytes = (
        limits.size_bytes
        + _TAR_OVERHEAD_BYTES
        + min(limits.entries, limits.size_bytes) * _TAR_ENTRY_OVERHEAD_BYTES
    )
    is_gzip = kind is ArchiveKind.TAR_GZ
    with gzip.GzipFile(fileobj=stream) if is_gzip else lzma.LZMAFile(stream) as inner:
        limited = _LimitedStream(cast("BinaryIO", inner), limit_bytes, name)
        with tarfile.open(fileobj=limited, mode="r|", errorlevel=2) as archive:
            for member in archive:
                _add_tar_member(archive, member, tree, name)
        # Reading on to the end is what checks the compressed stream's own checksum.
        while limited.read(1 << 20):
            pass


def _add_tar_member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, tree: SafeTree, name: str
) -> None:
    executable = bool(member.mode & _EXECUTABLE)
    if member.isdir():
        if member.name not in {".", "./", ""}:
            tree.add_folder(member.name)
    elif member.mode & _SET_ID:
        raise ArchiveError("set-id bit", subject=name, found=repr(member.name))
    elif member.isfile():
        content = archive.extractfile(member)
        if content is None:
            raise ArchiveError("damaged", subject=name, found=repr(member.name))
        with content:
            tree.add_file(member.name, cast("BinaryIO", content), executable=executable)
    elif member.islnk():
        tree.add_copy(member.name, member.linkname, executable=executable)
    elif member.issym():
        tree.add_link(member.name, member.linkname)
    else:
        raise ArchiveError(
            "entry that is no file, folder or link", subject=name, found=repr(member.name)
        )


def _unpack_zip(stream: BinaryIO, tree: SafeTree, name: str) -> None:
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            if info.flag_bits & _ENCRYPTED:
                raise ArchiveError("encrypted entry", subject=name, found=repr(info.filename))
            _add_zip_member(archive, info, tree, name)


def _add_zip_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, tree: SafeTree, name: str
) -> None:
    mode = info.external_attr >> 16
    kind = stat.S_IFMT(mode)
    # `filename` has been cut at a NUL and had its separators replaced: judge what was stored.
    stored = info.orig_filename
    if info.is_dir() or kind == stat.S_IFDIR:
        tree.add_folder(stored)
    elif mode & _SET_ID:
        raise ArchiveError("set-id bit", subject=name, found=repr(stored))
    elif kind == stat.S_IFLNK:
        with archive.open(info) as content:
            tree.add_link(stored, content.read(_MAX_LINK_BYTES).decode("utf-8"))
    elif kind in {0, stat.S_IFREG}:
        with archive.open(info) as content:
            tree.add_file(stored, cast("BinaryIO", content), executable=bool(mode & _EXECUTABLE))
    else:
        raise ArchiveError(
            "entry that is no file, folder or link", subject=name, found=repr(stored)
        )
