"""The updater updates itself: as an app like any other, in a home of its own.

1. Both locks are held, the app's first, so that neither is being changed.
2. Nothing is done while the app is on trial, being committed or being rolled back: what finishes
   that is the updater that began it.
3. Besides its health command the new updater has to read the app's home: what it says stands
   there must be what we see. Where its release asks for that (`reaches_server`), it also has to
   reach its own repository. Else it is rolled back like any release that fails.
4. New code is never entered in the middle: it is used from the next start, through the entry
   (`install.entry`). The old tree stays for as long as this process may import from it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from lockgate_release.errors import DocumentError, ExitCode, UsageError
from lockgate_release.settings import SETTINGS_FILE, load_settings
from lockgate_release.strict_json import parse_json
from lockgate_updater.events import Observer
from lockgate_updater.install.entry import write_entry
from lockgate_updater.install.operation import Operation
from lockgate_updater.install.reach import examine_reach
from lockgate_updater.install.transaction import Transaction
from lockgate_updater.outcomes import Outcome, UpdateResult
from lockgate_updater.run.trial import Health, program_path
from lockgate_updater.session import Client, Session, open_session
from lockgate_updater.state.durable import local_errors
from lockgate_updater.state.home import Home
from lockgate_updater.state.journal import State
from lockgate_updater.state.receipts import Receipt

__all__ = ["find_own_home", "update_itself"]

_LEAST_KEPT = 2
_MAX_ANSWER_BYTES = 1_000_000
_FOUND_OUT = frozenset(map(int, (ExitCode.OK, ExitCode.OFFER, ExitCode.HELD)))
"""How a check ends that has reached and believed its repository."""
_BUSY = {
    State.TRIAL: "is on trial",
    State.COMMITTED: "is being committed",
    State.ROLLING_BACK: "is being left",
}


def find_own_home(home: Home) -> Path:
    """Return the home of the updater that looks after `home`.

    It is what `[updater] home` says in the home's settings, relative to it, else `updater` in it.

    Raises:
        UsageError: No client lives there, or the setting makes no sense.
        LocalError: The settings cannot be read.
    """
    table = load_settings(home.root, {}).table.get("updater", {})
    said = table.get("home", "updater") if isinstance(table, dict) else None
    if not isinstance(said, str) or not said:
        raise UsageError(
            "wrong setting",
            subject=f"{home.settings}: [updater] home",
            expected="the folder of the updater's own home",
        )
    own = home.root / Path(said).expanduser()
    if not (own / SETTINGS_FILE).is_file():
        raise UsageError(
            "the updater has no home of its own here",
            subject=str(own),
            hint="Make one with: lockgate-updater init --home DIR …, or say [updater] home = DIR.",
        )
    return own


def update_itself(app: Client, own: Client, observe: Observer, *, force: bool) -> UpdateResult:
    """Bring the updater in `own` to what its repository says, for the app that it looks after.

    Raises:
        UsageError: Both are the same home.
        RepositoryError: Its repository is wrong; nothing was installed.
        TransportError: It cannot be reached, or breaks off; the next time goes on.
        LocalError: This machine is in the way.
    """
    if os.path.realpath(app.home.root) == os.path.realpath(own.home.root):
        raise UsageError("the updater cannot look after itself", subject=str(own.home.root))
    with open_session(app, purpose="self-update", observe=observe) as session:
        if session.record.state in _BUSY:
            return _held(session)
        kept = max(own.configuration.keep, _LEAST_KEPT)
        examined = replace(
            own,
            configuration=replace(own.configuration, keep=kept),
            demand=lambda receipt: _examine(session, own, receipt),
        )
        with open_session(examined, purpose="self-update", observe=observe) as itself:
            result = _bring_up(itself, force=force)
            receipt = itself.receipt(itself.record.installed)
            if receipt is not None and receipt.install.entrypoint:
                write_entry(own.home, receipt.install.entrypoint)
            return result


def _held(session: Session) -> UpdateResult:
    attempt = session.record.attempt
    what = _BUSY[session.record.state]
    name = f"{session.client.configuration.app} {attempt.version if attempt else ''}".strip()
    version = session.running_version()
    return UpdateResult(
        outcome=Outcome.HELD,
        version=version,
        previous=version,
        reason=f"{name} {what}: the updater stays as it is until that has ended",
    )


def _bring_up(itself: Session, *, force: bool) -> UpdateResult:
    operation = Operation(itself)
    result = operation.update(force=force)
    record = itself.record
    if record.state is not State.TRIAL or record.attempt is None:
        return result
    # It has no health command: that it can read the app's home is its proof.
    receipt, demand = itself.receipt(record.attempt.folder), itself.client.demand
    assert receipt is not None
    assert demand is not None
    health = examine_reach(itself, receipt, Health(passed=True, reason="it is there"))
    if health.passed:
        health = demand(receipt)
    return Transaction(itself).conclude(record.attempt, health)


def _examine(session: Session, own: Client, receipt: Receipt) -> Health:
    """Let a new updater say what stands in the app's home, and compare."""
    if not receipt.install.entrypoint:
        return Health(passed=False, reason="it names no program that could be started")
    program = str(program_path(own.home, receipt, receipt.install.entrypoint))
    if receipt.install.health.reaches_server and (trouble := _reach(program, own, receipt)):
        return Health(passed=False, reason=f"it cannot reach its repository itself: {trouble}")
    command = [program, "status", "--home", str(session.home.root), "--json"]
    with tempfile.TemporaryFile() as said:
        timeout_s = receipt.install.health.timeout_s
        trouble = _run(command, said.fileno(), session.client.environ, timeout_s)
        answer = os.pread(said.fileno(), _MAX_ANSWER_BYTES, 0)
    if trouble:
        return Health(passed=False, reason=f"it cannot read the app's home: {trouble}")
    try:
        fields = parse_json(answer, subject="status")
        found = (fields.text("app"), fields.text("state"), fields.text("installed"))
    except DocumentError as exc:
        return Health(passed=False, reason=f"it says nothing that can be read: {exc}")
    wanted = (
        session.client.configuration.app,
        session.record.state.value,
        session.running_version(),
    )
    if found != wanted:
        seen = f"it sees {' '.join(found)} where {' '.join(wanted)} stands"
        return Health(passed=False, reason=seen)
    return Health(passed=True, reason="its health command passed, and it can read the app's home")


def _reach(program: str, own: Client, receipt: Receipt) -> str:
    """Let a new updater look at its repository, in a home that is thrown away; return the trouble.

    The one that works here has just reached it.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        there = Home.at(folder)
        with local_errors("cannot be copied", own.home.settings):
            there.settings.write_bytes(own.home.settings.read_bytes())
            there.anchor.write_bytes(own.anchor)
        command = [program, "check", "--home", folder]
        if own.configuration.ca:
            command += ["--ca", own.configuration.ca]
        timeout_s = receipt.install.health.timeout_s
        return _run(command, said.fileno(), own.environ, timeout_s, good=_FOUND_OUT)


def _run(
    command: list[str],
    said: int,
    environ: Mapping[str, str],
    timeout_s: int,
    *,
    good: frozenset[int] = frozenset({0}),
) -> str:
    """Run a command to its end, with all it started; return what was wrong, or ""."""
    try:
        process = subprocess.Popen(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as exc:
        return exc.strerror or "it cannot be started"
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return f"it took longer than {timeout_s} s"
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return "" if code in good else f"it ended with {code}"
