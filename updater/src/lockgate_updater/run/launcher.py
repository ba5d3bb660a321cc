"""The boot loader's part: which tree's program is started, and what its end means.

1. What an earlier process left unfinished is finished first.
2. What is known as revoked is left before it is started again, if a good version is at hand.
3. A release on trial loses a try, on the disk, before its program starts; without a try left the
   program of the tree it came from is started.
4. A program on trial that ends badly has used up its try. One that ends well, is ended from
   outside, or is cut off by a restart of the machine (`reboot`), has not. One that says nothing
   until its deadline is ended and has.
5. Outside of a trial the launcher becomes the program: signals, exit code and streams are its own.
6. Where nothing can be written, or another updater is at work for long, the tree that was last
   committed is started as it is: a full disk or a slow download leaves nobody without a program.
7. Where all that could be started is revoked or below the floor, the machine's own policy decides
   (`revoked`): it is started with a warning, or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from lockgate_release.errors import LocalError, UsageError
from lockgate_updater.events import Observer, Step, StepName
from lockgate_updater.install.operation import Operation
from lockgate_updater.install.transaction import Transaction
from lockgate_updater.install.wheels import ensure_startable
from lockgate_updater.run.child import become
from lockgate_updater.run.environment import start_environment
from lockgate_updater.run.on_trial import (
    Start,
    TrialRun,
    cannot_start,
    hold_signals_back,
    let_signals_through,
)
from lockgate_updater.run.revoked import RevokedError, check_may_start
from lockgate_updater.run.trial import program_path, programs_root
from lockgate_updater.session import Client, open_session
from lockgate_updater.state.environments import is_startable
from lockgate_updater.state.home import Home
from lockgate_updater.state.journal import NewerJournalError, Record, State, load_record
from lockgate_updater.state.memory import Memory, read_memory
from lockgate_updater.state.receipts import Receipt, load_receipts

__all__ = ["launch"]

_WAIT_S = 3.0
"""How long a start waits for another updater."""


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
        RevokedError: What is installed may not run any more, and this machine's policy is to stop.
        LocalError: Nothing is installed, or this machine is in the way.
    """
    while True:
        try:
            start = _prepare(client, arguments, program, observe)
        except RevokedError:
            raise
        except LocalError as exc:
            start = _prepare_as_it_is(client, arguments, program, observe, exc)
        if start.attempt is None:
            try:
                become(start.command, start.environment)
            except OSError as exc:
                raise cannot_start(start, exc) from exc
        code = TrialRun(client, start, start.attempt, observe).run()
        if code is not None:
            return code


def _prepare(client: Client, arguments: Sequence[str], program: str, observe: Observer) -> Start:
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
        check_may_start(client, session.memory, receipt.version, observe)
        ensure_startable(client.home, receipt)
        command = _command(client.home, receipt, arguments, program)
        environment = start_environment(client.home, receipt, client.environ)
        attempt = session.record.attempt if session.record.state is State.TRIAL else None
        if attempt is not None:
            hold_signals_back()
            try:
                attempt = Transaction(session).take_try(attempt)
            except BaseException:
                let_signals_through()
                raise
        return Start(
            command=command,
            environment=environment,
            attempt=attempt,
            timeout_s=receipt.install.health.timeout_s,
        )


def _prepare_as_it_is(
    client: Client, arguments: Sequence[str], program: str, observe: Observer, reason: LocalError
) -> Start:
    """Prepare what was last committed, without the lock and without a write (rule 6)."""
    receipt = _last_committed(client.home)
    if receipt is None:
        raise reason
    check_may_start(client, _read_memory(client.home), receipt.version, observe)
    text = f"{reason}; {receipt.version} is started as it is"
    observe(Step(name=StepName.WARNING, version=receipt.version, text=text))
    return Start(
        command=_command(client.home, receipt, arguments, program),
        environment=start_environment(client.home, receipt, client.environ),
        attempt=None,
        timeout_s=receipt.install.health.timeout_s,
    )


def _last_committed(home: Home) -> Receipt | None:
    if not home.is_ours():
        return None
    try:
        receipts = load_receipts(home)
        record = load_record(home.journal)
    except NewerJournalError:
        # Trees are ranked as they are committed, whatever the journal's format says.
        return next((receipt for receipt in receipts.values() if receipt.is_good), None)
    except LocalError:
        return None
    return None if record is None else _committed_of(record, receipts)


def _committed_of(record: Record, receipts: Mapping[str, Receipt]) -> Receipt | None:
    match record.state:
        case State.COMMITTED if record.attempt is not None:
            return receipts.get(record.attempt.folder)
        case State.ROLLING_BACK if record.attempt is not None:
            return receipts.get(record.attempt.back_to)
        case _:
            return receipts.get(record.installed)


def _read_memory(home: Home) -> Memory:
    try:
        return read_memory(home.memory)
    except LocalError:
        return Memory()


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
    if not is_startable(home, receipt):
        raise LocalError(
            "its Python environment is broken",
            subject=receipt.version,
            found=str(programs_root(home, receipt)),
            hint="The Python it was made of may be gone. Try: lockgate-updater repair --home DIR",
        )
    if not _lies_in(path, programs_root(home, receipt)) or not path.is_file():
        raise UsageError("no such program in the tree", subject=receipt.version, found=name)
    return (str(path), *rest)


def _lies_in(path: Path, root: Path) -> bool:
    """Whether a program lies below `root`, also if it is an environment's link to its Python."""
    inner = os.path.realpath(root)
    folder = Path(os.path.realpath(path.parent))
    is_python = path.parent == root / "bin" and path.name.startswith("python")
    place = folder / path.name if is_python else Path(os.path.realpath(path))
    return place.is_relative_to(inner)
