"""A release proves itself: its signed health command runs in its tree, with a deadline.

The command gets a session of its own, so that on its deadline everything it started is ended too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lockgate_release.reports import Failure
from lockgate_updater.state.environments import environment_path
from lockgate_updater.state.home import Home
from lockgate_updater.state.receipts import Receipt

__all__ = ["Health", "program_path", "programs_root", "run_health"]

_SHOWN_BYTES = 400
_BEAT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a release has done.

    Attributes:
        passed: Whether it has proven itself.
        reason: What happened, as a sentence, with the end of what the command said.
        blames_release: Whether a failure says something of the release: then it is not tried again
            for a while.
        failure: How it failed, in the one word that reports have for it.
    """

    passed: bool
    reason: str
    blames_release: bool = True
    failure: Failure = Failure.NONE


def program_path(home: Home, receipt: Receipt, program: str) -> Path:
    """Return where a program of a tree lies. Its name was checked when the document was read."""
    return programs_root(home, receipt) / program


def programs_root(home: Home, receipt: Receipt) -> Path:
    """Return what programs are relative to: the tree, or the environment of its wheels."""
    if receipt.install.python is not None:
        return environment_path(home, receipt.folder)
    return home.tree(receipt.folder)


def run_health(
    home: Home,
    receipt: Receipt,
    environment: Mapping[str, str],
    *,
    beat: Callable[[], object] = lambda: None,
) -> Health:
    """Run the release's health command in its tree and return how it did.

    Args:
        home: The client's home.
        receipt: The release.
        environment: What the command finds in its environment.
        beat: Is called every second while it runs.
    """
    health = receipt.install.health
    program = program_path(home, receipt, health.command[0])
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                [program, *health.command[1:]],
                cwd=home.tree(receipt.folder),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as exc:
            return _failed(f"its health command cannot start: {exc.strerror}")
        try:
            code = _wait(process, health.timeout_s, beat)
        except subprocess.TimeoutExpired:
            reason = f"its health command took longer than {health.timeout_s} s"
            return _failed(reason, Failure.TIMEOUT)
        finally:
            _end(process)
        words = _tail(said.fileno())
    if code == 0:
        return Health(passed=True, reason="its health command passed")
    return _failed(f"its health command ended with {code}{words}")


def _failed(reason: str, failure: Failure = Failure.HEALTH) -> Health:
    return Health(passed=False, reason=reason, failure=failure)


def _wait(process: subprocess.Popen[bytes], timeout_s: float, beat: Callable[[], object]) -> int:
    """Return the command's exit code.

    Raises:
        subprocess.TimeoutExpired: It took longer than that.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        beat()
        left_s = deadline - time.monotonic()
        try:
            return process.wait(min(max(left_s, 0), _BEAT_S))
        except subprocess.TimeoutExpired:
            if left_s <= _BEAT_S:
                raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command and everything it started that stayed in its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(handle: int) -> str:
    size = os.fstat(handle).st_size
    data = os.pread(handle, _SHOWN_BYTES, max(size - _SHOWN_BYTES, 0))
    text = " ".join(data.decode("utf-8", "replace").split())
    return f": {text}" if text else ""
