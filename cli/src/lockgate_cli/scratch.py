"""Folders for what is made on the way: gone afterwards, and if not, gone with the next one.

A folder is held by a lock on a file in it, which ends with its process. Whoever makes the next
removes those that nobody holds any more, that are an hour old, and that are this user's own.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lockgate_release.archives.safe_tree import remove_tree
from lockgate_release.errors import LocalError

__all__ = ["scratch_folder"]

_PREFIX = "lockgate-"
_LOCK = ".lockgate-scratch"
_OLD_S = 3600
"""Between its making and its lock, a folder looks as if nobody held it."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def scratch_folder(what: str, *, clock: Callable[[], float] = time.time) -> Iterator[Path]:
    """Yield an empty folder that is gone afterwards, and remove what killed processes left.

    Args:
        what: What it is for, in one word: it stands in the folder's name.
        clock: Tells the time, as files have it.

    Raises:
        LocalError: It cannot be made, or the disk is full.
    """
    above = tempfile.gettempdir()
    _sweep(Path(above), clock())
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{what}-", dir=above))
    except OSError as exc:
        raise _no_room(what, above, exc) from exc
    lock = -1
    try:
        lock = _hold(folder)
        work = folder / "work"
        work.mkdir(mode=0o700)
        yield work
    except OSError as exc:
        if exc.errno not in _NO_ROOM:
            raise
        raise _no_room(what, above, exc) from exc
    finally:
        with suppress(OSError):
            _remove(folder)
        if lock >= 0:
            os.close(lock)


def _no_room(what: str, above: str, error: OSError) -> LocalError:
    reason = error.strerror or str(error)
    return LocalError(f"no room for {what}", subject=above, found=reason)


def _hold(folder: Path) -> int:
    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with suppress(OSError):  # A file system without locks: there, nothing is swept either.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle


def _sweep(above: Path, now_s: float) -> None:
    """Remove what nobody holds any more. What is in the way of that stays, and is no fault."""
    with suppress(OSError), os.scandir(above) as found:
        for item in found:
            if item.name.startswith(_PREFIX):
                with suppress(OSError):
                    _remove_dead(Path(item.path), item.stat(follow_symlinks=False), now_s)


def _remove_dead(folder: Path, status: os.stat_result, now_s: float) -> None:
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    if not is_ours or stat.S_IMODE(status.st_mode) != 0o700:
        return
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if now_s - os.fstat(lock).st_mtime < _OLD_S:
            return
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(folder)
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    """Remove a folder, its lock last: one that is cut off here is known to the next sweep."""
    for path in folder.iterdir():
        if path.name != _LOCK:
            remove_tree(path)
    remove_tree(folder)
