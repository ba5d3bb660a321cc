"""Who holds a lock: what they wrote of themselves, and whether they live."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lockgate_release.errors import DocumentError
from lockgate_release.strict_json import parse_json
from lockgate_updater.state.identity import boot_id, process_start

__all__ = ["Owner", "read_owner"]

_MAX_OWNER_BYTES = 4096
_MAX_PID = (1 << 31) - 1


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
        started = process_start(self.pid)
        return not (self.started and started) or started == self.started


def read_owner(handle: int) -> Owner | str:
    """Return who has written themselves into the lock that is open as `handle`, or a sentence."""
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
