"""Real archives and their real tree digests, from a mapping of names to contents."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath

from backports import zstd

from lockgate_release.digests import (
    EntryKind,
    TreeDigest,
    TreeEntry,
    digest_bytes,
    digest_entries,
)
from lockgate_release.documents import ChunkHasher, Chunks

Tree = Mapping[str, bytes]
"""File contents by their paths. What begins with `#!` is executable."""


def is_program(content: bytes) -> bool:
    return content.startswith(b"#!")


def tree_digest(tree: Tree) -> TreeDigest:
    """The digest that an unpacked `tree` must have, worked out without unpacking anything."""
    folders = {parent for name in tree for parent in PurePosixPath(name).parents}
    entries = [
        TreeEntry(path=str(folder), kind=EntryKind.DIRECTORY)
        for folder in folders
        if str(folder) != "."
    ]
    entries += [
        TreeEntry(
            path=name,
            kind=EntryKind.FILE,
            executable=is_program(content),
            value=digest_bytes(content),
            size_bytes=len(content),
        )
        for name, content in tree.items()
    ]
    return digest_entries(entries)


def make_archive(tree: Tree, kind: str = "tar.gz") -> bytes:
    """The tree as an archive, equal bytes for equal trees."""
    match kind:
        case "tar.gz":
            return gzip.compress(_make_tar(tree), mtime=0)
        case "tar.zst":
            return zstd.compress(_make_tar(tree))
        case "zip":
            return _make_zip(tree)
        case "file":
            (content,) = tree.values()
            return content
        case _:
            raise ValueError(kind)


def _make_tar(tree: Tree) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in sorted(tree.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755 if is_program(content) else 0o644
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _make_zip(tree: Tree) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(tree.items()):
            member = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            member.external_attr = (0o100755 if is_program(content) else 0o100644) << 16
            archive.writestr(member, content)
    return buffer.getvalue()


def make_tar_of(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """A tar.gz of exactly these members: what an attacker would build."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


def chunks_of(data: bytes) -> Chunks | None:
    """The chunks that a publisher signs for a file."""
    hasher = ChunkHasher(len(data))
    hasher.update(data)
    return hasher.finish()
