"""Whatever goes wrong with a delta, the update ends with the whole archive, in the same run."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import pytest

from lockgate_release.documents.delta import Delta
from lockgate_release.errors import DiskFullError
from lockgate_release.names import Sha256Hex
from lockgate_updater import Event, Step
from lockgate_updater.events import StepName
from tests.simulators.client import SimulatedClient, is_whole
from tests.simulators.faults import Kind
from tests.simulators.patching import ZSTD, add_delta, make_bytes
from tests.simulators.repository import RepositorySimulator
from tests.unit.updater.patching.updating import NOISE, ONE, THREE, TWO, fetched, update


@pytest.fixture
def client(client: SimulatedClient, repository: RepositorySimulator) -> SimulatedClient:
    """With 1.1.0 installed; 1.0.0 is another tree, kept beside it."""
    client.update()
    repository.publish("1.1.0", ONE)
    client.update()
    return client


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
    plan, _ = update(client)
    assert is_whole(client, "2.0.0", TWO)
    assert fetched(repository) == [document.artifacts[0].sha256]
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
    plan, steps = update(client)
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
    plan, _ = update(client)
    assert plan.kind == "full"
    assert is_whole(client, "2.0.0", TWO)


def test_a_damaged_tree_is_not_patched_and_the_next_one_is(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    (client.home / "current" / "lib" / "data").write_bytes(NOISE[:29_999] + b"!")
    repository.publish("2.0.0", TWO)
    add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO))
    plan, steps = update(client)
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
    plan, _ = update(client)
    assert fetched(repository) == [direct.sha256, other.sha256]
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
    plan, _ = update(client)
    assert delta.sha256 not in fetched(repository)
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
    plan, _ = update(client)
    assert plan.kind == "full"


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


@pytest.mark.parametrize("memory_bytes", [0, 1 << 53])
def test_whatever_memory_a_delta_says_it_takes_the_update_arrives(
    client: SimulatedClient, repository: RepositorySimulator, memory_bytes: int
) -> None:
    repository.publish("2.0.0", TWO)
    change = partial(replace, memory_bytes=memory_bytes)
    add_delta(repository, ("1.1.0", ONE), ("2.0.0", TWO), change=change)
    plan, _ = update(client)
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
    plan, steps = update(client)
    assert plan.kind == "full"
    assert is_whole(client, "2.0.0", TWO)
    assert delta.sha256 not in fetched(repository)
    (warning,) = [step.text for step in steps if step.name == StepName.WARNING]
    assert "1.1.0 on this disk is damaged" in warning
