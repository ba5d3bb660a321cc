"""From which of the last releases deltas lead to what is offered, as status says it."""

from pathlib import Path

import pytest

from lockgate_release.layout import target_key
from lockgate_release.names import Sha256Hex
from lockgate_server.services.write.delta_words import describe_deltas
from lockgate_server.services.write.status import read_current
from tests.simulators.server_scene import APP, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(folder=tmp_path)
    scene.register()
    return scene


def said(scene: Scene) -> list[tuple[object, ...]]:
    found = describe_deltas(scene.deps(), read_current(scene.deps(), APP))
    return [tuple(item.values()) for item in found]


def test_of_many_releases_the_last_five_count(scene: Scene) -> None:
    scene.publish("1.0.0")
    assert said(scene) == []
    for number in range(9, 16):
        scene.publish(f"1.{number}.0")
    recent = [f"1.{number}.0" for number in range(14, 9, -1)]
    assert said(scene) == [("stable", "1.15.0", recent, [])]


def test_extras_that_are_gone_are_somebody_elses_to_tell_of(scene: Scene) -> None:
    scene.publish("1.0.0")
    scene.publish("1.1.0")
    path = "releases/1.1.0/extras.json"
    target = scene.look().chain.target(path)
    assert target is not None
    scene.store.delete(target_key(APP, path, Sha256Hex(target.hashes["sha256"])))
    assert said(scene) == []
