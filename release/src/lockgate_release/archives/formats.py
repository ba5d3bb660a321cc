"""Each format of archives, read into a tree: the standard library's readers, and their faults."""

from __future__ import annotations

import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from typing import BinaryIO, assert_never

from lockgate_release.archives.damage import damage_as_error
from lockgate_release.archives.safe_tree import Limits, SafeTree
from lockgate_release.archives.streams import LimitedStream, Readable, XzStream, ZstdStream
from lockgate_release.archives.tar_archive import unpack_tar
from lockgate_release.archives.unpack import ArchiveKind
from lockgate_release.archives.zip_archive import unpack_zip
from lockgate_release.errors import ArchiveError

__all__ = ["fill_tree"]

# Headers and padding of a tar come on top of the files: what a stream may hold beyond them.
_TAR_OVERHEAD_BYTES = 16 << 20
_TAR_ENTRY_OVERHEAD_BYTES = 4096
# What the standard library's readers say of hostile bytes. They promise less than they raise.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    struct.error,
    EOFError,
    ValueError,
    RuntimeError,
    ArithmeticError,
    LookupError,
)


def fill_tree(
    tree: SafeTree, stream: BinaryIO, kind: ArchiveKind, limits: Limits, name: str
) -> None:
    """Add all that the archive holds to the tree, and finish it.

    Args:
        tree: Where to.
        stream: The archive. It can seek.
        kind: Its format.
        limits: How much it may hold.
        name: The artifact's file name: what a single file is called in the tree.

    Raises:
        ArchiveError: It is damaged, or an entry breaks a rule of `SafeTree`.
        OSError: The disk is full, or the archive cannot be read.
    """
    with damage_as_error(_DAMAGE, name):
        match kind:
            case ArchiveKind.TAR_GZ:
                with gzip.GzipFile(fileobj=stream) as inner:
                    unpack_tar(_limited(inner, limits, name), tree, subject=name)
            case ArchiveKind.TAR_XZ:
                unpack_tar(_limited(XzStream(stream), limits, name), tree, subject=name)
            case ArchiveKind.TAR_ZST:
                frame = ZstdStream(stream, subject=name)
                unpack_tar(_limited(frame, limits, name), tree, subject=name)
            case ArchiveKind.ZIP:
                unpack_zip(stream, tree, subject=name)
            case ArchiveKind.FILE:
                _add_single_file(stream, tree, name)
            case _:
                assert_never(kind)
        tree.finish()


def _limited(stream: Readable, limits: Limits, name: str) -> LimitedStream:
    limit_bytes = (
        limits.size_bytes + _TAR_OVERHEAD_BYTES + limits.entries * _TAR_ENTRY_OVERHEAD_BYTES
    )
    return LimitedStream(stream, limit_bytes, subject=name)


def _add_single_file(stream: BinaryIO, tree: SafeTree, name: str) -> None:
    if "/" in name:
        raise ArchiveError("name that is not one of a file", subject=name)
    tree.add_file(name, stream, executable=True)
