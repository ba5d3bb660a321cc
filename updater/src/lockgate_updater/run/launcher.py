"""The boot loader's part: which tree's program is started, and what its end means.

1. What an earlier process left unfinished is finished first.
2. What is known as revoked is left before it is started again, if a good version is at hand.
3. A release on trial loses a try, on the disk, before its program starts; without a try left the
   program of the tree it came from is started.
4. A program on trial that ends badly has used up its try. One that ends well, or is ended from
   outside, has not. One that says nothing until its deadline is ended and has.
5. Outside of a trial the launcher becomes the program: signals, exit code and streams are its own.
6. Where nothing can be written, or another updater is at work for long, the tree that was last
   committed is started as it is: a full disk or a slow download leaves nobody without a program.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

from lockgate_release.errors import LocalError, UsageError
from lockgate_updater.events import Observer, Step, StepName
from lockgate_updater.install.operation import Operation
from lockgate_updater.install.transaction import Transaction
from lockgate_updater.run.trial import program_environment, program_path
from lockgate_updater.session import Client, open_session
from lockgate_updater.state.home import Home
from lockgate_updater.state.journal import Attempt, DamagedJournalError, State, load_record
from lockgate_updater.state.receipts import Receipt, load_receipts

__all__ = ["launch"]

_POLL_S = 0.1
_GRACE_S = 5.0
_WAIT_S = 3.0
"""How long a start waits for another updater."""
_FORWARDED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
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


def launch(client: Client, arguments: Sequence[str], *, program: str, observe: Observer) -> int:
    """Run the installed program to its end, and return its exit code (128 + n for signal n).

    Outside of a trial this does not return: the process becomes the program.

    Args:
        client: Whose program.
        arguments: For the program. Where the release names no program, the first one names it.
        program: A program of the tree to start instead of the release's, or "".
        observe: Is told what is recovered, left or rolled back.

    Raises:
        UsageError: There is no such program.
        LocalError: Nothing is installed, or this machine is in the way.
    """
    while True:
        try:
            start = _prepare(client, arguments, program, observe)
        except LocalError as exc:
            start = _prepare_as_it_is(client, arguments, program, observe, exc)
        if start.attempt is None:
            _become(start)
        watch = _Watch(client, start, observe)
        code = watch.run()
        if code is not None:
            return code


def _prepare(client: Client, arguments: Sequence[str], program: str, observe: Observer) -> _Start:
    with open_session(client, purpose="run", observe=observe, wait_s=_WAIT_S) as session:
        Transaction(session).recover(starting=True)
        Operation(session).leave_if_known_revoked()
        receipt = session.running()
        if receipt is None:
            raise LocalError(
                "nothing is installed",
                subject=str(client.home.root),
                hint="Install with: lockgate-updater update --home DIR",
            )
        command = _command(client.home, receipt, arguments, program)
        attempt = session.record.attempt if session.record.state is State.TRIAL else None
        if attempt is not None:
            attempt = Transaction(session).take_try(attempt)
        return _Start(
            command=command,
            environment=program_environment(client.home, receipt, client.environ),
            attempt=attempt,
            timeout_s=receipt.install.health.timeout_s,
        )


def _prepare_as_it_is(
    client: Client, arguments: Sequence[str], program: str, observe: Observer, reason: LocalError
) -> _Start:
    """Prepare what was last committed, without the lock and without a write (rule 6)."""
    receipt = _last_committed(client.home)
    if receipt is None:
        raise reason
    text = f"{reason}; {receipt.version} is started as it is"
    observe(Step(name=StepName.WARNING, version=receipt.version, text=text))
    return _Start(
        command=_command(client.home, receipt, arguments, program),
        environment=program_environment(client.home, receipt, client.environ),
        attempt=None,
        timeout_s=receipt.install.health.timeout_s,
    )


def _last_committed(home: Home) -> Receipt | None:
    if not home.is_ours():
        return None
    try:
        record = load_record(home.journal)
        receipts = load_receipts(home)
    except LocalError:
        return None
    if record is None:
        return None
    match record.state:
        case State.COMMITTED if record.attempt is not None:
            return receipts.get(record.attempt.folder)
        case State.ROLLING_BACK if record.attempt is not None:
            return receipts.get(record.attempt.back_to)
        case _:
            return receipts.get(record.installed)


def _command(
    home: Home, receipt: Receipt, arguments: Sequence[str], program: str
) -> tuple[str, ...]:
    rest = list(arguments)
    name = program or receipt.install.entrypoint
    if not name and rest:
        name = rest.pop(0)
    if not name:
        raise UsageError(
            "the release names no program",
            subject=receipt.version,
            hint="Say which: lockgate-updater run --home DIR -- PROGRAM …",
        )
    path = program_path(home, receipt, name)
    tree = Path(os.path.realpath(home.tree(receipt.folder)))
    if not Path(os.path.realpath(path)).is_relative_to(tree) or not path.is_file():
        raise UsageError("no such program in the tree", subject=receipt.version, found=name)
    return (str(path), *rest)


def _become(start: _Start) -> NoReturn:
    try:
        os.execve(start.command[0], start.command, dict(start.environment))  # noqa: S606 (no shell)
    except OSError as exc:
        raise _cannot_start(start, exc) from exc


def _cannot_start(start: _Start, exc: OSError) -> LocalError:
    return LocalError("cannot be started", subject=start.command[0], found=exc.strerror or "")


@dataclass(slots=True)
class _Watch:
    """One start of a program on trial, from the start to what its end means."""

    client: Client
    start: _Start
    observe: Observer
    ended_from_outside: bool = False
    _process: subprocess.Popen[bytes] | None = field(default=None)

    def run(self) -> int | None:
        """Return the program's exit code, or None if it was ended at its deadline."""
        assert self.start.attempt is not None
        before = {number: signal.signal(number, self._forward) for number in _FORWARDED}
        try:
            self._process = subprocess.Popen(self.start.command, env=dict(self.start.environment))
            hangs = self._wait()
        except OSError as exc:
            self._settle(self._fail_if_used_up)
            raise _cannot_start(self.start, exc) from exc
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        code = self._process.returncode
        if hangs:
            return None
        if code == 0 or self.ended_from_outside:
            self._settle(self._give_back)
        else:
            self._settle(self._fail_if_used_up)
        return code if code >= 0 else 128 - code

    def _forward(self, number: int, _: FrameType | None) -> None:
        if number in _ENDING:
            self.ended_from_outside = True
        process = self._process
        if process is not None and not (number == signal.SIGINT and _shares_terminal()):
            process.send_signal(number)

    def _wait(self) -> bool:
        """Wait for the program's end; True if it had to be ended at its deadline."""
        assert self._process is not None
        deadline = time.monotonic() + self.start.timeout_s
        while True:
            try:
                self._process.wait(_POLL_S)
                return False
            except subprocess.TimeoutExpired:
                if not self._is_on_trial():
                    self._process.wait()
                    return False
                if time.monotonic() >= deadline:
                    self._end()
                    return True

    def _is_on_trial(self) -> bool:
        """Whether the journal still has this very attempt on trial."""
        assert self.start.attempt is not None
        try:
            record = load_record(self.client.home.journal)
        except DamagedJournalError:
            return False
        attempt = record.attempt if record and record.state is State.TRIAL else None
        return attempt is not None and attempt.id == self.start.attempt.id

    def _end(self) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _settle(self, verdict: Callable[[Transaction], None]) -> None:
        """Write down what the program's end means, if it was still on trial."""
        with open_session(self.client, purpose="run", observe=self.observe) as session:
            if self._is_on_trial():
                verdict(Transaction(session))

    def _give_back(self, transaction: Transaction) -> None:
        assert self.start.attempt is not None
        transaction.give_try_back(self.start.attempt)

    def _fail_if_used_up(self, transaction: Transaction) -> None:
        attempt = self.start.attempt
        assert attempt is not None
        if attempt.tries_left == 0:
            reason = "its program ended badly at every try, without a confirm"
            transaction.begin_rollback(attempt, reason, quarantine=True)


def _shares_terminal() -> bool:
    """Whether the terminal sends its own signals to the program too."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
