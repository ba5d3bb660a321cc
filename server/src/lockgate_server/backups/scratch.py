"""Folders to work in that go again, also after their process was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from lockgate_server.backups.drafts import remove_dead_drafts
from lockgate_server.stores.disk import disk_errors

__all__ = ["scratch_folder"]


@contextmanager
def scratch_folder(above: Path | None) -> Iterator[Path]:
    """Yields a private folder, below `above` or where the system has such; gone after the block.

    What killed processes left below `above` is removed first.

    Raises:
        LocalError: It cannot be made.
    """
    with disk_errors(str(above or "a folder to work in")):
        if above is not None:
            remove_dead_drafts(above)
        folder = Path(mkdtemp(prefix=".new-scratch-", dir=above))
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # The lock is on the folder above: whoever opens a database locks the folder it lies in.
        work = folder / "work"
        work.mkdir(0o700)
        yield work
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
