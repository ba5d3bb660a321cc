"""A client's launcher as a process of its own, and a release on trial for it to start."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lockgate_updater.state.journal import Attempt, load_record
from tests.simulators.client import COMMAND, SimulatedClient
from tests.simulators.repository import RepositorySimulator, confirmed_by_itself

SPEAKER = b'#!/bin/sh\necho "$LOCKGATE_VERSION"\n'
PATIENT_S = 30.0


def start(
    client: SimulatedClient,
    *arguments: str,
    before: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    **options: Any,
) -> subprocess.Popen[str]:
    """Start the launcher, perhaps by another program; hang-ups count, also below `nohup`."""
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        return subprocess.Popen(
            [*before, *COMMAND, "run", "--home", client.home, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
            **options,
        )
    finally:
        signal.signal(signal.SIGHUP, hangup)


def run(client: SimulatedClient, *arguments: str, **options: Any) -> tuple[int, str]:
    """Run the launcher to its end: its exit code, and what was written to stdout."""
    process = start(client, *arguments, **options)
    out, _ = process.communicate()
    return process.returncode, out


def put_on_trial(
    client: SimulatedClient,
    repository: RepositorySimulator,
    script: bytes,
    *,
    tries: int = 3,
    timeout_s: int = 20,
) -> None:
    """Install 1.1.0, which says its version, and put 2.0.0 on trial, which is this script."""
    repository.publish("1.1.0", {"bin/app": SPEAKER})
    client.update()
    install = confirmed_by_itself("bin/app", tries=tries, timeout_s=timeout_s)
    repository.publish("2.0.0", {"bin/app": script}, install=install)
    assert client.update() == "on-trial"


def attempt_of(client: SimulatedClient) -> Attempt:
    """What the journal says is being tried."""
    record = load_record(client.home / "state" / "journal.json")
    assert record is not None
    assert record.attempt is not None
    return record.attempt


def tries_left(client: SimulatedClient) -> int:
    """How many tries the release on trial has left."""
    return attempt_of(client).tries_left


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + PATIENT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
