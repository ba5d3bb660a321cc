"""Tar archives, read as a stream by the standard library, with the doors it leaves open shut.

It stops in silence at a header it cannot read, and at a stream that ends without an end; it holds
every extended header in memory, whatever its size; and it keeps all it has read. Here the first
two are damage, and the rest is bounded.
"""

from __future__ import annotations

import tarfile
from typing import IO, BinaryIO, NoReturn, Self, cast

from lockgate_release.archives.safe_tree import SafeTree
from lockgate_release.archives.streams import Readable
from lockgate_release.digests import CHUNK_BYTES
from lockgate_release.errors import ArchiveError

__all__ = ["unpack_tar"]

_SET_ID = 0o6000
_EXECUTABLE = 0o111
_EXTENDED = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)
# They hold names and attributes; the standard library also searches them in quadratic time.
_MAX_EXTENDED_BYTES = 64 << 10
_MAX_GLOBAL_KEYWORDS = 100


class _Member(tarfile.TarInfo):
    """A tar header that is right, or refused."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return the header in one block, as long as what follows it can be held in memory."""
        member = super().frombuf(buf, encoding, errors)
        if member.type in _EXTENDED and member.size > _MAX_EXTENDED_BYTES:
            raise tarfile.ReadError(f"extended header of {member.size} bytes")
        if member.type == tarfile.GNUTYPE_SPARSE:
            cls._refuse_sparse()
        return member

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """Return the next header; only an empty block is the end."""
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as exc:
            if type(exc).__name__ == "EOFHeaderError":
                raise
            raise tarfile.ReadError(str(exc)) from exc

    @staticmethod
    def _refuse_sparse(*_: object) -> NoReturn:
        raise tarfile.ReadError("sparse file")

    # What the standard library calls for the three formats that came after GNU's first. Their
    # maps of holes are lists as long as the archive likes.
    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse


def unpack_tar(stream: Readable, tree: SafeTree, *, subject: str) -> None:
    """Fill `tree` from the tar in `stream`: to its very end, or to the last file that is wanted.

    Raises:
        ArchiveError: An entry breaks a rule.
        tarfile.TarError: It is damaged; so may other errors of the standard library say.
    """
    # The standard library only ever calls `read`.
    source = cast("IO[bytes]", stream)
    with tarfile.open(
        fileobj=source, mode="r|", tarinfo=_Member, encoding="utf-8", errorlevel=2
    ) as archive:
        while (member := archive.next()) is not None:
            _add_member(archive, member, tree, subject)
            _forget(archive, subject)
            if tree.has_all_wanted:
                return
        _read_to_the_end(cast("Readable", archive.fileobj), subject)


def _forget(archive: tarfile.TarFile, subject: str) -> None:
    """Hold memory down: what was read is not needed again."""
    archive.members.clear()  # type: ignore[attr-defined]  # typeshed leaves it out
    if len(archive.pax_headers) > _MAX_GLOBAL_KEYWORDS:
        raise ArchiveError(
            "too many global headers", subject=subject, expected=f"at most {_MAX_GLOBAL_KEYWORDS}"
        )


def _add_member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, tree: SafeTree, subject: str
) -> None:
    executable = bool(member.mode & _EXECUTABLE)
    if member.size < 0:
        raise tarfile.ReadError("negative size")
    if member.isdir():
        if member.name not in {".", "./", ""}:
            tree.add_folder(member.name)
    elif member.mode & _SET_ID:
        raise ArchiveError("set-id bit", subject=subject, found=ascii(member.name[:200]))
    elif (member.isfile() or member.islnk() or member.issym()) and tree.leaves_out(member.name):
        return
    elif member.isfile():
        with cast("IO[bytes]", archive.extractfile(member)) as content:
            tree.add_file(member.name, cast("BinaryIO", content), executable=executable)
    elif member.islnk():
        tree.add_copy(member.name, member.linkname, executable=executable)
    elif member.issym():
        tree.add_link(member.name, member.linkname)
    else:
        raise ArchiveError(
            "entry that is no file, folder or link",
            subject=subject,
            found=ascii(member.name[:200]),
        )


def _read_to_the_end(stream: Readable, subject: str) -> None:
    """Check that only padding follows, and with it the compressed stream's own checksum."""
    while chunk := stream.read(CHUNK_BYTES):
        if chunk.count(0) != len(chunk):
            raise ArchiveError(
                "bytes after its end", subject=subject, expected="nothing but padding"
            )
