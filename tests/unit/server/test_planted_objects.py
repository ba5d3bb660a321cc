"""Whoever can write into the bucket plants rubbish where the server looks: nothing is blocked."""

from pathlib import Path

import pytest

from lockgate_release.errors import ConflictError
from lockgate_release.layout import channel_copy_key, condemned_key, metadata_key
from lockgate_release.trust.roles import Role
from lockgate_server.ports import Always
from lockgate_server.services.collect.collecting import DEFAULT_GRACE, look_over
from lockgate_server.services.collect.jobs import finish_collection
from lockgate_server.services.collect.verifying import verify_app
from lockgate_server.services.objects import MAX_METADATA_BYTES
from lockgate_server.services.write.copies import repair_copies
from tests.simulators.collected_scene import gc, keys_of, old_enough
from tests.simulators.server_scene import APP, CALLER, STABLE, Scene, read_all

RUBBISH = {
    "too large": b" " * (2 * MAX_METADATA_BYTES + 1),
    "no document": b"{}",
    "no JSON": b"\xff\xfe",
}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return old_enough(tmp_path)


@pytest.fixture(params=RUBBISH)
def rubbish(request: pytest.FixtureRequest) -> bytes:
    return RUBBISH[request.param]


def numbers_around(scene: Scene) -> list[str]:
    """Every number of every role just above the state in force, and one snapshot below it."""
    chain = scene.look().chain
    above = [
        metadata_key(APP, role, getattr(chain, role.value).version + 1)
        for role in Role
        if role not in {Role.TIMESTAMP, Role.ROOT}
    ]
    return [*above, metadata_key(APP, Role.SNAPSHOT, chain.snapshot.version - 1)]


def test_what_is_planted_as_the_list_of_what_goes_blocks_nobody(
    scene: Scene, rubbish: bytes
) -> None:
    plant = condemned_key(APP)
    scene.store.put(plant, rubbish, Always())
    scene.revoke("1.1.0")
    with pytest.raises(ConflictError, match="spoilt"):
        scene.publish("1.3.0")
    finish_collection(scene.deps(), APP, CALLER)
    assert plant not in keys_of(scene)
    scene.publish("1.3.0")


def test_what_is_planted_at_the_numbers_around_the_state_keeps_nobody_from_collecting(
    scene: Scene, rubbish: bytes
) -> None:
    for key in numbers_around(scene):
        scene.store.put(key, rubbish, Always())
    look_over(scene.deps(), APP, grace=DEFAULT_GRACE)
    gc(scene)
    assert verify_app(scene.deps(), APP).is_whole
    scene.publish("1.3.0")
    assert "1.3.0" in scene.look().live()


def test_what_is_planted_as_the_copy_of_a_channel_is_put_right(
    scene: Scene, rubbish: bytes
) -> None:
    key = channel_copy_key(APP, STABLE)
    right = read_all(scene.store, key)
    scene.store.put(key, rubbish, Always())
    assert repair_copies(scene.deps(), APP) == 1
    assert read_all(scene.store, key) == right
