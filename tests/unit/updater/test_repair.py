"""A damaged installation becomes exactly what was signed, and no more is fetched than it takes."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate_release.errors import (
    DigestMismatchError,
    LocalError,
    RepositoryError,
    TransportError,
    UsageError,
)
from lockgate_updater.state.listing import DifferenceKind, TreeDiffersError
from tests.simulators.archives import Tree, make_archive, tree_digest
from tests.simulators.client import SimulatedClient
from tests.simulators.faults import Kind
from tests.simulators.repository import HEALTHY, RepositorySimulator, confirmed_by_itself

TREE: Tree = {
    **HEALTHY,
    "lib/data": b"d" * 5000,
    "lib/deep/more": b"m" * 3000,
    "lib/twin": b"d" * 5000,
    "empty": b"",
}


@pytest.fixture
def installed(client: SimulatedClient, repository: RepositorySimulator) -> SimulatedClient:
    repository.publish("2.0.0", TREE)
    assert client.update() == "updated"
    return client


def _tree(client: SimulatedClient) -> Path:
    return (client.home / "current").resolve()


def _is_signed(client: SimulatedClient, tree: Tree = TREE) -> bool:
    found = client.trees()
    return found == {_tree(client).name: tree_digest(tree).sha256} and not client.leftovers()


def _differences(client: SimulatedClient) -> set[tuple[str, str]]:
    with pytest.raises(TreeDiffersError) as caught:
        client.updater.verify()
    return {(item.kind.value, item.path) for item in caught.value.differences}


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _swap_for_link(path: Path) -> None:
    outside = path.parents[4] / "outside"
    outside.mkdir()
    shutil.rmtree(path)
    path.symlink_to(outside)


def _swap_for_folder(path: Path) -> None:
    path.unlink()
    (path / "inner").mkdir(parents=True)


def _swap_for_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_bytes(b"no folder")


DAMAGE: dict[str, tuple[str, Callable[[Path], object], set[tuple[str, str]]]] = {
    "bit": ("lib/deep/more", _flip, {("changed", "lib/deep/more")}),
    "cut": ("lib/deep/more", lambda path: os.truncate(path, 7), {("changed", "lib/deep/more")}),
    "gone": ("lib/deep/more", Path.unlink, {("missing", "lib/deep/more")}),
    "mode": ("bin/app", lambda path: path.chmod(0o644), {("mode", "bin/app")}),
    "set-id": ("bin/app", lambda path: path.chmod(0o4755), {("mode", "bin/app")}),
    "folder gone": (
        "lib/deep",
        shutil.rmtree,
        {("missing", "lib/deep"), ("missing", "lib/deep/more")},
    ),
    "folder a link": (
        "lib/deep",
        _swap_for_link,
        {("kind", "lib/deep"), ("missing", "lib/deep/more")},
    ),
    "folder a file": (
        "lib/deep",
        _swap_for_file,
        {("kind", "lib/deep"), ("missing", "lib/deep/more")},
    ),
    "file a folder": ("lib/deep/more", _swap_for_folder, {("kind", "lib/deep/more")}),
    "extra file": ("lib/evil", lambda path: path.write_bytes(b"x"), {("extra", "lib/evil")}),
    "extra folder": (
        "lib/__pycache__/x",
        lambda path: path.mkdir(parents=True),
        {("extra", "lib/__pycache__")},
    ),
    "pipe": ("lib/pipe", os.mkfifo, {("extra", "lib/pipe")}),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_differs_is_named_and_put_right(installed: SimulatedClient, name: str) -> None:
    path, damage, expected = DAMAGE[name]
    damage(_tree(installed) / path)
    assert _differences(installed) == expected
    result = installed.updater.repair()
    assert {(item.kind.value, item.path) for item in result.differences} == expected
    assert _is_signed(installed)
    assert installed.updater.verify() == "2.0.0"
    assert list(installed.home.parent.glob("outside/*")) == []


def test_what_is_put_right_can_be_entered_whatever_the_umask(installed: SimulatedClient) -> None:
    shutil.rmtree(_tree(installed) / "lib")
    usual = os.umask(0o077)
    try:
        installed.updater.repair()
    finally:
        os.umask(usual)
    modes = {path.name: path.stat().st_mode & 0o777 for path in _tree(installed).rglob("lib/**/*")}
    assert modes == {"deep": 0o755, "data": 0o644, "more": 0o644, "twin": 0o644}


def test_a_whole_tree_costs_nothing(
    installed: SimulatedClient, repository: RepositorySimulator
) -> None:
    before = installed.snapshot()
    repository.requests.clear()
    result = installed.updater.repair()
    assert result.differences == ()
    assert result.fetched_bytes == 0
    assert installed.snapshot() == before
    assert not [request for request in repository.requests if "artifacts" in request]


def test_a_file_that_the_disk_has_elsewhere_is_not_fetched(
    installed: SimulatedClient, repository: RepositorySimulator
) -> None:
    (_tree(installed) / "lib" / "data").unlink()
    repository.spoil("artifacts", Kind.STATUS, 503)
    result = installed.updater.repair()
    assert (result.from_disk, result.from_artifact, result.fetched_bytes) == (1, 0, 0)
    assert _is_signed(installed)


def test_another_release_on_the_disk_helps(
    installed: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("3.0.0", {**TREE, "new": b"3"})
    assert installed.update() == "updated"
    (_tree(installed) / "lib" / "deep" / "more").write_bytes(b"damaged")
    repository.spoil("artifacts", Kind.STATUS, 503)
    assert installed.updater.repair().from_disk == 1
    assert installed.updater.verify() == "3.0.0"


def test_a_damaged_file_of_another_release_is_not_taken(
    installed: SimulatedClient, repository: RepositorySimulator
) -> None:
    old = _tree(installed)
    repository.publish("3.0.0", {**TREE, "new": b"3"})
    assert installed.update() == "updated"
    _flip(old / "lib" / "deep" / "more")
    (_tree(installed) / "lib" / "deep" / "more").unlink()
    assert installed.updater.repair().from_artifact == 1
    assert installed.updater.verify() == "3.0.0"


@pytest.mark.parametrize("kind", ["tar.gz", "zip", "file"])
def test_every_kind_of_artifact_can_be_taken_from(
    client: SimulatedClient, repository: RepositorySimulator, kind: str
) -> None:
    tree = {"app": b"#!/bin/sh\nexit 0\n"} if kind == "file" else TREE
    program = "app" if kind == "file" else "bin/app"
    name = program if kind == "file" else ""
    trusting = confirmed_by_itself(program)
    repository.publish("2.0.0", tree, kind=kind, name=name, install=trusting)
    assert client.update() == "on-trial"
    client.updater.confirm()
    (_tree(client) / program).unlink()
    result = client.updater.repair()
    assert result.from_artifact == 1
    assert 0 < result.fetched_bytes <= result.artifact_bytes
    assert client.updater.verify() == "2.0.0"


@pytest.mark.parametrize(("kind", "most_mb"), [("zip", 3), ("tar.gz", 5)])
def test_of_a_large_artifact_only_what_is_needed_is_fetched(
    client: SimulatedClient, repository: RepositorySimulator, kind: str, most_mb: int
) -> None:
    parts = {f"lib/{number}": random.Random(number).randbytes(1 << 20) for number in range(8)}
    tree = {**HEALTHY, **parts}
    repository.publish("2.0.0", tree, kind=kind)
    assert client.update() == "updated"
    _flip(_tree(client) / "lib" / "2")
    result = client.updater.repair()
    assert result.from_artifact == 1
    assert 1 << 20 <= result.fetched_bytes <= most_mb << 20
    assert result.artifact_bytes > 8 << 20
    assert _is_signed(client, tree)


def test_a_listing_that_is_gone_or_damaged_is_made_again(installed: SimulatedClient) -> None:
    listing = next((installed.home / "state" / "receipts").glob("2.0.0-*.tree"))
    whole = listing.read_bytes()
    listing.unlink()
    assert installed.updater.repair().differences == ()
    assert listing.read_bytes() == whole
    listing.write_bytes(whole[:-9])
    _flip(_tree(installed) / "lib" / "deep" / "more")
    with pytest.raises(DigestMismatchError) as caught:
        installed.updater.verify()
    assert not isinstance(caught.value, TreeDiffersError)
    result = installed.updater.repair()
    assert [item.path for item in result.differences] == ["lib/deep/more"]
    assert listing.read_bytes() == whole
    assert _is_signed(installed)


def test_a_dry_run_changes_nothing(installed: SimulatedClient) -> None:
    (_tree(installed) / "lib" / "data").unlink()
    _flip(_tree(installed) / "lib" / "deep" / "more")
    before = installed.snapshot()
    result = installed.updater.repair(dry_run=True)
    assert (result.planned, result.from_disk, result.from_artifact) == (True, 1, 1)
    assert "2 entries differ" in str(result)
    assert installed.snapshot() == before


@pytest.mark.parametrize("kind", [Kind.CUT, Kind.STATUS])
def test_what_cannot_be_fetched_leaves_the_tree_as_it_was(
    installed: SimulatedClient, repository: RepositorySimulator, kind: Kind
) -> None:
    _flip(_tree(installed) / "lib" / "deep" / "more")
    before = installed.snapshot()
    repository.spoil("artifacts", kind, 503 if kind is Kind.STATUS else 10)
    with pytest.raises(TransportError):
        installed.updater.repair()
    assert installed.snapshot() == before
    assert installed.leftovers() == []
    repository.faults.clear()
    installed.updater.repair()
    assert _is_signed(installed)


def test_a_false_artifact_is_refused_and_leaves_the_tree_as_it_was(
    installed: SimulatedClient, repository: RepositorySimulator
) -> None:
    _flip(_tree(installed) / "lib" / "deep" / "more")
    before = installed.snapshot()
    evil = make_archive({**TREE, "lib/deep/more": b"evil"})
    for name in [name for name in repository.files if "artifacts/" in name]:
        repository.files[name] = evil
    with pytest.raises(RepositoryError):
        installed.updater.repair()
    assert installed.snapshot() == before
    assert installed.leftovers() == []


def test_a_release_on_trial_is_not_repaired(
    installed: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("3.0.0", {**TREE, "x": b"y"}, install=confirmed_by_itself("bin/app"))
    assert installed.update() == "on-trial"
    _flip(_tree(installed) / "lib" / "data")
    with pytest.raises(UsageError, match="rollback"):
        installed.updater.repair()


def test_a_revoked_release_is_not_repaired(
    installed: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.revoke("2.0.0")
    with pytest.raises(UsageError, match="revoked or below the floor"):
        installed.updater.repair()


def test_with_nothing_installed_the_hint_says_what_to_do(client: SimulatedClient) -> None:
    with pytest.raises(LocalError, match="lockgate-updater update"):
        client.updater.repair()


def test_every_kind_of_difference_is_tried_here() -> None:
    tried = {kind for _, _, expected in DAMAGE.values() for kind, _ in expected}
    assert tried | {"link"} == {kind.value for kind in DifferenceKind}
