"""An update by deltas ends where the whole archive leads, or fetches the whole archive."""

import json
import os
import random
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.documents.delta import Delta
from lockgate_release.errors import DiskFullError
from lockgate_release.layout import artifact_path
from lockgate_release.names import Sha256Hex
from lockgate_updater import Event, Step
from lockgate_updater.events import StepName
from lockgate_updater.install.patching.plan import FetchPlan
from tests.simulators.client import SimulatedClient, is_whole
from tests.simulators.faults import Kind
from tests.simulators.patching import COLUMNS, ZSTD, add_delta, list_deltas, make_bytes
from tests.simulators.repository import HEALTHY, RepositorySimulator

NOISE = random.Random(1).randbytes(40_000)
ONE = {**HEALTHY, "lib/same": NOISE, "lib/data": NOISE[:30_000], "lib/gone": b"gone"}
TWO = {
    **HEALTHY,
    "lib/same": NOISE,
    "lib/data": NOISE[:15_000] + b"changed" + NOISE[15_000:30_000],
    "lib/new/empty": b"",
}
THREE = {**TWO, "lib/data": TWO["lib/data"] + b"more", "bin/tool": b"#!/bin/sh\nexit 0\n"}


@pytest.fixture
def client(client: SimulatedClient, repository: RepositorySimulator) -> SimulatedClient:
    """With 1.1.0 installed; 1.0.0 is another tree, kept beside it."""
    client.update()
    repository.publish("1.1.0", ONE)
    client.update()
    return client


def _fetched(repository: RepositorySimulator) -> list[str]:
    return [key.rpartition("/")[2] for key in repository.requests if "/artifacts/" in key]


def _update(client: SimulatedClient) -> tuple[FetchPlan, list[Step]]:
    client.repository.requests.clear()
    events: list[Event] = []
    result = client.updater.update(progress=events.append)
    assert result.outcome == "updated"
    assert client.leftovers() == []
    assert result.plan is not None
    return result.plan, [event for event in events if isinstance(event, Step)]


@pytest.mark.parametrize("algorithm", [COLUMNS, ZSTD])
def test_an_update_by_a_delta_is_the_signed_tree_and_fetches_nothing_else(
    client: SimulatedClient, repository: RepositorySimulator, algorithm: str
) -> None:
    repository.publish("2.0.0", TWO)
    delta = add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO), algorithm=algorithm)
    plan, steps = _update(client)
    assert is_whole(client, "2.0.0", TWO)
    assert _fetched(repository) == [delta.sha256]
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
        plan, _ = _update(client)
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
    plan, _ = _update(client)
    assert plan.kind == "full"
    assert not [key for key in repository.requests if "extras" in key]


def test_deltas_can_be_switched_off(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", TWO)
    add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    with (client.home / "lockgate.toml").open("a") as settings:
        settings.write("deltas = false\n")
    plan, _ = _update(client)
    assert plan.kind == "full"
    assert not [key for key in repository.requests if "extras" in key]


def test_a_chain_is_taken_where_its_sum_is_smaller(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", TWO)
    first = add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    repository.publish("3.0.0", THREE)
    second = add_delta(repository, ("2.0.0", TWO), ("3.0.0", THREE))
    plan, steps = _update(client)
    assert is_whole(client, "3.0.0", THREE)
    assert plan.kind == "chain"
    assert _fetched(repository) == [first.sha256, second.sha256]
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
    plan, _ = _update(client)
    assert delta.size < plan.full_bytes
    assert _fetched(repository) == [delta.sha256]
    assert is_whole(client, "2.0.0", fixed)


# -- What goes wrong ends with the whole archive ---------------------------------------------------


def _damage(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


BAD: Mapping[str, bytes] = {
    "a flipped bit": _damage(make_bytes(ONE, TWO)),
    "a beginning only": make_bytes(ONE, TWO)[:-40],
    "something else": b"nothing of ours" * 40,
    "for another tree": make_bytes(TWO, THREE),
    "to another tree": make_bytes(ONE, THREE),
}


@pytest.mark.parametrize("what", BAD)
def test_a_signed_delta_that_is_wrong_is_left_for_the_archive_and_never_fetched_again(
    client: SimulatedClient, repository: RepositorySimulator, what: str
) -> None:
    document = repository.publish("2.0.0", TWO)
    delta = add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO), data=BAD[what])
    repository.spoil(document.artifacts[0].sha256, Kind.STATUS, 500)
    with pytest.raises(Exception, match="the server failed"):
        client.updater.update()
    assert client.runs() == "1.1.0"
    assert client.leftovers() == []
    repository.faults.clear()
    plan, _ = _update(client)
    assert is_whole(client, "2.0.0", TWO)
    assert _fetched(repository) == [document.artifacts[0].sha256]
    assert [item.reason.startswith("it has failed here") for item in plan.passed_over] == [True]
    memory = json.loads((client.home / "state" / "memory.json").read_bytes())
    assert [item["sha256"] for item in memory["failed_deltas"]] == [delta.sha256]


@pytest.mark.parametrize(
    ("kind", "number"), [(Kind.STATUS, 404), (Kind.STATUS, 500), (Kind.CORRUPT, 3), (Kind.CUT, 9)]
)
def test_a_delta_that_does_not_come_is_left_for_the_archive_in_the_same_run(
    client: SimulatedClient, repository: RepositorySimulator, kind: Kind, number: int
) -> None:
    repository.publish("2.0.0", TWO)
    delta = add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    repository.spoil(delta.sha256, kind, number)
    plan, steps = _update(client)
    assert plan.kind == "full"
    assert is_whole(client, "2.0.0", TWO)
    assert len([step for step in steps if step.name == "warning"]) == 1
    assert [item.version for item in plan.passed_over] == ["2.0.0"]
    memory = json.loads((client.home / "state" / "memory.json").read_bytes())
    assert memory["failed_deltas"] == []


def test_extras_that_do_not_come_or_are_wrong_cost_nothing_but_the_deltas(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", TWO)
    add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    repository.spoil("extras.json", Kind.CORRUPT)
    plan, _ = _update(client)
    assert plan.kind == "full"
    assert is_whole(client, "2.0.0", TWO)


def test_a_damaged_tree_is_not_patched_and_the_next_one_is(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    (client.home / "current" / "lib" / "data").write_bytes(NOISE[:29_999] + b"!")
    repository.publish("2.0.0", TWO)
    add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    plan, steps = _update(client)
    assert plan.kind == "full"
    assert is_whole(client, "2.0.0", TWO)
    assert len([step for step in steps if "is damaged" in step.text]) == 1


def test_the_next_best_way_is_taken_before_the_archive(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", TWO)
    direct = add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO), data=b"nothing of ours")
    other = add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO), algorithm=ZSTD)
    assert direct.size < other.size
    plan, _ = _update(client)
    assert _fetched(repository) == [direct.sha256, other.sha256]
    assert plan.kind == "delta"
    assert is_whole(client, "2.0.0", TWO)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"algorithm": "columns-9"}, "cannot read columns-9"),
        ({"memory_bytes": 1 << 50}, "bytes of memory"),
        ({"scratch_bytes": 1 << 50}, "no room on this disk"),
    ],
)
def test_what_this_machine_cannot_do_is_not_begun(
    client: SimulatedClient, repository: RepositorySimulator, change: dict[str, int], why: str
) -> None:
    def alter(delta: Delta) -> Delta:
        return replace(delta, **change)  # type: ignore[arg-type]

    repository.publish("2.0.0", TWO)
    delta = add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO), change=alter)
    plan, _ = _update(client)
    assert delta.sha256 not in _fetched(repository)
    assert [why in item.reason for item in plan.passed_over] == [True]
    assert is_whole(client, "2.0.0", TWO)


def test_a_delta_of_another_platform_or_tree_is_none_of_ours(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", TWO)
    strange = Sha256Hex("ab" * 32)
    add_delta(
        repository,
        ("1.1.0", ONE),
        ("2.0.0", TWO),
        change=lambda delta: replace(delta, from_tree_sha256=strange),
    )
    plan, _ = _update(client)
    assert plan.kind == "full"


def test_a_broken_off_delta_goes_on_where_it_broke_off(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", TWO)
    delta = add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    part = client.home / "state" / "downloads" / f"{delta.sha256}.part"
    data = repository.files[f"{repository.app}/{delta.path}"]
    part.write_bytes(data[:-5])
    before = repository.body_bytes
    plan, _ = _update(client)
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
    assert _fetched(repository) == []
    assert not any((client.home / "state" / "downloads").iterdir())


@pytest.mark.parametrize("content", [NOISE[:29_999] + b"!", b"short"])
def test_a_tree_that_changes_after_its_proof_is_not_held_against_the_delta(
    client: SimulatedClient, repository: RepositorySimulator, content: bytes
) -> None:
    repository.publish("2.0.0", TWO)
    add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO), algorithm=ZSTD)
    steps: list[Step] = []

    def change_it(event: Event) -> None:
        if isinstance(event, Step):
            steps.append(event)
            if event.name == "patching":
                (client.home / "current" / "lib" / "data").write_bytes(content)

    plan = client.updater.update(progress=change_it).plan
    assert plan is not None
    assert plan.kind == "full"
    assert is_whole(client, "2.0.0", TWO)
    assert [step.name for step in steps].count(StepName.PATCHING) == 1
    assert len([step for step in steps if "is damaged" in step.text]) == 1
    memory = json.loads((client.home / "state" / "memory.json").read_bytes())
    assert memory["failed_deltas"] == []


def test_what_failed_leaves_its_room_to_the_archive(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    """Where the disk is too small for both; that of a partial archive is not touched."""
    (artifact,) = repository.publish("2.0.0", TWO, tree_size=1 << 52).artifacts
    downloads = client.home / "state" / "downloads"
    mine, other = downloads / f"{artifact.sha256}.part", downloads / f"{'a' * 64}.part"
    for part in (mine, other):
        part.write_bytes(b"x")
    with pytest.raises(DiskFullError):
        client.update()
    assert mine.exists()
    assert not other.exists()


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
    plan, _ = _update(client)
    assert is_whole(client, "3.0.0", THREE)
    assert (plan.kind, client.runs()) == ("chain", "3.0.0")
    assert "2.0.0" not in client.versions()


def test_a_chain_does_not_lead_over_a_release_that_is_gone(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    _publish_chain(repository)
    repository.spoil("releases/2.0.0", Kind.STATUS, 404)
    plan, _ = _update(client)
    assert plan.kind == "full"
    assert is_whole(client, "3.0.0", THREE)


@pytest.mark.parametrize("memory_bytes", [0, 1 << 53])
def test_whatever_memory_a_delta_says_it_takes_the_update_arrives(
    client: SimulatedClient, repository: RepositorySimulator, memory_bytes: int
) -> None:
    repository.publish("2.0.0", TWO)
    change = partial(replace, memory_bytes=memory_bytes)
    add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO), change=change)
    plan, _ = _update(client)
    assert is_whole(client, "2.0.0", TWO)
    assert plan.kind == ("full" if memory_bytes else "delta")


@pytest.mark.parametrize("name", [b"cache-\xff", b"lib/cache"])
def test_a_program_that_writes_into_its_own_tree_gets_the_archive_and_is_told_before_any_delta(
    client: SimulatedClient, repository: RepositorySimulator, name: bytes
) -> None:
    tree = os.fsencode((client.home / "current").resolve())
    with open(os.path.join(tree, name), "wb") as cache:  # noqa: PTH118, PTH123 (bytes)
        cache.write(b"its own")
    repository.publish("2.0.0", TWO)
    delta = add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    plan, steps = _update(client)
    assert plan.kind == "full"
    assert is_whole(client, "2.0.0", TWO)
    assert delta.sha256 not in _fetched(repository)
    (warning,) = [step.text for step in steps if step.name == StepName.WARNING]
    assert "1.1.0 on this disk is damaged" in warning


def test_a_tree_that_nobody_may_write_is_patched(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    tree = (client.home / "current").resolve()
    for path in (*tree.rglob("*"), tree):
        path.chmod(path.stat().st_mode & ~0o222)
    repository.publish("2.0.0", TWO)
    add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    plan, _ = _update(client)
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
    plan, _ = _update(client)
    assert plan.kind == "delta"
    assert 0 < len(plan.passed_over) <= 20
