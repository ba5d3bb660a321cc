"""Trees and records that somebody has damaged: seen, set aside, and done without."""

import pytest

from lockgate_release.errors import DigestMismatchError, LocalError
from tests.simulators.client import SimulatedClient
from tests.simulators.repository import HEALTHY, STABLE, RepositorySimulator, confirmed_by_itself

NEXT = {**HEALTHY, "lib/two": b"2" * 100}


def test_a_changed_tree_is_seen_by_verify(client: SimulatedClient) -> None:
    client.update()
    (client.home / "current" / "bin" / "app").write_bytes(b"#!/bin/sh\nevil\n")
    with pytest.raises(DigestMismatchError):
        client.updater.verify()


def test_verify_with_nothing_installed_says_so(client: SimulatedClient) -> None:
    with pytest.raises(LocalError, match="nothing is installed"):
        client.updater.verify()


def test_an_installed_tree_that_is_gone_falls_back_to_the_last_good_one(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)
    client.update()
    gone = next(path for path in (client.home / "versions").iterdir() if "2.0.0" in path.name)
    gone.rename(client.home.parent / "gone")
    repository.issue(STABLE, offers=())
    client.update()
    assert client.runs() == "1.0.0"


@pytest.mark.parametrize("state", ["idle", "trial"])
def test_a_damaged_journal_is_set_aside_and_only_what_was_committed_counts(
    client: SimulatedClient, repository: RepositorySimulator, state: str
) -> None:
    client.update()
    if state == "trial":
        repository.publish("2.0.0", NEXT, install=confirmed_by_itself("bin/app"))
        client.update()
        assert client.runs() == "2.0.0"
    (client.home / "state" / "journal.json").write_bytes(b'{"torn":')
    repository.issue(STABLE, offers=())
    assert client.update() == "held"
    assert client.runs() == "1.0.0"
    assert (client.home / "state" / "journal.json.damaged-1").exists()


def test_a_damaged_memory_is_set_aside_and_learnt_again(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT, exposure_bp=0)
    repository.revoke("2.0.0")
    (client.home / "state" / "memory.json").write_bytes(b"\xff")
    client.updater.check()
    assert client.updater.status().revoked == ("2.0.0",)
    assert (client.home / "state" / "memory.json.damaged-1").exists()


@pytest.mark.parametrize("name", ["journal", "memory"])
def test_a_record_of_a_newer_updater_is_not_guessed_at(client: SimulatedClient, name: str) -> None:
    client.update()
    path = client.home / "state" / f"{name}.json"
    newer = path.read_bytes().replace(b'"format":1', b'"format":99')
    path.write_bytes(newer)
    with pytest.raises(LocalError, match="newer updater"):
        client.update()
    assert path.read_bytes() == newer
