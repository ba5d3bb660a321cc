"""A program as a child that has everything it would have had if we had become it.

Its process id stands where the service manager's variables ask for it, what was handed to us open
is open to it (streams, sockets), and no signal is lost between the fork and its start. As the first
process of a container we collect everybody's children, and still hear how our own has ended.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

__all__ = ["Child", "become", "start_child"]

_POLL_S = 0.05
_GRACE_S = 5.0
_CANNOT_START = 125
_FIRST_PROCESS = 1
# Python ignores these; a program starts with what the system says.
_PYTHONS_OWN = (signal.SIGPIPE, signal.SIGXFSZ)
# systemd gives these to one process alone, and names it by its id.
_FOR_ONE_PROCESS = ("LISTEN_PID", "WATCHDOG_PID")
# They name us by something else than a process id: nobody but us may use them.
_FOR_US_ALONE = ("LISTEN_PIDFDID",)


def become(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Turn this process into a program.

    Raises:
        OSError: It cannot be started; then nothing has changed.
    """
    before = {number: signal.signal(number, signal.SIG_DFL) for number in _PYTHONS_OWN}
    try:
        os.execve(command[0], list(command), dict(environment))  # noqa: S606 (no shell)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(slots=True)
class Child:
    """A program that was started.

    Attributes:
        pid: Its process id.
        code: Its exit code once it has ended; -n if signal n has ended it.
        has_stopped: It was stopped, as job control does, since this was last set to False.
    """

    pid: int
    code: int | None = None
    has_stopped: bool = False

    def wait(self, limit_s: float) -> bool:
        """Wait for its end, and say whether it came; give up after `limit_s` seconds."""
        deadline = time.monotonic() + limit_s
        while not self._hear(os.WNOHANG):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def wait_for_news(self) -> bool:
        """Wait until it ends or is stopped, and say whether it has ended."""
        return self._hear(0)

    def send(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        if self.code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def end(self) -> None:
        """End it: SIGTERM, and after a grace SIGKILL."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)
        if not self.wait(_GRACE_S):
            self.send(signal.SIGKILL)
            while not self.wait_for_news():
                pass

    def _hear(self, options: int) -> bool:
        """Take what the system has to tell of it; of others' orphans, only that they are gone."""
        is_first = os.getpid() == _FIRST_PROCESS
        while self.code is None:
            pid, status = os.waitpid(-1 if is_first else self.pid, options | os.WUNTRACED)
            if pid == 0:
                return False
            if pid != self.pid:
                continue
            if os.WIFSTOPPED(status):
                self.has_stopped = True
                return False
            self.code = os.waitstatus_to_exitcode(status)
        return True


def start_child(
    command: Sequence[str], environment: Mapping[str, str], handled: Sequence[signal.Signals]
) -> Child:
    """Start a program; every open file that we would have handed on is open to it.

    Args:
        command: The program's path, and its arguments.
        environment: Its environment, as it would be if we became it.
        handled: Signals that we handle, and that it begins with as the system has them. They must
            be blocked here until the answer is kept, or one that comes in between is lost.

    Raises:
        OSError: It cannot be started.
    """
    ours = os.getpid()
    listen, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _forget_handlers(handled)
            found = _hand_on(environment, ours, os.getpid())
            os.execve(command[0], list(command), found)  # noqa: S606 (no shell)
        except OSError as exc:
            os.write(tell, str(exc.errno).encode())
        finally:
            os._exit(_CANNOT_START)
    os.close(tell)
    with os.fdopen(listen, "rb") as stream:
        failed = stream.read()
    child = Child(pid)
    if failed:
        child.wait_for_news()
        raise OSError(int(failed), os.strerror(int(failed)), command[0])
    return child


def _forget_handlers(handled: Sequence[signal.Signals]) -> None:
    for number in (*_PYTHONS_OWN, *handled):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)


def _hand_on(environment: Mapping[str, str], ours: int, its: int) -> dict[str, str]:
    """Return the environment with the child's process id where ours stood."""
    found = {name: value for name, value in environment.items() if name not in _FOR_US_ALONE}
    for name in _FOR_ONE_PROCESS:
        if found.get(name) == str(ours):
            found[name] = str(its)
    return found
