"""The launcher is the boot loader: it takes a try off first, and goes back when none is left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate_release.documents import HealthCheck, Install
from tests.simulators.client import SimulatedClient
from tests.simulators.launched import (
    PATIENT_S,
    SPEAKER,
    put_on_trial,
    run,
    start,
    tries_left,
    wait_until,
)
from tests.simulators.repository import HEALTHY, RepositorySimulator


def test_a_crash_loop_goes_back_to_the_version_it_came_from(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    put_on_trial(client, repository, b"#!/bin/sh\nexit 3\n", tries=2)
    assert run(client) == (3, "")
    assert client.runs() == "2.0.0"
    assert run(client) == (3, "")
    assert client.runs() == "1.1.0"
    assert run(client) == (0, "1.1.0\n")
    assert client.versions() == {"1.1.0", "1.0.0"} or client.versions() == {"1.1.0"}
    assert client.update() == "held"


def test_the_try_is_off_before_the_program_starts(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    script = b'#!/bin/sh\ngrep -o \'"tries_left":[0-9]*\' "$LOCKGATE_HOME/state/journal.json"\n'
    put_on_trial(client, repository, script, tries=3)
    assert run(client) == (0, '"tries_left":2\n')


def test_a_machine_that_dies_with_its_launcher_has_used_up_the_try(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    script = f"#!/bin/sh\necho $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 60\n".encode()
    put_on_trial(client, repository, script, tries=1)
    launcher = start(client)
    wait_until(pid.exists)
    launcher.kill()
    os.kill(int(pid.read_text()), signal.SIGKILL)
    launcher.communicate()
    assert client.runs() == "2.0.0"
    assert run(client) == (0, "1.1.0\n")
    assert client.runs() == "1.1.0"


def test_a_clean_end_burns_no_try(client: SimulatedClient, repository: RepositorySimulator) -> None:
    put_on_trial(client, repository, SPEAKER, tries=1)
    for _ in range(3):
        assert run(client) == (0, "2.0.0\n")
    assert tries_left(client) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_program_and_burns_no_try(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path, number: int
) -> None:
    ready = tmp_path / "ready"
    script = f"#!/bin/sh\ntrap 'exit 9' {number}\ntouch {ready}\nwhile :; do sleep 0.05; done\n"
    put_on_trial(client, repository, script.encode(), tries=1)
    launcher = start(client)
    wait_until(ready.exists)
    launcher.send_signal(number)
    launcher.communicate()
    assert launcher.returncode == 9
    assert tries_left(client) == 1
    assert client.runs() == "2.0.0"


def test_a_program_that_is_killed_ends_as_shells_say_it(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    put_on_trial(client, repository, b"#!/bin/sh\nkill -9 $$\n", tries=2)
    assert run(client)[0] == 128 + signal.SIGKILL
    assert tries_left(client) == 1


def test_a_program_that_hangs_is_ended_and_the_old_one_started(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    put_on_trial(client, repository, b"#!/bin/sh\nexec sleep 60\n", tries=1, timeout_s=1)
    assert run(client) == (0, "1.1.0\n")
    assert client.runs() == "1.1.0"


def test_a_program_that_cannot_start_uses_up_its_tries(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    put_on_trial(client, repository, b"#!/no/such/interpreter\n", tries=1)
    assert run(client)[0] == 125
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
    assert run(client) == (0, "1.1.0\n")


def test_an_update_that_was_cut_off_is_finished_before_the_start(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("1.1.0", {"bin/app": SPEAKER})

    def interrupt(event: object) -> None:
        if "on trial" in str(event):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.updater.update(progress=interrupt)
    assert run(client) == (0, "1.1.0\n")
    assert client.updater.status().installed == "1.1.0"


def test_where_the_release_names_no_program_the_first_argument_does(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    install = Install(health=HealthCheck(command=("bin/app",)))
    repository.publish("1.1.0", {**HEALTHY, "tool": b'#!/bin/sh\necho "$1"\n'}, install=install)
    client.update()
    assert run(client, "tool", "word") == (0, "word\n")
    assert run(client)[0] == 125
    assert run(client, "nothing")[0] == 125


def test_another_program_of_the_tree_can_be_started(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("1.1.0", {**HEALTHY, "tool": b"#!/bin/sh\nexit 4\n", "data": b"x"})
    client.update()
    assert run(client, "--program", "tool")[0] == 4
    assert run(client, "--program", "../../../bin/sh")[0] == 125
    assert run(client, "--program", "data")[0] == 125


ENDED_TOO_EARLY = """
import os, signal, sys
from lockgate_updater import Updater

class Kills:
    server_time = None

    def __init__(self):
        self.signals = [signal.SIGTERM]

    def close(self):
        # The try is taken, and nothing is started yet.
        if self.signals:
            os.kill(os.getpid(), self.signals.pop())

transport = Kills()
sys.exit(Updater.open(sys.argv[1], transport=lambda: transport).run())
"""


def test_a_signal_between_the_try_and_the_program_burns_no_try(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    put_on_trial(client, repository, b"#!/bin/sh\nexec sleep 60\n", tries=1)
    ran = subprocess.run(
        [sys.executable, "-c", ENDED_TOO_EARLY, client.home], check=False, timeout=PATIENT_S
    )
    assert ran.returncode == 128 + signal.SIGTERM
    assert tries_left(client) == 1
    assert client.runs() == "2.0.0"
