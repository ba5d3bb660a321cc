"""How many reports wait in the memory of the processes that take them in, told to the others.

1. Each process writes one short line of a fixed length into a file of its own, over the one before:
   on a disk that is full, or under a database that is held, the line can still be written. Those
   are the moments at which somebody asks.
2. A line counts for half a minute. A process that was killed leaves one, and says nothing more.
3. Nothing here is made durable: after a crash of the machine nothing waits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from lockgate_release.instants import format_instant, parse_instant
from lockgate_server.stores.disk import disk_errors

__all__ = ["FRESH", "QueueNotes"]

FRESH: Final = timedelta(seconds=30)
"""For how long a line counts: longer than a process waits for a database that is held."""

_FORGOTTEN: Final = timedelta(days=1)
_LINE_BYTES: Final = 42
_PRIVATE = 0o600


class QueueNotes:
    """One line for each process, in a folder. Safe to share between threads and processes."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made when something is noted first."""
        self._folder = folder
        self._mine: tuple[int, int] | None = None

    def note(self, waiting: int, *, now: datetime) -> None:
        """Say how many reports wait in this process.

        Raises:
            LocalError: The folder is in the way.
        """
        line = f"{waiting:>20} {format_instant(now)}\n".encode().rjust(_LINE_BYTES)
        with disk_errors(str(self._folder)):
            os.pwrite(self._open(now), line, 0)

    def _open(self, now: datetime) -> int:
        """Return the file of this process: not the one of the process that it was forked from."""
        if self._mine is None or self._mine[0] != os.getpid():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._forget(now)
            path = self._folder / str(os.getpid())
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._mine = (os.getpid(), os.open(path, flags, _PRIVATE))
        return self._mine[1]

    def _forget(self, now: datetime) -> None:
        for path, _, at in self._lines():
            if not abs(now - at) < _FORGOTTEN:
                path.unlink(missing_ok=True)

    def total(self, *, now: datetime) -> int | None:
        """Return how many wait in all processes together; None where none takes reports in.

        Raises:
            LocalError: The folder cannot be read.
        """
        with disk_errors(str(self._folder)):
            fresh = [waiting for _, waiting, at in self._lines() if abs(now - at) <= FRESH]
        return sum(fresh) if fresh else None

    def _lines(self) -> Iterator[tuple[Path, int, datetime]]:
        """Yield file, count and instant of every line that is one."""
        with suppress(FileNotFoundError):
            for path in sorted(self._folder.iterdir()):
                with suppress(FileNotFoundError, ValueError):
                    count, at = path.read_bytes()[:_LINE_BYTES].decode("ascii").split()
                    yield path, int(count), parse_instant(at)

    def close(self) -> None:
        """Let go of the file, which stays until it counts no more."""
        if self._mine is not None and self._mine[0] == os.getpid():
            os.close(self._mine[1])
        self._mine = None
