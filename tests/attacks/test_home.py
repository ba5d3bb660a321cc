"""Somebody plants links and files in the home: nothing is followed, nothing written through."""

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate_release.digests import digest_tree, encode_listing, walk_tree
from lockgate_release.errors import DigestMismatchError, ExitCode, LockgateError
from tests.attacks.claims import assert_refused
from tests.simulators.client import COMMAND, SimulatedClient, make_client
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


# -- Hard links, and files of the right name -----------------------------------------------


def _publish_next(client: SimulatedClient, repository: RepositorySimulator) -> tuple[Path, bytes]:
    """Publish 2.0.0; where its partial download will lie, and the bytes of its artifact."""
    before = set(repository.files)
    repository.publish("2.0.0", NEXT)
    (data,) = (
        repository.files[name] for name in set(repository.files) - before if "artifacts" in name
    )
    return client.home / "state" / "downloads" / f"{hashlib.sha256(data).hexdigest()}.part", data


def test_a_partial_download_that_is_another_name_of_a_file_is_not_written_through(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path
) -> None:
    part, _ = _publish_next(client, repository)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    part.hardlink_to(victim)
    assert client.update() == "updated"
    assert victim.read_bytes() == b"precious"
    assert client.runs() == "2.0.0"
    assert client.leftovers() == []


def test_no_record_is_written_through_another_name_of_it(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path
) -> None:
    victims: dict[Path, bytes] = {}
    for path in (client.home / "state").rglob("*"):
        if path.is_file() and not path.is_symlink():
            victim = tmp_path / f"victim{len(victims)}"
            victim.hardlink_to(path)
            victims[victim] = path.read_bytes()
    assert len(victims) > 8
    repository.publish("2.0.0", NEXT)
    assert client.update() == "updated"
    assert client.runs() == "2.0.0"
    assert {victim: victim.read_bytes() for victim in victims} == victims


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"\x1f" * len(data),
        lambda data: data + b"more",
        lambda data: data[: len(data) // 2] + b"\x1f" * (len(data) // 2),
        lambda data: data + bytes(5 << 20),
    ],
    ids=["wrong", "too long", "half wrong", "large"],
)
def test_a_planted_partial_download_is_not_believed(
    client: SimulatedClient, repository: RepositorySimulator, spoil: Callable[[bytes], bytes]
) -> None:
    part, data = _publish_next(client, repository)
    part.write_bytes(spoil(data))
    assert client.update() == "updated"
    assert client.runs() == "2.0.0"
    assert client.updater.verify() == "2.0.0"
    assert client.leftovers() == []


def test_a_pipe_in_place_of_a_partial_download_does_not_hold_it_up(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    part, _ = _publish_next(client, repository)
    os.mkfifo(part)
    assert client.update() == "updated"
    assert client.leftovers() == []


@pytest.mark.parametrize("name", ["part", "state/downloads/planted"])
def test_a_folder_in_place_of_a_download_is_removed_and_what_it_leads_to_is_not(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path, name: str
) -> None:
    part, _ = _publish_next(client, repository)
    planted = part if name == "part" else client.home / name
    planted.mkdir()
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (planted / "file").hardlink_to(victim)
    assert client.update() == "updated"
    assert client.leftovers() == []
    assert victim.read_bytes() == b"precious"


# -- Among the trees -----------------------------------------------------------------------


def _elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "app").write_bytes(b"#!/bin/sh\nevil\n")
    return folder


@pytest.mark.parametrize("prefix", ["", ".staging-"])
def test_a_link_in_the_place_of_the_next_tree_is_replaced_and_not_followed(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path, prefix: str
) -> None:
    repository.publish("2.0.0", NEXT)
    probe = make_client(repository, tmp_path / "probe")
    probe.update()
    folder = (tmp_path / "probe" / "current").readlink().name
    elsewhere = _elsewhere(tmp_path)
    before = digest_tree(elsewhere)
    (client.home / "versions" / f"{prefix}{folder}").symlink_to(elsewhere)
    assert client.update() == "updated"
    tree = client.home / "versions" / folder
    assert tree.is_dir()
    assert not tree.is_symlink()
    assert client.updater.verify() == "2.0.0"
    assert digest_tree(elsewhere) == before
    assert client.leftovers() == []


def test_what_is_swept_is_not_followed(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path
) -> None:
    elsewhere = _elsewhere(tmp_path)
    before = digest_tree(elsewhere)
    modes = {path: path.stat().st_mode for path in elsewhere.rglob("*")}
    versions = client.home / "versions"
    (versions / "0.9.0-00000000").symlink_to(elsewhere)
    (versions / ".staging-x").mkdir()
    (versions / ".staging-x" / "link").symlink_to(elsewhere)
    (versions / ".staging-x" / "file").hardlink_to(elsewhere / "bin" / "app")
    repository.publish("2.0.0", NEXT)
    assert client.update() == "updated"
    assert client.versions() == {"1.0.0", "2.0.0"}
    assert digest_tree(elsewhere) == before
    assert {path: path.stat().st_mode for path in elsewhere.rglob("*")} == modes


def test_a_planted_listing_makes_no_tree_right(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    folder = (client.home / "current").readlink().name
    tree = client.home / "versions" / folder
    (tree / "bin" / "app").write_bytes(b"#!/bin/sh\nevil\n")
    planted = client.home / "state" / "receipts" / f"{folder}.tree"
    planted.write_bytes(encode_listing(walk_tree(tree)))
    with pytest.raises(DigestMismatchError):
        client.updater.verify()
    repository.publish("2.0.0", NEXT)
    assert client.update() == "updated"
    with pytest.raises(LockgateError):
        client.updater.rollback()
    assert client.runs() == "2.0.0"


def test_a_repair_does_not_go_by_a_planted_listing(client: SimulatedClient) -> None:
    folder = (client.home / "current").readlink().name
    tree = client.home / "versions" / folder
    whole = digest_tree(tree)
    (tree / "bin" / "app").write_bytes(b"#!/bin/sh\nevil\n")
    (client.home / "state" / "receipts" / f"{folder}.tree").write_bytes(
        encode_listing(walk_tree(tree))
    )
    client.updater.repair()
    assert digest_tree(tree) == whole


def test_a_repair_does_not_write_through_another_name_of_a_file(
    client: SimulatedClient, tmp_path: Path
) -> None:
    tree = client.home / "current"
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tree / "one").unlink()
    (tree / "one").hardlink_to(victim)
    (tree / "bin" / "app").unlink()
    (tree / "bin" / "app").symlink_to(victim)
    client.updater.repair()
    assert client.updater.verify() == "1.0.0"
    assert victim.read_bytes() == b"precious"
    assert victim.stat().st_nlink == 1
