"""A delta is applied by a child process that may take so much and no more, and dies with us.

1. The child has limits for its memory, its time on a processor and the size of what it writes.
   They are the system's: what a delta makes our code do cannot lift them.
2. It ends when we do, also when we are killed; until it has, nobody else gets our lock, which a
   fork holds along with us. So nothing is written into a home that the next updater works in.
3. How it has ended is all it can tell; what it has made is proven by whoever asked for it.

The child is a fork of this process. Where other threads run in the program that uses us as a
library, that is not safe: there it is a fresh interpreter. Where neither can be had (no `fork`, or
a program that is frozen into one file) it is done here, under the format's own limits, and
in no more time than a child has: that is looked at between two pieces, which the format bounds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

from lockgate_release.archives.safe_tree import Limits
from lockgate_release.errors import LockgateError

__all__ = [
    "Apply",
    "Ended",
    "Ending",
    "Job",
    "apply_confined",
    "apply_here",
    "in_child",
    "live_alone",
]

_MAX_REASON = 500
_MAX_WORDS_BYTES = 16 * _MAX_REASON
"""What the child says at most: JSON takes up to twelve bytes for a letter. A pipe holds it."""
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_SLACK_BYTES = 64 << 20
_WRITE_SLACK_BYTES = 1 << 20
_LEAST_CPU_S = 60
_SLOWEST_BYTES_S = 1 << 20
_MOST_ENTRIES_BYTES = 512 << 20
"""What a tree's entries take of memory at most. It tells of their number, and each takes time."""
_GRACE_S = 5
_TOO_SLOW = "it takes more time than it may"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(StrEnum):
    """How applying a delta has ended."""

    DONE = "done"
    REFUSED = "refused"
    """It is no delta, or not one for that tree; or our code cannot take it."""
    LIMIT = "limit"
    """It wanted more memory or time than it may have."""
    MACHINE = "machine"
    """The disk was in the way, or the system."""
    KILLED = "killed"
    """Somebody has ended it: a person, or a system short of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How applying a delta has ended.

    Attributes:
        kind: In one word.
        reason: Why, as a sentence; "" if it is done.
    """

    kind: Ended
    reason: str = ""

    @property
    def blames_delta(self) -> bool:
        """Whether it would end like this the next time as well."""
        return self.kind in {Ended.REFUSED, Ended.LIMIT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be done.

    Attributes:
        delta: The delta's file, verified.
        old: The tree that it begins at, proven.
        new: An empty folder for the tree that it leads to.
        limits: How large that tree may be.
        memory_bytes: What applying it takes at most, as its publishers declare.
    """

    delta: Path
    old: Path
    new: Path
    limits: Limits
    memory_bytes: int


Apply = Callable[[Job], None]
"""Applies a delta, or raises why it cannot."""


def apply_confined(job: Job) -> Ending:
    """Apply a delta in a child process, and return how that has ended. Does not raise for it."""
    if not hasattr(os, "fork"):
        return apply_here(job, time.thread_time)
    if _is_alone():
        return in_child(job, _apply)
    return _in_interpreter(job) if _has_interpreter() else apply_here(job, time.thread_time)


class _TooSlowError(Exception):
    """A delta has had its time."""


def apply_here(job: Job, clock: Callable[[], float]) -> Ending:
    """Apply a delta in this thread, and return how that has ended. Does not raise for it.

    Args:
        job: What is to be done.
        clock: How long this thread has been on a processor, in seconds.
    """
    until_s = clock() + _cpu_s_for(job)

    def check() -> None:
        if clock() > until_s:
            raise _TooSlowError

    return _carry_out(job, lambda job: _apply(job, check))


def _apply(job: Job, check: Callable[[], None] = lambda: None) -> None:
    from lockgate_release.deltas.applying import apply_delta  # noqa: PLC0415 (only where needed)

    apply_delta(job.delta, job.old, job.new, limits=job.limits, check=check)


def _carry_out(job: Job, apply: Apply) -> Ending:
    try:
        apply(job)
    except LockgateError as exc:
        return Ending(kind=Ended.REFUSED, reason=str(exc))
    except OSError as exc:
        return Ending(kind=Ended.MACHINE, reason=str(exc))
    except MemoryError:
        return Ending(kind=Ended.LIMIT, reason="it takes more memory than it may")
    except _TooSlowError:
        return Ending(kind=Ended.LIMIT, reason=_TOO_SLOW)
    except Exception as exc:  # noqa: BLE001 (a delta that our code stumbles over is no delta)
        return Ending(kind=Ended.REFUSED, reason=f"{type(exc).__name__}: {exc}")
    return Ending(kind=Ended.DONE)


def _is_alone() -> bool:
    """Whether no other thread runs here, so that this process can be forked."""
    if threading.active_count() > 1:
        return False
    try:
        return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 (names are enough)
    except OSError:
        return True


# -- The child ----------------------------------------------------------------------------------


def in_child(job: Job, apply: Apply) -> Ending:
    """Do `apply` in a child process with limits, and return how that has ended."""
    # What can fail or load a library is done before there are two of us.
    limits = _limits_for(job)
    die_with = _prepare_to_die_with()
    ours = os.getpid()
    listen, tell = os.pipe()
    # Nobody ends us between its birth and the moment from which we would take it along.
    usual = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        pid = os.fork()
    except OSError as exc:
        signal.pthread_sigmask(signal.SIG_SETMASK, usual)
        os.close(listen)
        os.close(tell)
        return Ending(kind=Ended.MACHINE, reason=f"no process can be started: {exc}")
    if pid == 0:
        _live(job, apply, limits, lambda: die_with(ours), tell)
    os.close(tell)
    try:
        with os.fdopen(listen, "rb") as stream:
            signal.pthread_sigmask(signal.SIG_SETMASK, usual)
            said = stream.read(_MAX_WORDS_BYTES)
    except BaseException:
        _kill(pid)
        _end_of(pid)
        raise
    return _read_ending(said, _end_of(pid))


def _live(
    job: Job,
    apply: Apply,
    limits: list[tuple[int, int, int]],
    die_with_parent: Callable[[], None],
    tell: int,
) -> NoReturn:
    """Be the child: never return, and never run what is to be done at the end of our parent."""
    try:
        _forget_handlers()
        die_with_parent()
        _set_limits(limits)
        os.write(tell, _words_of(_carry_out(job, apply)))
    finally:
        os._exit(0)


def _has_interpreter() -> bool:
    """Whether a Python can be started that dies with us: only Linux sees to that."""
    is_frozen = bool(getattr(sys, "frozen", False))
    return sys.platform.startswith("linux") and bool(sys.executable) and not is_frozen


def _in_interpreter(job: Job) -> Ending:
    """Apply a delta in a fresh interpreter, which imports from where we do."""
    import subprocess  # noqa: PLC0415 (only beside other threads)

    given = {
        "path": sys.path,
        "parent": os.getpid(),
        "folders": list(map(str, (job.delta, job.old, job.new))),
        "limits": [job.limits.size_bytes, job.limits.entries],
        "memory_bytes": job.memory_bytes,
    }
    command = [sys.executable, "-IS", "-c", _ALONE, json.dumps(given)]
    try:
        ran = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, env={}
        )
    except OSError as exc:
        return Ending(kind=Ended.MACHINE, reason=f"no process can be started: {exc}")
    return _read_ending(ran.stdout[-_MAX_WORDS_BYTES:], ran.returncode)


_ALONE = f"""
import json, sys
given = json.loads(sys.argv[1])
sys.path[:] = given["path"]
from {__name__} import live_alone
live_alone(given)
"""


def live_alone(given: dict[str, Any]) -> None:
    """Be the child that is an interpreter of its own: say on stdout how it has ended."""
    _prepare_to_die_with()(given["parent"])
    delta, old, new = map(Path, given["folders"])
    size_bytes, entries = given["limits"]
    limits = Limits(size_bytes=size_bytes, entries=entries)
    job = Job(delta=delta, old=old, new=new, limits=limits, memory_bytes=given["memory_bytes"])
    _set_limits(_limits_for(job))
    sys.stdout.buffer.write(_words_of(_carry_out(job, _apply)))


def _words_of(ending: Ending) -> bytes:
    return json.dumps({"kind": ending.kind.value, "reason": ending.reason[:_MAX_REASON]}).encode()


def _forget_handlers() -> None:
    signal.set_wakeup_fd(-1)
    for number in (*_ENDING, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _prepare_to_die_with() -> Callable[[int], None]:
    """Return what makes a child end when the process of that number does, where it can be had."""
    if not sys.platform.startswith("linux"):
        return lambda _: None
    import ctypes  # noqa: PLC0415 (a check never needs it)

    prctl = ctypes.CDLL(None).prctl

    def die_with(parent: int) -> None:
        prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:  # It had ended before we said so.
            os._exit(1)

    return die_with


def _limits_for(job: Job) -> list[tuple[int, int, int]]:
    """Return which limits the child gets: what is limited, and how far, softly and hardly."""
    import resource  # noqa: PLC0415 (not on every system, and only where there is `fork`)

    cpu_s = _cpu_s_for(job)
    write_bytes = job.limits.size_bytes + _WRITE_SLACK_BYTES
    wanted = [
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_CPU, cpu_s, cpu_s + _GRACE_S),
        (resource.RLIMIT_FSIZE, write_bytes, write_bytes),
    ]
    if (own_bytes := _own_bytes()) is not None:
        memory_bytes = own_bytes + job.memory_bytes + _SLACK_BYTES
        wanted.append((resource.RLIMIT_AS, memory_bytes, memory_bytes))
    return wanted


def _cpu_s_for(job: Job) -> int:
    """Return how many seconds on a processor applying a delta may take."""
    entries_bytes = min(max(job.memory_bytes, 0), _MOST_ENTRIES_BYTES)
    return _LEAST_CPU_S + (job.limits.size_bytes + entries_bytes) // _SLOWEST_BYTES_S


def _own_bytes() -> int | None:
    """Return how much address space this process has, or None where nobody says so."""
    try:
        pages = Path("/proc/self/statm").read_text("ascii").split()[0]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _set_limits(wanted: list[tuple[int, int, int]]) -> None:
    import resource  # noqa: PLC0415 (loaded already)

    for name, soft, hard in wanted:
        _, most = resource.getrlimit(name)
        if most == resource.RLIM_INFINITY:
            most = hard
        with suppress(ValueError, OSError):  # Some systems have a limit by name only.
            resource.setrlimit(name, (min(soft, most), min(hard, most)))


# -- Its end ------------------------------------------------------------------------------------


def _end_of(pid: int) -> int | None:
    """Wait for the child's end; return its exit code, minus a signal, or None if nobody knows.

    Raises:
        KeyboardInterrupt: Somebody wants all of it to end; by then the child has.
    """
    code: int | None = None
    ending: KeyboardInterrupt | None = None
    waits = True
    while waits:
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            waits = False
        except ChildProcessError:
            waits = False  # Whoever uses us as a library lets the system collect its children.
        except KeyboardInterrupt as exc:
            ending = exc
            _kill(pid)
    if ending is not None:
        raise ending
    return code


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _read_ending(said: bytes, code: int | None) -> Ending:
    try:
        fields = json.loads(said)
        return Ending(kind=Ended(fields["kind"]), reason=str(fields["reason"]))
    except (ValueError, KeyError, TypeError):
        pass
    if code == -signal.SIGXCPU:
        return Ending(kind=Ended.LIMIT, reason=_TOO_SLOW)
    if code == -signal.SIGKILL:
        return Ending(kind=Ended.KILLED, reason="it was killed")
    if code is not None and code > 0:  # An interpreter that cannot start here, whatever the delta.
        return Ending(
            kind=Ended.MACHINE, reason=f"its process could not begin: it ended with {code}"
        )
    # A fault in compiled code, which a delta must not reach again.
    return Ending(kind=Ended.REFUSED, reason=f"its process ended with {code}")
