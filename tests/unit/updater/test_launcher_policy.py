"""Where nothing may run that is at hand: with a warning, or not at all, as the machine says."""

from dataclasses import replace
from pathlib import Path

import pytest

from lockgate_release.errors import UsageError
from lockgate_updater.state.journal import load_record
from tests.simulators.client import SimulatedClient
from tests.simulators.launched import SPEAKER, put_on_trial, start
from tests.simulators.repository import RepositorySimulator


def _run(client: SimulatedClient) -> tuple[int, str, str]:
    process = start(client)
    out, err = process.communicate()
    return process.returncode, out, err


def _say_stop(client: SimulatedClient) -> None:
    with (client.home / "lockgate.toml").open("a") as settings:
        settings.write('if_revoked = "stop"\n')


def _install_what_is_then_revoked(client: SimulatedClient, repository: RepositorySimulator) -> None:
    repository.publish("1.1.0", {"bin/app": SPEAKER})
    assert client.update() == "updated"
    repository.revoke("1.1.0")
    client.updater.check()


def test_what_is_revoked_is_started_with_a_warning(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    _install_what_is_then_revoked(client, repository)
    code, out, err = _run(client)
    assert (code, out) == (0, "1.1.0\n")
    assert "1.1.0 is revoked, and nothing allowed is at hand" in err


def test_where_the_machine_says_stop_it_is_not(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    _install_what_is_then_revoked(client, repository)
    _say_stop(client)
    code, out, err = _run(client)
    assert (code, out) == (125, "")
    assert "this machine's policy is to stop" in err
    assert client.runs() == "1.1.0"


def test_nor_as_it_is_where_nothing_can_be_written(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    _install_what_is_then_revoked(client, repository)
    _say_stop(client)
    lock = client.home / "state" / "lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    assert _run(client)[:2] == (125, "")


def test_nor_what_a_failed_trial_went_back_to(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    put_on_trial(client, repository, b"#!/bin/sh\nexit 3\n", tries=1)
    repository.revoke("1.1.0")
    repository.revoke("1.0.0")
    client.updater.check()
    _say_stop(client)
    code, _, err = _run(client)
    assert code == 3
    assert "WARNING: 1.1.0 is revoked, and was returned to" in err
    assert client.runs() == "1.1.0"
    assert _run(client)[:2] == (125, "")


def test_a_release_on_trial_that_was_revoked_is_left_before_its_start(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    put_on_trial(client, repository, b"#!/bin/sh\nexit 3\n")
    repository.revoke("2.0.0")
    client.updater.check()
    assert _run(client)[:2] == (0, "1.1.0\n")
    record = load_record(client.home / "state" / "journal.json")
    assert record == replace(record or pytest.fail("no record"), attempt=None)


def test_another_word_is_refused(client: SimulatedClient) -> None:
    with Path(client.home / "lockgate.toml").open("a") as settings:
        settings.write('if_revoked = "perhaps"\n')
    with pytest.raises(UsageError, match="run or stop"):
        _ = client.updater
