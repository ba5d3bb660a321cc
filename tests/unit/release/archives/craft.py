"""Archives made by hand, as nobody's tool would make them, and a look at what they left behind."""

import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from backports import zstd

from lockgate_release.archives import ArchiveKind, Limits, unpack

TARS = [ArchiveKind.TAR_GZ, ArchiveKind.TAR_XZ, ArchiveKind.TAR_ZST]
PACKED = [*TARS, ArchiveKind.ZIP]
PADDED = [ArchiveKind.TAR_GZ, ArchiveKind.TAR_XZ]
"""The formats that may go on behind their end: with zeros, or with another stream."""
SMALL = Limits(size_bytes=1 << 20, entries=200)
_MODES = {
    tarfile.REGTYPE: stat.S_IFREG,
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry as it stands in the archive, right or wrong."""

    name: str
    data: bytes = b""
    mode: int = 0o644
    type: bytes = tarfile.REGTYPE
    link: str = ""
    pax: dict[str, str] = field(default_factory=dict)


def file(name: str, data: bytes = b"x", mode: int = 0o644) -> Entry:
    return Entry(name=name, data=data, mode=mode)


def folder(name: str, mode: int = 0o755) -> Entry:
    return Entry(name=name, type=tarfile.DIRTYPE, mode=mode)


def link(name: str, target: str) -> Entry:
    return Entry(name=name, type=tarfile.SYMTYPE, link=target, mode=0o777)


def hard_link(name: str, original: str) -> Entry:
    return Entry(name=name, type=tarfile.LNKTYPE, link=original)


def tar_of(entries: Iterable[Entry]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            info.type, info.mode, info.linkname = entry.type, entry.mode, entry.link
            info.size, info.pax_headers = len(entry.data), dict(entry.pax)
            archive.addfile(info, io.BytesIO(entry.data))
    return packed.getvalue()


def zip_of(entries: Iterable[Entry]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in entries:
            info = zipfile.ZipInfo("placeholder")
            is_folder = entry.type == tarfile.DIRTYPE
            info.filename = entry.name.rstrip("/") + "/" if is_folder else entry.name
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (_MODES[entry.type] | entry.mode) << 16
            archive.NameToInfo.clear()  # or it warns of names that appear twice
            archive.writestr(info, entry.link.encode() or entry.data)
    return packed.getvalue()


def compress(tar: bytes, kind: ArchiveKind) -> bytes:
    match kind:
        case ArchiveKind.TAR_GZ:
            return gzip.compress(tar, 1)
        case ArchiveKind.TAR_XZ:
            return lzma.compress(tar, preset=0)
        case _:
            checksum = zstd.CompressionParameter.checksum_flag
            return zstd.compress(tar, options={checksum: 1})


def pack(kind: ArchiveKind, *entries: Entry) -> bytes:
    return zip_of(entries) if kind is ArchiveKind.ZIP else compress(tar_of(entries), kind)


def tree_of(root: Path) -> dict[str, str]:
    """What lies below `root`: `d`, `f` or `x` and the content, or `l` and where it points."""
    found = {}
    for at, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(at, name)
            place = path.relative_to(root).as_posix()
            if path.is_symlink():
                found[place] = f"l {path.readlink()}"
            elif path.is_dir():
                found[place] = "d"
            else:
                kind = "x" if path.stat().st_mode & 0o111 else "f"
                found[place] = f"{kind} {path.read_text('latin-1')}"
    return found


class Room:
    """A folder to unpack into, with neighbours that must stay as they are."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.target = home / "versions" / "tree"
        self.target.mkdir(parents=True)
        (home / "secret").write_text("secret")
        (home / "versions" / "other").mkdir()
        self._before = self._outside()

    def unpack(
        self, kind: ArchiveKind, data: bytes, *, limits: Limits = SMALL, name: str = "a.bin"
    ) -> dict[str, str]:
        archive = self.home / "archive"
        archive.write_bytes(data)
        try:
            unpack(archive, kind, self.target, name=name, limits=limits)
        finally:
            archive.unlink()
        return tree_of(self.target)

    def _outside(self) -> dict[str, str]:
        found = tree_of(self.home)
        return {
            name: content for name, content in found.items() if "versions/tree/" not in name + "/"
        }

    def assert_nothing_happened_outside(self) -> None:
        assert self._outside() == self._before
        for path in self.target.rglob("*"):
            assert path.resolve().is_relative_to(self.target.resolve()), path
            if not path.is_symlink():
                assert not path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)
                assert path.is_file() or path.is_dir()
