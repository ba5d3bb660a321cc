"""The C shim from Python: built when it is needed, armed in a forked child, its log read back."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from enum import Enum
from mmap import mmap
from pathlib import Path

__all__ = [
    "CHANGES",
    "OPENINGS",
    "SYNCS",
    "UMASK",
    "Call",
    "Clock",
    "How",
    "Strike",
    "missing_tools",
    "preload",
]

_SOURCE = Path(__file__).with_name("shim.c")
_LIBRARY = "LOCKGATE_CRASH_SHIM"

UMASK = 0o022
"""Of every process in the rig."""

CHANGES = frozenset(
    {
        "chmod",
        "create",
        "ftruncate",
        "link",
        "mkdir",
        "rename",
        "rmdir",
        "symlink",
        "truncate",
        "unlink",
        "utimens",
        "write",
    }
)
"""Calls that change what is on the disk."""
SYNCS = frozenset({"fsync", "fdatasync", "syncfs"})
OPENINGS = frozenset({"open", "read", "create", "truncate"})
"""Opening what is there, for writing or for reading, and what is not, or is to be emptied."""


class How(Enum):
    """What happens at the chosen call. The same letters as in shim.c."""

    LEAVE = ""
    """Nothing: the process is not even watched, and its syncs are real."""
    WATCH = "w"
    KILL = "k"
    """The process is killed before the call."""
    KILL_CHILD = "c"
    """The process is killed before the call if it was forked from the one that is watched."""
    TEAR = "t"
    """A write is cut in half, then the process is killed; another call is never reached."""
    STOP = "s"
    """The process stands still before the call, until it is told to go on, or killed."""
    FAIL = "f"
    """The call fails, this once."""
    FAIL_ON = "o"
    """The call fails, and all later ones of the same names: a disk that stays full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The system's clock is wrong for a process.

    Attributes:
        at: At which of its readings of the clock that begins, from 1; 0 for never.
        readings: For how many of them; 0 for good.
        by_s: By how many seconds, ahead or (below 0) behind.
        end_after_s: Waits on a pipe are over at once, and after so many seconds of them the process
            is told to end; 0 for real waits.
    """

    at: int = 0
    readings: int = 0
    by_s: int = 0
    end_after_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """What is done to a process, and at which call.

    Attributes:
        how: What.
        at: The call's number, from 1; 0 for none.
        error: The errno of a call that fails.
        names: The calls that fail from then on; empty for all of them.
        boot: What tells this boot of the machine from others, or "" for the real one.
        clock: What is wrong with the system's clock.
    """

    how: How = How.WATCH
    at: int = 0
    error: int = 0
    names: frozenset[str] = frozenset()
    boot: str = ""
    clock: Clock = Clock()

    def arm(self, home: Path, log: int, readings: mmap) -> None:
        """Watch this process from now on. Cannot be taken back, so only in a child.

        Args:
            home: The folder below which calls are watched.
            log: The handle of the file that they are written to.
            readings: Shared memory, in which readings of the clock are counted.
        """
        shim = ctypes.CDLL(os.environ[_LIBRARY])
        clock = (self.clock.at, self.clock.readings, self.clock.by_s, self.clock.end_after_s)
        shim.crash_clock(
            ctypes.byref(ctypes.c_long.from_buffer(readings)), *map(ctypes.c_long, clock)
        )
        if self.boot:
            handle = os.memfd_create("boot")
            os.write(handle, self.boot.encode())
            shim.crash_reboot(f"/proc/self/fd/{handle}".encode())
        if self.how is How.LEAVE:
            return
        names = "".join(f" {name}" for name in sorted(self.names)) + " " if self.names else ""
        shim.crash_arm(
            os.fsencode(home),
            log,
            ord(self.how.value),
            ctypes.c_long(self.at),
            self.error,
            names.encode(),
        )


WATCH = Strike()
"""Nothing is done to it, but its calls are logged, and syncs left out."""
BARE = Strike(how=How.LEAVE)
"""Nothing at all is done to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the log.

    Attributes:
        at: Its number, from 1.
        name: What it is, see shim.c.
        result: What it returned, or minus its errno.
        number: Its offset, size or mode.
        path: Where, below the home; "." is the home.
        other: Where to, or a link's target.
        data: What was written.
    """

    at: int
    name: str
    result: int
    number: int
    path: str
    other: str
    data: bytes

    @property
    def changes(self) -> bool:
        """Whether the disk is another one after it."""
        return self.name in CHANGES and self.result >= 0

    @classmethod
    def parse(cls, log: bytes) -> list[Call]:
        """Read a whole log."""
        calls, here = [], 0
        while here < len(log):
            end = log.index(b"\n", here)
            at, name, result, number, path, other, length = log[here:end].decode().split("\t")
            here = end + 1 + int(length)
            calls.append(
                cls(
                    at=int(at),
                    name=name,
                    result=int(result),
                    number=int(number),
                    path=path,
                    other=other,
                    data=log[end + 1 : here],
                )
            )
        return calls


def missing_tools() -> list[str]:
    """The programs that the rig needs and this machine has not, or does not let work."""
    missing = [tool for tool in ("cc", "strace") if shutil.which(tool) is None]
    if (
        not missing
        and subprocess.run(["strace", "-qqo", os.devnull, "true"], check=False).returncode
    ):
        missing.append("leave to trace a process")
    return missing


def preload() -> None:
    """Start this very program once more, under the shim; return in the one that has it.

    Coverage is left behind: thousands of short lives would spend theirs on writing it down.
    """
    if _LIBRARY in os.environ:
        # The children of the rig are not to inherit it: programs are started bare.
        os.environ.pop("LD_PRELOAD", None)
        os.umask(UMASK)
        return
    folder = Path(tempfile.mkdtemp(prefix="lockgate-crash-"))
    library = folder / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-Wall", "-o", library, _SOURCE], check=True)
    environ = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE")}
    environ.update({_LIBRARY: str(library), "LD_PRELOAD": str(library), "PYTHONHASHSEED": "0"})
    try:
        code = subprocess.run(
            [sys.executable, *sys.orig_argv[1:]], env=environ, check=False
        ).returncode
    finally:
        shutil.rmtree(folder)
    sys.exit(code)
