"""An update by deltas: which way is taken, and what it leads to."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.layout import artifact_path
from tests.simulators.client import SimulatedClient, is_whole
from tests.simulators.faults import Kind
from tests.simulators.patching import COLUMNS, ZSTD, add_delta, list_deltas
from tests.simulators.repository import HEALTHY, RepositorySimulator
from tests.unit.updater.patching.updating import NOISE, ONE, THREE, TWO, fetched, update


@pytest.fixture
def client(client: SimulatedClient, repository: RepositorySimulator) -> SimulatedClient:
    """With 1.1.0 installed; 1.0.0 is another tree, kept beside it."""
    client.update()
    repository.publish("1.1.0", ONE)
    client.update()
    return client


@pytest.mark.parametrize("algorithm", [COLUMNS, ZSTD])
def test_an_update_by_a_delta_is_the_signed_tree_and_fetches_nothing_else(
    client: SimulatedClient, repository: RepositorySimulator, algorithm: str
) -> None:
    repository.publish("2.0.0", TWO)
    delta = add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO), algorithm=algorithm)
    plan, steps = update(client)
    assert is_whole(client, "2.0.0", TWO)
    assert fetched(repository) == [delta.sha256]
    assert (plan.kind, plan.fetch_bytes) == ("delta", delta.size)
    assert plan.fetch_bytes < plan.full_bytes
    names = [step.name for step in steps]
    assert names[:5] == ["offered", "planned", "downloading", "patching", "proven"]
    assert client.updater.verify() == "2.0.0"
    assert client.updater.repair().differences == ()


@pytest.mark.parametrize("way", ["delta", "archive"])
def test_everybody_may_enter_what_was_updated_under_a_tight_umask_and_the_home_stays_closed(
    client: SimulatedClient, repository: RepositorySimulator, way: str
) -> None:
    repository.publish("2.0.0", TWO)
    if way == "delta":
        add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    usual = os.umask(0o077)
    try:
        plan, _ = update(client)
    finally:
        os.umask(usual)
    assert plan.kind == ("delta" if way == "delta" else "full")
    tree = (client.home / "current").resolve()
    folders = [path for path in (tree, *tree.rglob("*")) if path.is_dir()]
    assert {path.stat().st_mode & 0o7777 for path in folders} == {0o755}
    assert len(folders) == 4  # The tree's own, bin, lib and lib/new.
    assert tree.parent.stat().st_mode & 0o7777 == 0o700


def test_the_first_installation_asks_for_no_deltas(
    repository: RepositorySimulator, tmp_path: Path
) -> None:
    from tests.simulators.client import make_client

    repository.publish("2.0.0", TWO)
    add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    client = make_client(repository, tmp_path / "other")
    plan, _ = update(client)
    assert plan.kind == "full"
    assert not [key for key in repository.requests if "extras" in key]


def test_deltas_can_be_switched_off(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", TWO)
    add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    with (client.home / "lockgate.toml").open("a") as settings:
        settings.write("deltas = false\n")
    plan, _ = update(client)
    assert plan.kind == "full"
    assert not [key for key in repository.requests if "extras" in key]


def test_a_chain_is_taken_where_its_sum_is_smaller(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", TWO)
    first = add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    repository.publish("3.0.0", THREE)
    second = add_delta(repository, ("2.0.0", TWO), ("3.0.0", THREE))
    plan, steps = update(client)
    assert is_whole(client, "3.0.0", THREE)
    assert plan.kind == "chain"
    assert fetched(repository) == [first.sha256, second.sha256]
    assert [step.text for step in steps if step.name == "patching"] == [
        "making 2.0.0 of 1.1.0",
        "making 3.0.0 of 2.0.0",
    ]


def test_an_older_tree_on_the_disk_can_be_the_beginning(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    fixed = {**HEALTHY, "lib/fixed": NOISE[:500]}
    repository.publish("2.0.0", fixed)
    delta = add_delta(repository, ("1.0.0", HEALTHY), ("2.0.0", fixed))
    plan, _ = update(client)
    assert delta.size < plan.full_bytes
    assert fetched(repository) == [delta.sha256]
    assert is_whole(client, "2.0.0", fixed)


def test_a_broken_off_delta_goes_on_where_it_broke_off(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", TWO)
    delta = add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    part = client.home / "state" / "downloads" / f"{delta.sha256}.part"
    data = repository.files[f"{repository.app}/{delta.path}"]
    part.write_bytes(data[:-5])
    before = repository.body_bytes
    plan, _ = update(client)
    assert plan.kind == "delta"
    assert plan.fetch_bytes == 5
    assert is_whole(client, "2.0.0", TWO)
    assert repository.body_bytes - before < len(data) + 20_000


def test_a_dry_run_and_an_explanation_tell_the_plan_and_fetch_nothing_of_it(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", TWO)
    delta = add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    repository.requests.clear()
    plan = client.updater.update(dry_run=True).plan
    assert plan is not None
    assert (plan.kind, plan.fetch_bytes) == ("delta", delta.size)
    lines = client.updater.explain().sections[-1].lines
    assert f"fetch a delta, 1.1.0 -> 2.0.0: {delta.size} bytes to fetch" in " ".join(lines)
    assert fetched(repository) == []
    assert not any((client.home / "state" / "downloads").iterdir())


def _publish_chain(repository: RepositorySimulator) -> None:
    """Publish two releases, with a delta to each."""
    repository.publish("2.0.0", TWO)
    repository.publish("3.0.0", THREE)
    add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    add_delta(repository, ("2.0.0", TWO), ("3.0.0", THREE))


def test_a_chain_may_lead_over_a_release_that_was_revoked_and_never_installs_it(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    _publish_chain(repository)
    repository.revoke("2.0.0")
    plan, _ = update(client)
    assert is_whole(client, "3.0.0", THREE)
    assert (plan.kind, client.runs()) == ("chain", "3.0.0")
    assert "2.0.0" not in client.versions()


def test_a_chain_does_not_lead_over_a_release_that_is_gone(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    _publish_chain(repository)
    repository.spoil("releases/2.0.0", Kind.STATUS, 404)
    plan, _ = update(client)
    assert plan.kind == "full"
    assert is_whole(client, "3.0.0", THREE)


def test_a_tree_that_nobody_may_write_is_patched(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    tree = (client.home / "current").resolve()
    for path in (*tree.rglob("*"), tree):
        path.chmod(path.stat().st_mode & ~0o222)
    repository.publish("2.0.0", TWO)
    add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    plan, _ = update(client)
    assert plan.kind == "delta"
    assert is_whole(client, "2.0.0", TWO)


def test_a_thousand_deltas_that_are_of_no_use_are_told_in_a_few_lines(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", TWO)
    delta = add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    others = (replace(delta, sha256=digest_bytes(b"%d" % n), algorithm="x") for n in range(999))
    strange = [replace(one, path=artifact_path(one.sha256)) for one in others]
    list_deltas(repository, "2.0.0", [*strange, delta])
    plan, _ = update(client)
    assert plan.kind == "delta"
    assert 0 < len(plan.passed_over) <= 20
