"""A folder tree that is written durably and never left: what a directory of objects stands on.

1. Folders are opened one part at a time, each within the one before, and no link is followed. So
   no link that somebody plants, now or while we look, leads out of the tree.
2. A new folder is durable before anything in it is: the folder that holds it is synced the first
   time this process sees it, also when another process has made it.
3. What the operating system refuses is translated here, in one place.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lockgate_release.errors import DiskFullError, LocalError

__all__ = ["FolderTree", "disk_errors", "file_status", "make_durable_folder", "open_file"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NOTHING = frozenset({errno.ENOENT, errno.ENOTDIR})
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a planted pipe would wait for a writer.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def disk_errors(subject: str) -> Iterator[None]:
    """Translates what the operating system refuses in the block.

    Raises:
        DiskFullError: The disk or a quota is full.
        LocalError: Anything else is in the way.
    """
    try:
        yield
    except OSError as exc:
        found = exc.strerror or str(exc)
        if exc.errno in _FULL:
            raise DiskFullError(
                "the disk is full", subject=subject, found=found, hint="Make room and try again."
            ) from exc
        raise LocalError(
            "the store's disk is in the way",
            subject=subject,
            found=found,
            hint="Look at the folder's owner, its mode and the disk's health.",
        ) from exc


def make_durable_folder(path: Path) -> None:
    """Makes a folder and those above it, and syncs each one's holder.

    Raises:
        OSError: It cannot be made.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        holder = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(holder)
        finally:
            os.close(holder)


def file_status(folder: int, name: str, subject: str) -> os.stat_result | None:
    """Return the status of a plain file, or None where no file is.

    Raises:
        LocalError: Something is there that is neither file nor folder, such as a link.
        OSError: It cannot be told.
    """
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status if _is_file(status, subject) else None


def open_file(folder: int, name: str, subject: str) -> int | None:
    """Return a descriptor of a plain file, or None where no file is.

    Raises:
        LocalError: Something is there that is neither file nor folder, such as a link.
        OSError: It cannot be opened.
    """
    try:
        descriptor = os.open(name, _FILE_FLAGS, dir_fd=folder)
    except OSError as exc:
        if exc.errno == errno.ENOENT:
            return None
        # ELOOP is a link, ENXIO a socket: this says so. Anything else goes on as it is.
        file_status(folder, name, subject)
        raise
    try:
        found = _is_file(os.fstat(descriptor), subject)
    except BaseException:
        os.close(descriptor)
        raise
    if not found:
        os.close(descriptor)
        return None
    return descriptor


def _is_file(status: os.stat_result, subject: str) -> bool:
    if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        return stat.S_ISREG(status.st_mode)
    raise LocalError(
        "something planted in the store",
        subject=subject,
        expected="a plain file",
        found=stat.filemode(status.st_mode),
        hint="Find out who put it there and remove it; the server follows no links.",
    )


class FolderTree:
    """The folders below one root."""

    def __init__(self, root: Path) -> None:
        """Take `root` as it is: it may be a link itself, for that is its owner's choice."""
        self._root = root
        self._known_durable: set[tuple[int, int]] = set()

    @contextmanager
    def opened(self, parts: Sequence[str], *, create: bool = False) -> Iterator[int | None]:
        """Yields a descriptor of a folder, or None where there is none and none is to be made.

        Raises:
            LocalError: A link is on the way.
            OSError: A folder cannot be opened or made.
        """
        current: int | None = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for index, part in enumerate(parts):
                assert current is not None
                below = self._step(current, part, "/".join(parts[: index + 1]), create=create)
                os.close(current)
                current = below
                if current is None:
                    break
            yield current
        finally:
            if current is not None:
                os.close(current)

    def _step(self, holder: int, name: str, subject: str, *, create: bool) -> int | None:
        try:
            return self._open_durably(holder, name) if create else _open_folder(holder, name)
        except OSError as exc:
            if exc.errno not in {*_NOTHING, errno.ELOOP}:
                raise
            # A file in the place of a folder is nothing to a reader and in a writer's way.
            file_status(holder, name, subject)
            if create:
                raise
            return None

    def _open_durably(self, holder: int, name: str) -> int:
        try:
            descriptor = _open_folder(holder, name)
        except FileNotFoundError:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=holder)
            descriptor = _open_folder(holder, name)
        try:
            self._make_durable(holder, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _make_durable(self, holder: int, descriptor: int) -> None:
        status = os.fstat(descriptor)
        identity = (status.st_dev, status.st_ino)
        if identity not in self._known_durable:
            os.fsync(holder)
            self._known_durable.add(identity)


def _open_folder(holder: int, name: str) -> int:
    return os.open(name, _FOLDER_FLAGS, dir_fd=holder)
