"""One start of a program on trial: it is our child until its end, and its end has a meaning.

Signals for it reach it through us. One that a terminal sends to both of us is not sent twice. If a
person stops us (SIGTSTP), it stops first and we with it, and its time stands still meanwhile.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from lockgate_release.errors import LocalError
from lockgate_release.reports import Failure
from lockgate_updater.events import Observer, Step, StepName
from lockgate_updater.install.transaction import Transaction
from lockgate_updater.run.child import Child, start_child
from lockgate_updater.session import Client, open_session
from lockgate_updater.state.journal import Attempt, DamagedJournalError, State, load_record

__all__ = ["Start", "TrialRun", "cannot_start", "hold_signals_back", "let_signals_through"]

_POLL_S = 0.1
_FORWARDED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTSTP,
    signal.SIGCONT,
    signal.SIGWINCH,
)
_ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
_FROM_TERMINAL = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH})
_FIRST_PROCESS = 1


def hold_signals_back() -> None:
    """Let signals for the program wait until it is there.

    From before its try is taken: a signal that ended us in between would burn the try.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _heeded())


def let_signals_through() -> None:
    """End that wait: what has come meanwhile comes now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)


def _heeded() -> list[signal.Signals]:
    """Return what is to reach the program: not what we were told to ignore, as nohup does."""
    return [number for number in _FORWARDED if signal.getsignal(number) != signal.SIG_IGN]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A program that is ready to be started.

    Attributes:
        command: The program and its arguments.
        environment: Its environment.
        attempt: What is on trial, or None for a good release.
        timeout_s: Seconds until it must have confirmed.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    attempt: Attempt | None
    timeout_s: int


def cannot_start(start: Start, exc: OSError) -> LocalError:
    """Return the error of a program that cannot be started."""
    return LocalError("cannot be started", subject=start.command[0], found=exc.strerror or "")


@dataclass(slots=True)
class TrialRun:
    """A program on trial, from its start to what its end means."""

    client: Client
    start: Start
    attempt: Attempt
    observe: Observer
    ended_from_outside: bool = False
    _child: Child | None = field(default=None)
    _is_to_stop: bool = field(default=False)
    _deadline: float = field(default=0.0)

    def run(self) -> int | None:
        """Return the program's exit code, or None if it was ended at its deadline.

        Raises:
            LocalError: It cannot be started.
        """
        before = self._handle_signals()
        try:
            child = self._begin([number for number in before if number is not signal.SIGCHLD])
            hangs = self._wait(child)
        except OSError as exc:
            self._settle(lambda transaction: self._fail(transaction, Failure.EXIT))
            raise cannot_start(self.start, exc) from exc
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if hangs:
            self._settle(lambda transaction: self._fail(transaction, Failure.TIMEOUT))
            return None
        code = child.code or 0
        self._settle(self._give_back if code == 0 or self.ended_from_outside else self._fail)
        return code if code >= 0 else 128 - code

    def _handle_signals(self) -> dict[signal.Signals, Any]:
        """Handle what is to reach the program.

        Where children's ends are ignored the system does not tell how ours has ended.
        """
        before = {number: signal.signal(number, self._forward) for number in _heeded()}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        return before

    def _begin(self, handled: list[signal.Signals]) -> Child:
        signal.pthread_sigmask(signal.SIG_BLOCK, handled)
        try:
            self._child = start_child(self.start.command, self.start.environment, handled)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)
        return self._child

    def _forward(self, number: int, _: FrameType | None) -> None:
        if number in _ENDING:
            self.ended_from_outside = True
        child = self._child
        if child is None:
            return
        if number == signal.SIGTSTP:
            child.has_stopped, self._is_to_stop = False, True
        if not (number in _FROM_TERMINAL and _shares_terminal()):
            child.send(number)

    def _wait(self, child: Child) -> bool:
        """Wait for the program's end; True if it had to be ended at its deadline."""
        self._deadline = time.monotonic() + self.start.timeout_s
        while not child.wait(_POLL_S):
            self._stop_with(child)
            if not self._is_on_trial():
                while not child.wait_for_news():
                    self._stop_with(child)
                return False
            if time.monotonic() >= self._deadline:
                child.end()
                return not self.ended_from_outside
        return False

    def _stop_with(self, child: Child) -> None:
        """Stop as the program has, if we were told to, so that a shell gets its terminal back."""
        if not (child.has_stopped and self._is_to_stop) or os.getpid() == _FIRST_PROCESS:
            return
        child.has_stopped = self._is_to_stop = False
        stopped_at = time.monotonic()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._deadline += time.monotonic() - stopped_at
        child.send(signal.SIGCONT)

    def _is_on_trial(self) -> bool:
        """Whether the journal still has this very attempt on trial."""
        try:
            record = load_record(self.client.home.journal)
        except DamagedJournalError:
            return False
        attempt = record.attempt if record and record.state is State.TRIAL else None
        return attempt is not None and attempt.id == self.attempt.id

    def _settle(self, verdict: Callable[[Transaction], None]) -> None:
        """Write down what the program's end means, if it was still on trial.

        Where it cannot be written the try stays taken, and the program's exit code counts.
        """
        try:
            with open_session(self.client, purpose="run", observe=self.observe) as session:
                if self._is_on_trial():
                    verdict(Transaction(session))
        except LocalError as exc:
            text = f"how the program ended could not be written down: {exc}"
            self.observe(Step(name=StepName.WARNING, version=self.attempt.version, text=text))

    def _give_back(self, transaction: Transaction) -> None:
        transaction.give_try_back(self.attempt)

    def _fail(self, transaction: Transaction, failure: Failure = Failure.CRASH_LOOP) -> None:
        if self.attempt.tries_left > 0:
            transaction.use_try_up(self.attempt)
        else:
            reason = "its program ended badly at every try, without a confirm"
            transaction.begin_rollback(self.attempt, reason, quarantine=True, failure=failure)


def _shares_terminal() -> bool:
    """Whether the terminal sends its own signals to the program too."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
