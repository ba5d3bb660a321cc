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
from dataclasses import dataclass
from pathlib import Path

from lockgate_release.errors import DocumentError, LocalError
from lockgate_release.instants import format_instant, utc_now
from lockgate_release.strict_json import Json, dump_json, parse_json
from lockgate_updater.state.durable import local_errors
from lockgate_updater.state.identity import boot_id

__all__ = ["Owner", "hold_lock", "read_holder"]

_POLL_S = 0.05
_MAX_OWNER_BYTES = 4096
_MAX_PID = (1 << 31) - 1
_START_FIELD = 19  # counted from the state, which is field 3


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
    owner: dict[str, Json] = {
        "pid": os.getpid(),
        "purpose": purpose,
        "since": format_instant(utc_now()),
        "started": _start_of(os.getpid()),
        "boot": boot_id(),
        "host": os.uname().nodename,
    }
    with local_errors("cannot be written", path):
        os.ftruncate(handle, 0)
        os.pwrite(handle, dump_json(owner), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who holds a lock, as they said.

    Attributes:
        pid: The process.
        purpose: What for.
        since: Since when, for people.
        started: When the process was started, in the kernel's ticks, or "".
        boot: The boot it was started in, or "".
        host: The machine, or "".
    """

    pid: int
    purpose: str
    since: str
    started: str = ""
    boot: str = ""
    host: str = ""

    def __str__(self) -> str:
        """Return who it is and how it does, for people."""
        text = f"{self.purpose} by process {self.pid} since {self.since}"
        return f"{text}, {self.describe_state()}"

    def describe_state(self) -> str:
        """Return whether the process lives: that of another machine cannot be seen."""
        if self.host and self.host != os.uname().nodename:
            return f"on another machine, {self.host}"
        here = boot_id()
        if self.boot and here and self.boot != here:
            return "which is gone: this machine was started anew since"
        if self.is_alive():
            return "which is alive"
        return "which is gone; a process that it started still holds the lock"

    def is_alive(self) -> bool:
        """Whether this very process is alive on this machine; a pid that was reused is not it."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        started = _start_of(self.pid)
        return not (self.started and started) or started == self.started


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
    try:
        fields = parse_json(os.pread(handle, _MAX_OWNER_BYTES, 0), subject="lock")
        return Owner(
            pid=fields.integer("pid", minimum=1, maximum=_MAX_PID),
            purpose=fields.text("purpose"),
            since=fields.text("since"),
            started=fields.text("started", default=""),
            boot=fields.text("boot", default=""),
            host=fields.text("host", default=""),
        )
    except DocumentError:
        return "a process that did not say who it is"


def _start_of(pid: int) -> str:
    """Return when a process was started, in ticks since the boot, or "" where that is not known.

    Source: proc_pid_stat(5), field 22; what stands in parentheses before may hold anything.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return fields[_START_FIELD] if len(fields) > _START_FIELD else ""
