"""The only place that creates files from an archive's names. Writes below one folder.

Rules, for every entry of every format:

1. A name is relative, has no `.` or `..` part, no empty part, no NUL, no backslash and no drive,
   and each part fits a file system.
2. A name appears once, also when letter case and Unicode form are ignored, so that the tree is
   the same on file systems that ignore them.
3. A parent is a folder that this archive has created: nothing is written through a link.
4. Only files, folders and symbolic links; no set-id bit.
5. A link is relative, and resolves to a place inside the tree without leaving it on the way. No
   link is created before all of them are proven.
6. No more bytes and no more entries than the limits allow, counted while they are written.

Everybody may read what is created and enter its folders, whatever the umask of whoever runs us:
who gets to the tree at all is said by the folder it lies in.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, assert_never

from lockgate_release.archives.copying import PLAIN_FILE, copy_content
from lockgate_release.archives.links import LinkError, LinkMap, spell
from lockgate_release.digests import CHUNK_BYTES, EntryKind, TreeEntry
from lockgate_release.errors import ArchiveError

__all__ = ["Limits", "SafeTree", "check_entries", "create_folder", "open_tree", "remove_tree"]

_FILE_MODE = 0o644
_PROGRAM_MODE = 0o755
_MAX_PART_BYTES = 255
_MAX_PATH_BYTES = 1024
# What nearly every name is, known at one look: it says no more than `_check_name` does.
_PART = r"(?!\.{1,2}(?:/|\Z))[^\0/\\:]{1,255}"
_PLAIN_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much an archive may unpack to: size in bytes over all files, and number of entries.

    A client takes the size from the signed document; the defaults are a publisher's.
    """

    size_bytes: int = 64 << 30
    entries: int = 500_000


class SafeTree:
    """A folder that is being filled from an archive, and that nothing can be written outside of."""

    def __init__(
        self, root: Path, limits: Limits, *, subject: str, only: frozenset[str] | None = None
    ) -> None:
        """Fill the existing, empty folder `root`.

        Args:
            root: The folder.
            limits: How much it may be filled with.
            subject: The archive, for messages.
            only: The files that are wanted, by their paths; everything else is checked and left
                out. None takes everything.
        """
        self._root = root
        # A plain text: objects for thousands of paths would cost more than making the files.
        self._base = f"{root}/"
        self._limits = limits
        self._subject = subject
        self._only = only
        self._lacking = set(only or ())
        # By their spelling: each path as it was written, and what it is.
        self._entries: dict[str, tuple[str, EntryKind]] = {}
        self._links: dict[str, str] = {}
        self._size_bytes = 0
        # The folder that is known to be there; and whether a mode of 755 has come out as asked for.
        self._last_folder = ""
        self._has_usual_modes = False

    @property
    def has_all_wanted(self) -> bool:
        """Whether all the files that were asked for are there, so that the rest can be spared."""
        return self._only is not None and not self._lacking

    def leaves_out(self, name: str) -> bool:
        """Whether the file or link `name` is not wanted; then it is checked here, and not added.

        Raises:
            ArchiveError: A rule is broken.
        """
        if self._only is None or self._check_name(name) in self._only:
            return False
        self._claim(name, EntryKind.FILE)
        return True

    def add_folder(self, name: str) -> None:
        """Create the folder `name`; that it exists already is no fault.

        Raises:
            ArchiveError: A rule is broken.
        """
        self._make_folders(self._check_name(name.rstrip("/")))

    def add_file(self, name: str, content: BinaryIO, *, executable: bool) -> int:
        """Create the file `name` with all of `content`, and return its size in bytes.

        Raises:
            ArchiveError: A rule is broken.
        """
        path = self._claim(name, EntryKind.FILE)
        size_bytes = 0
        target = self._open(path, executable=executable)
        try:
            while chunk := content.read(CHUNK_BYTES):
                size_bytes += len(chunk)
                self._count(len(chunk), name)
                _write(target, chunk)
        finally:
            os.close(target)
        self._lacking.discard(path)
        return size_bytes

    def add_copy(self, name: str, original: str, *, executable: bool) -> None:
        """Create the file `name` with the content of the earlier file `original` (a hard link).

        Raises:
            ArchiveError: A rule is broken, or there is no such earlier file.
        """
        source = self._check_name(original)
        is_there = self._only is None or source in self._only
        if not is_there or self._entries.get(spell(source)) != (source, EntryKind.FILE):
            raise self._refuse("hard link to no earlier file", f"{name} -> {original}")
        with (self._root / source).open("rb") as content:
            self.add_file(name, content, executable=executable)

    def add_copy_of(self, name: str, source: str, size_bytes: int, *, executable: bool) -> None:
        """Create the file `name` with the first `size_bytes` of the file `source`, of any tree.

        Raises:
            ArchiveError: A rule is broken, or `source` is shorter.
            OSError: It cannot be read; a link is not followed.
        """
        path = self._claim(name, EntryKind.FILE)
        self._count(size_bytes, name)
        handle = os.open(source, PLAIN_FILE)
        try:
            target = self._open(path, executable=executable)
            try:
                copy_content(handle, target, size_bytes, subject=self._subject)
            finally:
                os.close(target)
        finally:
            os.close(handle)
        self._lacking.discard(path)

    def add_link(self, name: str, target: str) -> None:
        """Remember the symbolic link `name` to `target`; `finish` proves and creates it.

        Raises:
            ArchiveError: A rule is broken.
        """
        if not target or "\0" in target or target.startswith("/") or "\\" in target:
            raise self._refuse("link out of the tree", f"{name} -> {target}")
        if self._length(target) > _MAX_PATH_BYTES:
            raise self._refuse("link that is too long", f"{name} -> {target}")
        self._links[self._claim(name, EntryKind.LINK)] = target

    def finish(self) -> None:
        """Create the links, once it is proven that none leads out of the tree or into a ring.

        Raises:
            ArchiveError: One does; then none is created.
        """
        self.prove_links()
        for path, target in self._links.items():
            try:
                os.symlink(target, self._base + path)  # noqa: PTH211 (a plain text, see above)
            except FileExistsError as exc:
                raise self._collision(path) from exc

    def prove_links(self) -> None:
        """Return if no link leads out of the tree or into a ring; none is created.

        Raises:
            ArchiveError: One does.
        """
        leading = LinkMap()
        for path, target in self._links.items():
            leading.add(path, target)
        for path, target in self._links.items():
            try:
                leading.prove(path)
            except LinkError as exc:
                raise self._refuse(str(exc), f"{path} -> {target}") from exc

    def _refuse(self, what: str, found: str) -> ArchiveError:
        return ArchiveError(what, subject=self._subject, found=ascii(found[:200]))

    def _length(self, name: str) -> int:
        try:
            return len(name.encode())
        except UnicodeEncodeError as exc:
            raise self._refuse("name that is not UTF-8", name) from exc

    def _check_name(self, name: str) -> str:
        if name.isascii() and len(name) <= _MAX_PATH_BYTES and _PLAIN_NAME.fullmatch(name):
            return name
        length = self._length(name)
        if not name or name.startswith("/") or "\\" in name or "\0" in name or ":" in name[:2]:
            raise self._refuse("name that is not a relative path", name)
        parts = [part for part in name.split("/") if part != "."]
        if not parts or any(part in {"", ".."} for part in parts):
            raise self._refuse("name that leaves its folder", name)
        if length > _MAX_PATH_BYTES or any(self._length(part) > _MAX_PART_BYTES for part in parts):
            raise self._refuse("name too long", name)
        return "/".join(parts)

    def _register(self, path: str, kind: EntryKind, twice: str) -> None:
        """Give the path to an entry, new under every spelling; `twice` says that it is there."""
        entry = path, kind
        found = self._entries.setdefault(spell(path), entry)
        if found is not entry:
            if found[0] == path:
                raise self._refuse(twice, path)
            differ = "two names that differ only by case or form"
            raise self._refuse(differ, f"{found[0]}, {path}")
        if len(self._entries) > self._limits.entries:
            raise ArchiveError(
                "holds more entries than it may",
                subject=self._subject,
                expected=f"at most {self._limits.entries}",
                found=f"more, at {path[:200]!a}",
            )

    def _claim(self, name: str, kind: EntryKind) -> str:
        path = self._check_name(name)
        folder = path.rpartition("/")[0]
        if folder != self._last_folder:
            self._make_folders(folder)
            self._last_folder = folder
        self._register(path, kind, "name that appears twice")
        return path

    def _make_folders(self, path: str) -> None:
        if not path or self._entries.get(spell(path)) == (path, EntryKind.DIRECTORY):
            return
        self._make_folders(path.rpartition("/")[0])
        self._register(path, EntryKind.DIRECTORY, "folder that is also a file or a link")
        if self._only is not None:
            return
        try:
            if create_folder(self._base + path, trust_umask=self._has_usual_modes):
                self._has_usual_modes = True
        except FileExistsError as exc:
            raise self._collision(path) from exc

    def _open(self, path: str, *, executable: bool) -> int:
        mode = _PROGRAM_MODE if executable else _FILE_MODE
        if self._only is not None:
            (self._root / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(self._base + path, _NEW, mode)
        except FileExistsError as exc:
            raise self._collision(path) from exc
        # One for whom 755 came out has no umask that takes of it: it need not be asked each time.
        if not self._has_usual_modes and stat.S_IMODE(os.fstat(handle).st_mode) != mode:
            os.fchmod(handle, mode)
        return handle

    def _collision(self, path: str) -> ArchiveError:
        """Whatever else a file system takes for one name, nothing that exists is written over."""
        return self._refuse("name that the file system takes for another", path)

    def _count(self, size_bytes: int, name: str) -> None:
        self._size_bytes += size_bytes
        if self._size_bytes > self._limits.size_bytes:
            raise ArchiveError(
                "unpacks to more than it may",
                subject=self._subject,
                expected=f"at most {self._limits.size_bytes} bytes",
                found=f"more, at {name[:200]!a}",
            )


def check_entries(entries: Iterable[TreeEntry], *, subject: str) -> None:
    """Return if a tree's names, links and number of entries are what a `SafeTree` would create.

    Nothing is created.

    Args:
        entries: The tree, each folder before what lies in it.
        subject: What it is about, for messages.

    Raises:
        ArchiveError: A rule is broken.
    """
    tree = SafeTree(Path(), Limits(), subject=subject, only=frozenset())
    for entry in entries:
        match entry.kind:
            case EntryKind.DIRECTORY:
                tree.add_folder(entry.path)
            case EntryKind.LINK:
                tree.add_link(entry.path, entry.value)
            case EntryKind.FILE:
                tree.leaves_out(entry.path)
            case _ as other:
                assert_never(other)
    tree.prove_links()


def create_folder(path: Path | str, *, trust_umask: bool = False) -> bool:
    """Create one folder of a tree: everybody may enter it, also where the umask says otherwise.

    That its group is to be that of the folder above, as an operator may have it, stays.

    Args:
        path: The folder.
        trust_umask: It is known to take nothing away.

    Returns:
        Whether the umask took nothing away.

    Raises:
        FileExistsError: There is something already.
        OSError: It cannot be made.
    """
    os.mkdir(path, _PROGRAM_MODE)  # noqa: PTH102 (a plain text for many, see above)
    if trust_umask:
        return True
    found = stat.S_IMODE(os.lstat(path).st_mode)
    if found & ~stat.S_ISGID == _PROGRAM_MODE:
        return True
    os.chmod(path, found & stat.S_ISGID | _PROGRAM_MODE)  # noqa: PTH101 (as above)
    return False


def _write(target: int, data: bytes) -> None:
    """Write all of `data`: the system may take less of it at once."""
    written = os.write(target, data)
    while written < len(data):
        data = data[written:]
        written = os.write(target, data)


def open_tree(root: Path) -> None:
    """Let everybody read and enter a tree that others have made under our umask, links left out.

    Raises:
        OSError: A mode cannot be changed.
    """
    pending = [str(root)]
    while pending:
        path = pending.pop()
        os.chmod(path, _PROGRAM_MODE)  # noqa: PTH101 (a plain text for many, see above)
        with os.scandir(path) as found:
            for item in found:
                if item.is_dir(follow_symlinks=False):
                    pending.append(item.path)
                elif item.is_file(follow_symlinks=False):
                    is_program = item.stat().st_mode & stat.S_IXUSR
                    os.chmod(item.path, _PROGRAM_MODE if is_program else _FILE_MODE)  # noqa: PTH101


def remove_tree(path: Path) -> None:
    """Remove the tree at `path` if it exists, also where it holds folders without write bits.

    Raises:
        OSError: It cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        _make_removable(path)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _make_removable(root: Path) -> None:
    pending = [root]
    while pending:
        folder = pending.pop()
        folder.chmod(0o700)
        with os.scandir(folder) as found:
            pending += [Path(item.path) for item in found if item.is_dir(follow_symlinks=False)]
