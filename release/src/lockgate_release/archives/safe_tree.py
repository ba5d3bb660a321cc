"""The only place that creates files from an archive's names. Writes below one folder.

Rules, for every entry of every format:

1. A name is relative, has no `.` or `..` part, no empty part, no NUL, no backslash and no drive,
   and each part fits a file system.
2. A name appears once, also when letter case and Unicode form are ignored, so that the tree is
   the same on file systems that ignore them.
3. A parent is a folder that this archive has created: nothing is written through a link.
4. Only files, folders and symbolic links; no set-id bit.
5. A link is relative, and resolves to a place inside the tree.
6. No more bytes and no more entries than the limits allow, counted while they are written.
"""

from __future__ import annotations

import os
import shutil
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from lockgate_release.digests import CHUNK_BYTES
from lockgate_release.errors import ArchiveError

__all__ = ["Limits", "SafeTree"]

_FILE_MODE = 0o644
_PROGRAM_MODE = 0o755
_MAX_PART_BYTES = 255
_MAX_PATH_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much an archive may unpack to: size in bytes over all files, and number of entries.

    A client takes the size from the signed document; the defaults are a publisher's.
    """

    size_bytes: int = 64 << 30
    entries: int = 500_000


class SafeTree:
    """A folder that is being filled from an archive, and that nothing can be written outside of."""

    def __init__(self, root: Path, limits: Limits, *, subject: str) -> None:
        """Fill the existing, empty folder `root`; `subject` names the archive in messages."""
        self._root = root
        self._limits = limits
        self._subject = subject
        self._folders: set[PurePosixPath] = {PurePosixPath()}
        self._files: set[PurePosixPath] = set()
        self._links: list[PurePosixPath] = []
        self._spellings: dict[str, str] = {}
        self._size_bytes = 0

    def add_folder(self, name: str) -> None:
        """Create the folder `name`; that it exists already is no fault.

        Raises:
            ArchiveError: A rule is broken.
        """
        self._make_folders(self._check_name(name.rstrip("/")))

    def add_file(self, name: str, content: BinaryIO, *, executable: bool) -> None:
        """Create the file `name` with all of `content`.

        Raises:
            ArchiveError: A rule is broken.
        """
        path = self._claim(name)
        with self._create(path, executable=executable) as target:
            while chunk := content.read(CHUNK_BYTES):
                self._count(len(chunk), name)
                target.write(chunk)
        self._files.add(path)

    def add_copy(self, name: str, original: str, *, executable: bool) -> None:
        """Create the file `name` with the content of the earlier file `original` (a hard link).

        Raises:
            ArchiveError: A rule is broken, or there is no such earlier file.
        """
        source = self._check_name(original)
        if source not in self._files:
            raise self._refuse("hard link to no earlier file", f"{name} -> {original}")
        with (self._root / source).open("rb") as content:
            self.add_file(name, content, executable=executable)

    def add_link(self, name: str, target: str) -> None:
        """Create the symbolic link `name` to `target`; `finish` proves where it leads.

        Raises:
            ArchiveError: A rule is broken.
        """
        if not target or "\0" in target or target.startswith("/") or "\\" in target:
            raise self._refuse("link out of the tree", f"{name} -> {target}")
        path = self._claim(name)
        (self._root / path).symlink_to(target)
        self._links.append(path)

    def finish(self) -> None:
        """Prove that no link leads out of the tree, or into a ring.

        Raises:
            ArchiveError: One does.
        """
        root = Path(os.path.realpath(self._root))
        for link in self._links:
            try:
                target = Path(os.path.realpath(root / link, strict=False))
            except OSError as exc:
                raise self._refuse("link that cannot be followed", str(link)) from exc
            if not target.is_relative_to(root):
                shown = os.readlink(root / link)  # noqa: PTH115 (a link's own words, unresolved)
                raise self._refuse("link out of the tree", f"{link} -> {shown}")

    def _refuse(self, what: str, found: str) -> ArchiveError:
        return ArchiveError(what, subject=self._subject, found=repr(found[:200]))

    def _check_name(self, name: str) -> PurePosixPath:
        try:
            encoded = name.encode("utf-8")
        except UnicodeEncodeError as exc:
            raise self._refuse("name that is not UTF-8", ascii(name)) from exc
        if not name or name.startswith("/") or "\\" in name or "\0" in name or ":" in name[:2]:
            raise self._refuse("name that is not a relative path", name)
        parts = [part for part in name.split("/") if part != "."]
        if not parts or any(part in {"", ".."} for part in parts):
            raise self._refuse("name that leaves its folder", name)
        if len(encoded) > _MAX_PATH_BYTES or any(
            len(part.encode()) > _MAX_PART_BYTES for part in parts
        ):
            raise self._refuse("name too long", name)
        return PurePosixPath(*parts)

    def _spell(self, path: PurePosixPath) -> None:
        """Remember a path under the spelling that the laxest file system would give it."""
        spelling = unicodedata.normalize("NFC", str(path)).casefold()
        known = self._spellings.setdefault(spelling, str(path))
        if known != str(path):
            raise self._refuse("two names that differ only by case or form", f"{known}, {path}")

    def _claim(self, name: str) -> PurePosixPath:
        path = self._check_name(name)
        self._make_folders(path.parent)
        if path in self._folders or os.path.lexists(self._root / path):
            raise self._refuse("name that appears twice", name)
        self._spell(path)
        self._count_entry(name)
        return path

    def _make_folders(self, path: PurePosixPath) -> None:
        for folder in [*reversed(path.parents), path]:
            if folder in self._folders:
                continue
            if os.path.lexists(self._root / folder):
                raise self._refuse("folder that is also a file or a link", str(folder))
            self._spell(folder)
            self._count_entry(str(folder))
            (self._root / folder).mkdir(mode=_PROGRAM_MODE)
            self._folders.add(folder)

    def _create(self, path: PurePosixPath, *, executable: bool) -> BinaryIO:
        mode = _PROGRAM_MODE if executable else _FILE_MODE
        handle = os.open(
            self._root / path,
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
            mode,
        )
        os.fchmod(handle, mode)
        return os.fdopen(handle, "wb")

    def _count(self, size_bytes: int, name: str) -> None:
        self._size_bytes += size_bytes
        if self._size_bytes > self._limits.size_bytes:
            raise ArchiveError(
                "unpacks to more than it may",
                subject=self._subject,
                expected=f"at most {self._limits.size_bytes} bytes",
                found=f"more, at {name[:200]!r}",
            )

    def _count_entry(self, name: str) -> None:
        if len(self._spellings) > self._limits.entries:
            raise ArchiveError(
                "holds more entries than it may",
                subject=self._subject,
                expected=f"at most {self._limits.entries}",
                found=f"more, at {name[:200]!r}",
            )


def remove_tree(path: Path) -> None:
    """Remove the tree at `path` if it exists, also where it holds folders without write bits."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
