"""A restart of the machine burns no try, but a build that brings it down has no endless tries."""

import os
import signal
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.names import Sha256Hex
from lockgate_updater.run.reboot import begun, forgiven, settled
from lockgate_updater.state.identity import boot_id
from lockgate_updater.state.journal import Attempt, load_record, store_record
from tests.simulators.client import SimulatedClient
from tests.simulators.launched import attempt_of, put_on_trial, run, start, wait_until
from tests.simulators.repository import RepositorySimulator

ATTEMPT = Attempt(
    id="1",
    folder="2.0.0-00000000",
    version="2.0.0",
    release_sha256=Sha256Hex("0" * 64),
    back_to="1.0.0-00000000",
    tries_left=3,
)
FAILING = b"#!/bin/sh\nexit 3\n"


def test_a_try_that_a_restart_cut_off_is_given_back() -> None:
    again = forgiven(begun(ATTEMPT, "monday"), "tuesday", tries=3)
    assert again == replace(ATTEMPT, forgiven=1)


def test_a_try_in_flight_in_the_same_boot_is_not() -> None:
    assert forgiven(begun(ATTEMPT, "monday"), "monday", tries=3) is None


def test_where_boots_cannot_be_told_apart_nothing_is_forgiven() -> None:
    assert forgiven(begun(ATTEMPT, ""), "tuesday", tries=3) is None
    assert forgiven(begun(ATTEMPT, "monday"), "", tries=3) is None


def test_a_try_that_was_judged_is_not_given_back_by_a_later_restart() -> None:
    used = settled(begun(ATTEMPT, "monday"), given_back=False)
    assert used.tries_left == 2
    assert forgiven(used, "tuesday", tries=3) is None


@given(tries=st.integers(1, 20))
def test_a_build_that_brings_the_machine_down_gets_twice_its_tries_and_no_more(tries: int) -> None:
    attempt, starts = replace(ATTEMPT, tries_left=tries), 0
    while attempt.tries_left > 0:
        attempt = begun(attempt, str(starts))
        starts += 1
        attempt = forgiven(attempt, str(starts), tries=tries) or attempt
    assert starts == 2 * tries


def test_this_machine_tells_its_boots_apart() -> None:
    assert boot_id() == boot_id()
    assert 0 < len(boot_id()) <= 64


def _die_in_flight(client: SimulatedClient, pid: Path) -> None:
    """The launcher and its program are both gone at once, as in a power cut."""
    pid.unlink(missing_ok=True)
    launcher = start(client)
    wait_until(pid.exists)
    launcher.kill()
    os.kill(int(pid.read_text()), signal.SIGKILL)
    launcher.communicate()


def _restart(client: SimulatedClient) -> None:
    """What the journal says of this boot was said in an earlier one."""
    journal = client.home / "state" / "journal.json"
    record = load_record(journal)
    assert record is not None
    assert record.attempt is not None
    store_record(journal, replace(record, attempt=replace(record.attempt, boot="earlier")))


def _sleeper(pid: Path) -> bytes:
    return f"#!/bin/sh\necho $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 60\n".encode()


def test_a_restart_of_the_machine_burns_no_try(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    put_on_trial(client, repository, _sleeper(pid), tries=1)
    _die_in_flight(client, pid)
    _restart(client)
    _die_in_flight(client, pid)  # It was started again: its only try was given back.
    assert attempt_of(client).forgiven == 1
    _restart(client)
    assert run(client) == (0, "1.1.0\n")


def test_an_update_after_the_restart_gives_it_back_too(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    put_on_trial(client, repository, _sleeper(pid), tries=1)
    _die_in_flight(client, pid)
    assert attempt_of(client).tries_left == 0
    _restart(client)
    assert client.update() == "on-trial"
    assert attempt_of(client).tries_left == 1


def test_a_bad_end_stays_a_bad_end_after_a_restart(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    put_on_trial(client, repository, FAILING, tries=2)
    assert run(client)[0] == 3
    assert attempt_of(client).boot == ""
    assert run(client)[0] == 3
    assert client.runs() == "1.1.0"
