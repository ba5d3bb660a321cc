"""Somebody plants links and files in the home: nothing is followed, nothing written through."""

import os
import subprocess
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from tests.attacks.claims import assert_refused
from tests.simulators.client import COMMAND, SimulatedClient
from tests.simulators.repository import HEALTHY, RepositorySimulator

NEXT = {**HEALTHY, "two": b"2"}


@pytest.mark.parametrize(
    "name",
    [
        "state/documents/channels%2Fstable%2Fversion.json",
        "state/metadata/timestamp.json",
        "state/memory.json",
        "state/identity.json",
        "state/receipts/9.9.9-00000000.json",
        "state/downloads/x.part",
        "state/metadata/root.json",
    ],
)
def test_a_link_planted_in_the_state_is_not_followed(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path, name: str
) -> None:
    repository.publish("2.0.0", NEXT)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    planted = client.home / name
    planted.unlink(missing_ok=True)
    planted.symlink_to(victim)
    error = assert_refused(client, "local", exit_code=ExitCode.LOCAL)
    assert str(planted) in str(error)
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["state", "versions", "state/receipts", "state/downloads"])
def test_a_link_in_place_of_a_folder_is_not_followed(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path, name: str
) -> None:
    repository.publish("2.0.0", NEXT)
    elsewhere = tmp_path / "elsewhere"
    (client.home / name).rename(elsewhere)
    (client.home / name).symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    assert_refused(client, "local", exit_code=ExitCode.LOCAL)
    assert sorted(elsewhere.rglob("*")) == before


@pytest.mark.parametrize("target", ["/bin", "../../bin", "versions/../../evil", "versions/9.9.9"])
def test_a_current_that_leads_elsewhere_is_pointed_back(
    client: SimulatedClient, tmp_path: Path, target: str
) -> None:
    (tmp_path / "evil").mkdir()
    current = client.home / "current"
    current.unlink()
    current.symlink_to(target)
    assert client.update() == "up-to-date"
    assert client.runs() == "1.0.0"
    assert list((tmp_path / "evil").iterdir()) == []


def test_a_tree_that_was_changed_on_the_disk_is_not_gone_back_to(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT)
    assert client.update() == "updated"
    old = next(path for path in (client.home / "versions").iterdir() if "1.0.0" in path.name)
    (old / "bin" / "app").write_bytes(b"#!/bin/sh\nevil\n")
    repository.revoke("2.0.0")
    assert client.update() == "stays"
    assert client.runs() == "2.0.0"


def test_everything_is_for_its_owner_alone(client: SimulatedClient) -> None:
    client.home.chmod(0o777)
    client.updater.check()
    for name in ("", "state", "versions", "state/receipts", "state/metadata", "state/documents"):
        assert (client.home / name).stat().st_mode & 0o077 == 0, name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_state_that_belongs_to_somebody_else_is_not_used(client: SimulatedClient) -> None:
    os.chown(client.home / "state", 12345, 12345)
    assert_refused(client, "local", exit_code=ExitCode.LOCAL)


@pytest.mark.parametrize("name", ["state/planted", "state/receipts/9.9.9-00000000.json"])
def test_from_a_home_that_is_refused_no_program_is_started(
    client: SimulatedClient, tmp_path: Path, name: str
) -> None:
    client.home.joinpath(name).symlink_to(tmp_path)
    command = [*COMMAND, "run", "--home", str(client.home)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == ExitCode.LAUNCHER, ran.stderr
    assert "a link where none may be" in ran.stderr
    assert "started as it is" not in ran.stderr
