"""One updater at a time: a lock that the system releases when its holder dies.

Library, command and launcher take the same lock. Who holds it is written into the file, for
people; what is written there by a dead process does not count, the system's word does. A process
is told apart from a later one with the same number by when it was started, and in which boot.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate_release.errors import LocalError
from lockgate_release.instants import format_instant, utc_now
from lockgate_release.strict_json import Json, dump_json
from lockgate_updater.state.durable import local_errors
from lockgate_updater.state.identity import boot_id, process_start

if TYPE_CHECKING:
    from lockgate_updater.state.owner import Owner

__all__ = ["hold_lock", "read_holder"]

_POLL_S = 0.05


@contextmanager
def hold_lock(path: Path, *, purpose: str, wait_s: float = 10.0) -> Iterator[None]:
    """Hold the lock at `path` for the length of the block.

    Args:
        path: The lock's file; it stays where it is.
        purpose: What for, for people who wait.
        wait_s: How long to wait for somebody else, in seconds.

    Raises:
        LocalError: Somebody else holds it, or the file cannot be used.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with local_errors("cannot be locked", path):
        handle = os.open(path, flags, 0o600)
    try:
        _wait_for(handle, path, wait_s)
        _write_owner(handle, path, purpose)
        yield
    finally:
        os.close(handle)


def _wait_for(handle: int, path: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LocalError(
                    "another updater is at work here",
                    subject=str(path),
                    found=str(_read_owner(handle)),
                    hint="Wait for it to end, or end it.",
                ) from None
            time.sleep(_POLL_S)


def _write_owner(handle: int, path: Path, purpose: str) -> None:
    """Say who holds it; not in a file that has a second name, which might be anybody's."""
    if os.fstat(handle).st_nlink != 1:
        return
    owner: dict[str, Json] = {
        "pid": os.getpid(),
        "purpose": purpose,
        "since": format_instant(utc_now()),
        "started": process_start(os.getpid()),
        "boot": boot_id(),
        "host": os.uname().nodename,
    }
    with local_errors("cannot be written", path):
        os.ftruncate(handle, 0)
        os.pwrite(handle, dump_json(owner), 0)


def read_holder(path: Path) -> Owner | str | None:
    """Return who holds the lock at `path` now, or None if it is free. Takes and changes nothing.

    Somebody who did not say who they are is a sentence.

    Raises:
        LocalError: The file cannot be read.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    with local_errors("cannot be read", path):
        try:
            handle = os.open(path, flags)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            return _read_owner(handle)
        finally:
            os.close(handle)


def _read_owner(handle: int) -> Owner | str:
    from lockgate_updater.state.owner import read_owner  # noqa: PLC0415 (only if there is another)

    return read_owner(handle)
