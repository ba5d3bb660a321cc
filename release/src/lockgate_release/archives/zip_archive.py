"""Zip archives, read by the standard library. Its table of contents is held in memory."""

from __future__ import annotations

import os
import stat
import zipfile
from typing import BinaryIO, cast

from lockgate_release.archives.safe_tree import SafeTree
from lockgate_release.errors import ArchiveError

__all__ = ["unpack_zip"]

_SET_ID = stat.S_ISUID | stat.S_ISGID
_EXECUTABLE = 0o111
_ENCRYPTED = 0x1
# The others are rare, one of them takes as much memory as it likes, and another calls damage an
# OSError, which would be this machine's fault.
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# Longer than any link: what is read up to here is too long, or whole.
_MAX_LINK_BYTES = 4096


def unpack_zip(stream: BinaryIO, tree: SafeTree, *, subject: str) -> None:
    """Fill `tree` from the zip in `stream`.

    Raises:
        ArchiveError: An entry breaks a rule.
        zipfile.BadZipFile: It is damaged; so may other errors of the standard library say.
    """
    with zipfile.ZipFile(stream) as archive:
        end = stream.seek(0, os.SEEK_END)
        for info in archive.infolist():
            # Seeking there would fail as if this machine's disk had.
            if not 0 <= info.header_offset < end:
                raise zipfile.BadZipFile("an entry that begins outside of the file")
            _check_member(info, subject)
            _add_member(archive, info, tree, subject)
            if tree.has_all_wanted:
                return


def _check_member(info: zipfile.ZipInfo, subject: str) -> None:
    if info.flag_bits & _ENCRYPTED:
        raise ArchiveError("encrypted entry", subject=subject, found=_shown(info))
    if info.compress_type not in _METHODS:
        raise ArchiveError(
            "compression that is not read here",
            subject=subject,
            expected="stored or deflated",
            found=f"method {info.compress_type} of {_shown(info)}",
        )


def _add_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, tree: SafeTree, subject: str
) -> None:
    mode = info.external_attr >> 16
    kind = stat.S_IFMT(mode)
    # `filename` has been cut at a NUL and had its separators replaced: judge what was stored.
    stored = info.orig_filename
    if stored.endswith("/") or kind == stat.S_IFDIR:
        tree.add_folder(stored)
    elif mode & _SET_ID:
        raise ArchiveError("set-id bit", subject=subject, found=_shown(info))
    elif kind in {0, stat.S_IFREG, stat.S_IFLNK} and tree.leaves_out(stored):
        return
    elif kind == stat.S_IFLNK:
        with archive.open(info) as content:
            tree.add_link(stored, content.read(_MAX_LINK_BYTES).decode("utf-8"))
    elif kind in {0, stat.S_IFREG}:
        with archive.open(info) as content:
            size_bytes = tree.add_file(
                stored, cast("BinaryIO", content), executable=bool(mode & _EXECUTABLE)
            )
        if size_bytes != info.file_size:
            raise zipfile.BadZipFile(f"{size_bytes} bytes where {info.file_size} were announced")
    else:
        raise ArchiveError(
            "entry that is no file, folder or link", subject=subject, found=_shown(info)
        )


def _shown(info: zipfile.ZipInfo) -> str:
    return ascii(info.orig_filename[:200])
