"""The updater's command in a forked child: a real process, without the start of an interpreter."""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

import lockgate_updater
from lockgate_updater.command import main
from tests.crash.shim import WATCH, Call, Strike
from tests.simulators.http_server import serve
from tests.simulators.repository import RepositorySimulator

__all__ = ["Ending", "Process", "Program", "in_a_child", "run", "serving", "updater"]

_TOO_LONG_S = 60
_LOOK_EVERY_S = 0.5
_LONGEST_ADDRESS = 200
_COUNTER_BYTES = 8

# All of it is imported here, before any fork, so that no child has to; see also warm.py.
for _module in pkgutil.walk_packages(lockgate_updater.__path__, f"{lockgate_updater.__name__}."):
    if not _module.name.endswith("__main__"):
        importlib.import_module(_module.name)

Program = Callable[[], int]
"""What a child does; it returns its exit code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a process ended.

    Attributes:
        code: Its exit code, or minus the signal that ended it.
        said: What it said.
        calls: What it did below the home.
        cpu_s: How many seconds of a processor it took, with the programs it started.
        readings: How often it read the system's clock.
    """

    code: int
    said: str
    calls: tuple[Call, ...]
    cpu_s: float = 0.0
    readings: int = 0

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.code == -signal.SIGKILL


class Process:
    """One child that has been started."""

    def __init__(self, home: Path, program: Program, strike: Strike) -> None:
        self._log = os.memfd_create("log")
        self._said = os.memfd_create("said")
        self._readings = mmap(-1, _COUNTER_BYTES)
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(self._live(home, program, strike))

    def _live(self, home: Path, program: Program, strike: Strike) -> int:
        signal.alarm(_TOO_LONG_S)
        os.dup2(self._said, 1)
        os.dup2(self._said, 2)
        try:
            strike.arm(home, self._log, self._readings)
            return program()
        except SystemExit as exc:
            return exc.code if isinstance(exc.code, int) else 1
        except BaseException:  # noqa: BLE001 (as an interpreter would: say it, and end with 1)
            traceback.print_exc()
            return 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()

    def wait_until_stopped(self) -> bool:
        """Wait until it stands still; False if it ended instead, and then nothing is left of it."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        return os.WIFSTOPPED(status)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self) -> Ending:
        """Wait for its end, and give everything back."""
        _, status, used = os.wait4(self.pid, 0)
        return self.close(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime)

    def close(self, code: int = 0, cpu_s: float = 0.0) -> Ending:
        """Read what it said and did."""
        said, log = _read_whole(self._said), _read_whole(self._log)
        readings = int.from_bytes(self._readings[:], sys.byteorder)
        self._readings.close()
        return Ending(
            code=code,
            said=said.decode("utf-8", "replace"),
            calls=tuple(Call.parse(log)),
            cpu_s=cpu_s,
            readings=readings,
        )


def _read_whole(handle: int) -> bytes:
    with os.fdopen(handle, "rb") as stream:
        stream.seek(0)
        return stream.read()


def run(home: Path, program: Program, strike: Strike = WATCH) -> Ending:
    """Run a program in a child to its end."""
    return Process(home, program, strike).wait()


def updater(home: Path, arguments: Sequence[str]) -> Program:
    """The command `lockgate-updater VERB --home HOME …`."""
    verb, *rest = arguments
    return lambda: main([verb, "--home", str(home), *rest])


@contextmanager
def serving(repository: RepositorySimulator) -> Iterator[str]:
    """Serve the repository as it is now from a process of its own; the address of the server."""

    def live(say: int) -> None:
        with serve(repository) as server:
            os.write(say, server.address.encode())
            signal.pause()

    with in_a_child(live) as address:
        yield address


@contextmanager
def in_a_child(live: Callable[[int], None]) -> Iterator[str]:
    """Run a server in a process of its own, that ends with this one; the address of the server.

    Args:
        live: Writes the address to the handle it is given, and serves.
    """
    reading, writing = os.pipe()
    rig = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            threading.Thread(target=_end_with, args=(rig,), daemon=True).start()
            live(writing)
        finally:
            os._exit(0)
    os.close(writing)
    address = os.read(reading, _LONGEST_ADDRESS).decode()
    os.close(reading)
    try:
        yield address
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _end_with(rig: int) -> None:
    while os.getppid() == rig:
        time.sleep(_LOOK_EVERY_S)
    os._exit(0)
