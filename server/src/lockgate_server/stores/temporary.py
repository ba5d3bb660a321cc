"""Files that have no name among the objects yet, and what is left of them after a kill."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import ExitStack, suppress
from types import TracebackType

from lockgate_server.stores.disk import FolderTree, disk_errors

__all__ = ["TEMPORARY_FOLDER", "NewFile", "remove_left_over_files"]

TEMPORARY_FOLDER = "~tmp"

_LEFT_OVER_AFTER_NS = 24 * 60 * 60 * 10**9
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PUBLIC_FILE = 0o644


class NewFile:
    """A file being written, gone from its own folder when the `with` block ends.

    It is locked while it is open, so that whoever clears up knows that its writer lives: a process
    id would say nothing between containers that share the folder.

    Attributes:
        folder: A descriptor of the folder it lies in.
        name: Its name there.
        descriptor: Its own descriptor.
    """

    def __init__(self, folders: FolderTree, subject: str) -> None:
        """Prepare a file for the object `subject`; nothing is on the disk yet."""
        self._folders = folders
        self._subject = subject
        self._open = ExitStack()
        self.folder = -1
        self.name = secrets.token_hex(16)
        self.descriptor = -1

    def __enter__(self) -> NewFile:
        with disk_errors(self._subject), ExitStack() as opening:
            folder = opening.enter_context(self._folders.opened([TEMPORARY_FOLDER], create=True))
            assert folder is not None
            self.folder = folder
            self.descriptor = os.open(self.name, _FLAGS, _PUBLIC_FILE, dir_fd=folder)
            opening.callback(self._remove)
            fcntl.flock(self.descriptor, fcntl.LOCK_EX)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def _remove(self) -> None:
        # Without its name among the objects nobody misses it; with one, only this name goes.
        with suppress(OSError):
            os.unlink(self.name, dir_fd=self.folder)
        os.close(self.descriptor)

    def write(self, piece: bytes) -> None:
        """Append a piece.

        Raises:
            DiskFullError: It does not fit.
            LocalError: It cannot be written.
        """
        with disk_errors(self._subject):
            left = memoryview(piece)
            while left:
                left = left[os.write(self.descriptor, left) :]

    def seal(self, time_ns: int) -> None:
        """Give the file its time and make it durable. It is not written again.

        Raises:
            DiskFullError: It does not fit.
            LocalError: It cannot be synced.
        """
        with disk_errors(self._subject):
            os.utime(self.descriptor, ns=(time_ns, time_ns))
            os.fsync(self.descriptor)


def remove_left_over_files(folders: FolderTree, now_ns: int) -> None:
    """Remove the files of writers that are gone, when they are older than a day.

    What cannot be removed stays: a reader without the right to do so can still open the store.
    """
    with suppress(OSError), folders.opened([TEMPORARY_FOLDER]) as folder:
        if folder is None:
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                _remove_left_over(folder, entry.name, now_ns)


def _remove_left_over(folder: int, name: str, now_ns: int) -> None:
    with suppress(OSError), ExitStack() as stack:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        stack.callback(os.close, descriptor)
        if now_ns - os.fstat(descriptor).st_mtime_ns > _LEFT_OVER_AFTER_NS:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=folder)
