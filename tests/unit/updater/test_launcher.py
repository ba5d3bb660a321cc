"""The launcher is the boot loader: it takes a try off first, and goes back when none is left."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate_release.documents import HealthCheck, Install
from lockgate_updater.state.journal import load_record
from tests.simulators.client import COMMAND, SimulatedClient
from tests.simulators.repository import (
    HEALTHY,
    RepositorySimulator,
    confirmed_by_itself,
)

SPEAKER = b'#!/bin/sh\necho "$LOCKGATE_VERSION"\n'
PATIENT_S = 30.0


def _start(client: SimulatedClient, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "run", "--home", client.home, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run(client: SimulatedClient, *arguments: str) -> tuple[int, str]:
    process = _start(client, *arguments)
    out, _ = process.communicate()
    return process.returncode, out


def _put_on_trial(
    client: SimulatedClient,
    repository: RepositorySimulator,
    script: bytes,
    *,
    tries: int = 3,
    timeout_s: int = 20,
) -> None:
    repository.publish("1.1.0", {"bin/app": SPEAKER})
    client.update()
    install = confirmed_by_itself("bin/app", tries=tries, timeout_s=timeout_s)
    repository.publish("2.0.0", {"bin/app": script}, install=install)
    assert client.update() == "on-trial"


def _tries_left(client: SimulatedClient) -> int:
    record = load_record(client.home / "state" / "journal.json")
    assert record is not None
    assert record.attempt is not None
    return record.attempt.tries_left


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_crash_loop_goes_back_to_the_version_it_came_from(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    _put_on_trial(client, repository, b"#!/bin/sh\nexit 3\n", tries=2)
    assert _run(client) == (3, "")
    assert client.runs() == "2.0.0"
    assert _run(client) == (3, "")
    assert client.runs() == "1.1.0"
    assert _run(client) == (0, "1.1.0\n")
    assert client.versions() == {"1.1.0", "1.0.0"} or client.versions() == {"1.1.0"}
    assert client.update() == "held"


def test_the_try_is_off_before_the_program_starts(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    script = b'#!/bin/sh\ngrep -o \'"tries_left":[0-9]*\' "$LOCKGATE_HOME/state/journal.json"\n'
    _put_on_trial(client, repository, script, tries=3)
    assert _run(client) == (0, '"tries_left":2\n')


def test_a_machine_that_dies_with_its_launcher_has_used_up_the_try(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    script = f"#!/bin/sh\necho $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 60\n".encode()
    _put_on_trial(client, repository, script, tries=1)
    launcher = _start(client)
    _wait_until(pid.exists)
    launcher.kill()
    os.kill(int(pid.read_text()), signal.SIGKILL)
    launcher.communicate()
    assert client.runs() == "2.0.0"
    assert _run(client) == (0, "1.1.0\n")
    assert client.runs() == "1.1.0"


def test_a_clean_end_burns_no_try(client: SimulatedClient, repository: RepositorySimulator) -> None:
    _put_on_trial(client, repository, SPEAKER, tries=1)
    for _ in range(3):
        assert _run(client) == (0, "2.0.0\n")
    assert _tries_left(client) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_program_and_burns_no_try(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path, number: int
) -> None:
    ready = tmp_path / "ready"
    script = f"#!/bin/sh\ntrap 'exit 9' {number}\ntouch {ready}\nwhile :; do sleep 0.05; done\n"
    _put_on_trial(client, repository, script.encode(), tries=1)
    launcher = _start(client)
    _wait_until(ready.exists)
    launcher.send_signal(number)
    launcher.communicate()
    assert launcher.returncode == 9
    assert _tries_left(client) == 1
    assert client.runs() == "2.0.0"


def test_a_program_that_is_killed_ends_as_shells_say_it(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    _put_on_trial(client, repository, b"#!/bin/sh\nkill -9 $$\n", tries=2)
    assert _run(client)[0] == 128 + signal.SIGKILL
    assert _tries_left(client) == 1


def test_a_program_that_hangs_is_ended_and_the_old_one_started(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    _put_on_trial(client, repository, b"#!/bin/sh\nexec sleep 60\n", tries=1, timeout_s=1)
    assert _run(client) == (0, "1.1.0\n")
    assert client.runs() == "1.1.0"


def test_a_program_that_cannot_start_uses_up_its_tries(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    _put_on_trial(client, repository, b"#!/no/such/interpreter\n", tries=1)
    assert _run(client)[0] == 125
    assert client.runs() == "1.1.0"


def test_a_release_known_as_revoked_is_left_at_the_next_start_without_a_network(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("1.1.0", {"bin/app": SPEAKER})
    client.update()
    repository.publish("2.0.0", {"bin/app": SPEAKER, "x": b"y"})
    client.update()
    repository.revoke("2.0.0")
    client.updater.check()
    assert _run(client) == (0, "1.1.0\n")


def test_an_update_that_was_cut_off_is_finished_before_the_start(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("1.1.0", {"bin/app": SPEAKER})

    def interrupt(event: object) -> None:
        if "on trial" in str(event):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.updater.update(progress=interrupt)
    assert _run(client) == (0, "1.1.0\n")
    assert client.updater.status().installed == "1.1.0"


def test_where_the_release_names_no_program_the_first_argument_does(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    install = Install(health=HealthCheck(command=("bin/app",)))
    repository.publish("1.1.0", {**HEALTHY, "tool": b'#!/bin/sh\necho "$1"\n'}, install=install)
    client.update()
    assert _run(client, "tool", "word") == (0, "word\n")
    assert _run(client)[0] == 125
    assert _run(client, "nothing")[0] == 125


def test_another_program_of_the_tree_can_be_started(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("1.1.0", {**HEALTHY, "tool": b"#!/bin/sh\nexit 4\n", "data": b"x"})
    client.update()
    assert _run(client, "--program", "tool")[0] == 4
    assert _run(client, "--program", "../../../bin/sh")[0] == 125
    assert _run(client, "--program", "data")[0] == 125
