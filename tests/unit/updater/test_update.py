"""An update proves what it installs, and commits what works."""

import subprocess
from pathlib import Path

import pytest

from lockgate_release.documents import HealthCheck, Install
from lockgate_release.errors import LocalError
from lockgate_release.names import Platform
from lockgate_updater import Event, Progress, Step, UpToDate
from tests.simulators.client import SimulatedClient, is_whole, make_client
from tests.simulators.repository import HEALTHY, RepositorySimulator, confirmed_by_itself

NEXT = {**HEALTHY, "lib/two": b"2" * 100}


@pytest.mark.parametrize("kind", ["tar.gz", "tar.zst", "zip"])
def test_a_release_is_installed_byte_for_byte(
    client: SimulatedClient, repository: RepositorySimulator, kind: str
) -> None:
    repository.publish("2.0.0", NEXT, kind=kind)
    assert client.update() == "updated"
    assert is_whole(client, "2.0.0", NEXT)
    assert client.leftovers() == []
    assert client.updater.verify() == "2.0.0"


def test_a_single_file_is_installed_as_a_program(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    program = b"#!/bin/sh\necho ran\n"
    repository.publish(
        "2.0.0",
        {"tool": program},
        kind="file",
        name="tool",
        install=Install(entrypoint="tool", health=HealthCheck(command=("tool",))),
        tree_sha256="",
    )
    # A single file is always a program; the simulator knows it by its first bytes.
    assert client.update() == "updated"
    ran = subprocess.run([client.home / "current" / "tool"], capture_output=True, check=True)
    assert ran.stdout == b"ran\n"


def test_an_update_says_what_it_does(client: SimulatedClient) -> None:
    events: list[Event] = []
    client.update(events=events)
    names = [event.name for event in events if isinstance(event, Step)]
    assert names == [
        "offered",
        "downloading",
        "unpacking",
        "proven",
        "switched",
        "on-trial",
        "committed",
    ]
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert last.received_bytes == last.total_bytes
    assert all(str(event) for event in events)


def test_the_health_command_runs_in_its_tree_and_knows_its_version(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    script = b"#!/bin/sh\ntest -f lib/two && test $LOCKGATE_VERSION = 2.0.0 && test $1 = x\n"
    health = HealthCheck(command=("bin/check", "x"))
    repository.publish("2.0.0", {**NEXT, "bin/check": script}, install=Install(health=health))
    assert client.update() == "updated"


def test_two_good_versions_are_kept(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    for number in range(1, 5):
        repository.publish(f"{number}.0.0", {**HEALTHY, "n": str(number).encode()})
        assert client.update() == "updated"
    assert client.versions() == {"3.0.0", "4.0.0"}
    assert client.updater.status().good == ("4.0.0", "3.0.0")


def test_a_release_without_any_program_is_committed_at_once(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", {"data": b"x"}, install=Install())
    assert client.update() == "updated"


def test_a_release_without_a_health_command_waits_for_its_program(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT, install=confirmed_by_itself("bin/app"))
    assert client.update() == "on-trial"
    status = client.updater.status()
    assert (status.installed, status.on_trial, status.runs) == ("1.0.0", "2.0.0", "2.0.0")
    assert client.update() == "on-trial"
    assert client.updater.confirm().outcome == "updated"
    assert client.updater.status().installed == "2.0.0"
    assert isinstance(client.updater.check(), UpToDate)
    assert client.updater.confirm().reason == "nothing is on trial"


def test_a_dry_run_changes_nothing(client: SimulatedClient) -> None:
    result = client.updater.update(dry_run=True)
    assert result.outcome == "planned"
    assert result.decision is not None
    assert client.versions() == set()


def test_a_full_disk_is_seen_before_the_first_byte(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT, tree_size=1 << 52)
    with pytest.raises(LocalError, match="not enough space"):
        client.update()
    assert not [name for name in repository.requests if "artifacts" in name]
    assert client.versions() == set()


def test_an_update_from_a_folder_needs_no_network(
    repository: RepositorySimulator, tmp_path: Path
) -> None:
    for name, data in repository.files.items():
        path = tmp_path / "mirror" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    address = f"file://{tmp_path}/mirror"
    client = make_client(repository, tmp_path / "home", address=address)
    from lockgate_updater import Updater

    assert Updater.open(client.home).update().outcome == "updated"
    assert client.runs() == "1.0.0"


def test_the_platforms_own_artifact_is_taken(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    tag = client.updater.configuration.platform
    assert tag != Platform("any")
    repository.publish("2.0.0", NEXT, platform=tag)
    assert client.update() == "updated"
