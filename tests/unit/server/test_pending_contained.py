"""What somebody else began gives way only to what leaves its floors and documents as they are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.documents import ExtrasDocument, ReleaseEntry
from lockgate_release.errors import DeniedError
from lockgate_release.layout import extras_path, release_path
from lockgate_release.requests import PublishRequest
from lockgate_server.services.write.pending import begin
from tests.simulators.pending_scene import CI, PEOPLE, request_of, shared_scene, start, waiting
from tests.simulators.server_scene import APP, Scene

EXTRAS = extras_path("0.9.0")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return shared_scene(tmp_path)


def _noting(scene: Scene, notes: str) -> PublishRequest:
    """Change the extras of a release that is live."""
    extras = ExtrasDocument(app=APP, version="0.9.0", notes=notes).to_bytes()
    documents = {EXTRAS: extras}
    releases = scene.publisher.next_releases(scene.look().chain, lambda _: None, documents)
    return PublishRequest(releases=releases, documents=documents)


def _hold(floors: dict[str, str]) -> dict[str, Any]:
    return {"floors": floors, "offer": False}


def test_a_floor_that_somebody_raised_is_not_taken_out_nor_lowered(scene: Scene) -> None:
    first = start(scene, "1.0.0", **_hold({"stable": "0.9.0"}))
    for floors in ({}, {"stable": "0.8.9"}, {"beta": "0.9.0"}):
        lower = request_of(
            scene, scene.prepare("1.0.0", **_hold(floors)), instead_of=first.change_id
        )
        with pytest.raises(DeniedError, match=r"would take out.*the marks that it gives"):
            begin(scene.deps(), APP, lower, PEOPLE[1])
    assert waiting(scene) == [first.change_id]
    raised = scene.prepare("1.0.0", **_hold({"stable": "1.0.0"}))
    higher = begin(
        scene.deps(), APP, request_of(scene, raised, instead_of=first.change_id), PEOPLE[1]
    )
    assert waiting(scene) == [higher.change_id]


def test_what_somebody_added_to_a_live_release_is_not_put_back(scene: Scene) -> None:
    first = begin(scene.deps(), APP, request_of(scene, _noting(scene, "proven")), CI)
    without = request_of(scene, scene.prepare("1.1.0"), instead_of=first.change_id)
    with pytest.raises(DeniedError, match=rf"would take out.*{EXTRAS} as it changes it"):
        begin(scene.deps(), APP, without, PEOPLE[1])
    assert waiting(scene) == [first.change_id]
    further = request_of(scene, _noting(scene, "proven, and more"), instead_of=first.change_id)
    joined = begin(scene.deps(), APP, further, PEOPLE[1])
    assert waiting(scene) == [joined.change_id]
    maintainer = replace(PEOPLE[0], is_maintainer=True)
    plain = replace(without, instead_of=joined.change_id)
    taken = begin(scene.deps(), APP, plain, maintainer)
    assert waiting(scene) == [taken.change_id]


def test_a_live_release_that_somebody_added_to_is_not_retired_in_its_place(scene: Scene) -> None:
    scene.publish("1.0.0")
    first = begin(scene.deps(), APP, request_of(scene, _noting(scene, "proven")), CI)

    def retire(entries: dict[str, ReleaseEntry]) -> None:
        del entries[release_path("0.9.0")]

    without = PublishRequest(releases=scene.publisher.next_releases(scene.look().chain, retire))
    request = request_of(scene, without, instead_of=first.change_id)
    with pytest.raises(DeniedError, match=rf"would take out.*{EXTRAS} as it changes it"):
        begin(scene.deps(), APP, request, PEOPLE[1])
    assert waiting(scene) == [first.change_id]
