"""Garbage collection beside kills, publishes and other collections, and as the worker's job."""

import contextlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.errors import (
    ConflictError,
    LockgateError,
    UsageError,
)
from lockgate_release.layout import condemned_key
from lockgate_release.requests import PublishRequest
from lockgate_server.ports import Always, IfAbsent, ObjectStore
from lockgate_server.services.write.condemned import CondemnedList
from lockgate_server.settings import ServerSettings
from lockgate_server.worker import jobs_for, run_round
from tests.simulators.collected_scene import (
    artifact_of,
    forked,
    gc,
    keys_of,
    old_enough,
    with_a_past,
)
from tests.simulators.faulty_store import (
    WRITE,
    KilledError,
    Moment,
    kill,
    meanwhile,
)
from tests.simulators.publisher import NOW
from tests.simulators.server_scene import APP, Scene


@pytest.mark.parametrize("moment", list(Moment))
def test_a_kill_at_any_write_leaves_a_complete_state_and_the_next_run_finishes(
    tmp_path: Path, moment: Moment
) -> None:
    origin = with_a_past(tmp_path)
    scene, faulty, inner = forked(origin)
    gc(scene)
    count, wanted = len(faulty.writes()), keys_of(scene)
    assert count >= 8
    for step in range(count):
        scene, faulty, inner = forked(origin)
        faulty.plan(kill(moment, WRITE, skip=step))
        with pytest.raises(KilledError):
            gc(scene)
        faulty.heal()
        assert scene.look(inner).live() == {"1.1.0", "1.2.0"}
        gc(scene)
        scene.look(inner)
        left = keys_of(scene)
        assert condemned_key(APP) not in left
        assert wanted - left == set()
        assert {key for key in left - wanted if "/metadata/" not in key} == set()
        assert scene.publish("1.3.0").changed


def republish(scene: Scene) -> PublishRequest:
    """A request that builds on an artifact and documents that are there and that nothing names."""
    publisher = scene.publisher
    publisher.now = NOW  # the very document of then
    build = publisher.build("1.0.0")
    publisher.now = scene.now
    return publisher.publish(scene.look().chain, build, offer=False)


def finish(scene: Scene, request: PublishRequest) -> str:
    """Send it, and say what came of it."""
    try:
        scene.send(request)
    except (ConflictError, UsageError) as exc:
        return exc.code
    return "done"


def calls_of(origin: Scene, act: Callable[[Scene], object]) -> list[tuple[str, str]]:
    scene, faulty, _ = forked(origin)
    before = len(faulty.calls)
    act(scene)
    return [(call.verb, call.key) for call in faulty.calls[before:]]


def strike(
    origin: Scene,
    place: int,
    calls: list[tuple[str, str]],
    other: Callable[[Scene], object],
    moment: Moment = Moment.BEFORE,
) -> tuple[Scene, ObjectStore]:
    """A scene in whose store `other` does something around the call at `place`."""
    scene, faulty, inner = forked(origin)
    rival = Scene(
        folder=scene.folder,
        now=scene.now,
        store=inner,
        ledger=scene.ledger,
        publisher=scene.publisher,
    )
    verb, key = calls[place]
    skip = calls[:place].count((verb, key))
    faulty.plan(meanwhile(verb, key, lambda: other(rival), moment=moment, skip=skip))
    return scene, inner


def test_a_collection_at_any_moment_of_a_publish_never_leaves_a_release_without_its_artifact(
    tmp_path: Path,
) -> None:
    origin = old_enough(tmp_path)
    calls = calls_of(origin, lambda scene: scene.send(republish(scene)))
    endings = set()
    for place in range(len(calls)):
        scene, inner = strike(origin, place, calls, lambda rival: gc(rival, timedelta(0)))
        ending = finish(scene, republish(scene))
        sight = scene.look(inner)
        assert ("1.0.0" in sight.live()) == (ending == "done")
        endings.add(ending)
    assert endings == {"done", "usage"}


def test_a_publish_at_any_moment_of_a_collection_never_loses_its_artifact(tmp_path: Path) -> None:
    origin = old_enough(tmp_path)
    calls = calls_of(origin, gc)
    endings = set()
    for place in range(len(calls)):
        told: list[str] = []

        def publish_meanwhile(rival: Scene, told: list[str] = told) -> None:
            told.append(finish(rival, republish(rival)))

        scene, inner = strike(origin, place, calls, publish_meanwhile)
        gc(scene)
        sight = scene.look(inner)
        assert told, calls[place]
        assert ("1.0.0" in sight.live()) == (told[0] == "done")
        endings.add(told[0])
    assert endings == {"done", "conflict", "usage"}


def collect_and_publish_anew(rival: Scene) -> None:
    gc(rival, timedelta(0))
    with contextlib.suppress(ConflictError):
        rival.upload(rival.publisher.build("1.0.0"))
        rival.send(republish(rival))


def test_a_collection_that_was_paused_takes_nothing_away_that_was_published_meanwhile(
    tmp_path: Path,
) -> None:
    origin = old_enough(tmp_path)
    calls = calls_of(origin, gc)
    overtaken = 0
    for place, call in enumerate(calls):
        if call == ("head", condemned_key(APP)):
            continue  # one request that is on its way cannot be called back
        scene, inner = strike(origin, place, calls, collect_and_publish_anew, Moment.AFTER)
        try:
            gc(scene)
        except ConflictError:
            overtaken += 1
        assert scene.look(inner).live() == {"1.0.0", "1.1.0", "1.2.0"}
        assert condemned_key(APP) not in keys_of(scene)
    assert overtaken


def test_the_worker_finishes_a_collection_that_broke_off(tmp_path: Path) -> None:
    scene, faulty, _ = forked(old_enough(tmp_path))
    faulty.plan(kill(Moment.BEFORE, "delete"))
    with pytest.raises(KilledError):
        gc(scene)
    faulty.heal()
    run_round(scene.deps(), "me")
    assert condemned_key(APP) in keys_of(scene), "it may still be somebody's work"
    scene.pass_time(scene.now + timedelta(minutes=16))
    run_round(scene.deps(), "me")
    assert condemned_key(APP) not in keys_of(scene)
    assert artifact_of(scene, "1.0.0") not in keys_of(scene)
    assert scene.look().live() == {"1.1.0", "1.2.0"}


def test_the_worker_collects_once_a_day_if_it_is_told_to(tmp_path: Path) -> None:
    scene = old_enough(tmp_path)
    run_round(scene.deps(), "me")
    assert artifact_of(scene, "1.0.0") in keys_of(scene), "off unless somebody says so"
    jobs = jobs_for(ServerSettings(data=tmp_path, gc_daily=True))
    run_round(scene.deps(), "me", jobs)
    assert artifact_of(scene, "1.0.0") not in keys_of(scene)
    artifact = artifact_of(scene, "9.0.0")
    scene.store.put(artifact, b"?", IfAbsent())
    scene.pass_time(scene.now + timedelta(days=8))
    run_round(scene.deps(), "me", jobs)
    assert artifact not in keys_of(scene)
    scene.store.put(artifact, b"?", IfAbsent())
    scene.pass_time(scene.now + timedelta(hours=23))
    before = len(scene.outcomes())
    run_round(scene.deps(), "me", jobs)
    assert [action for action, _ in scene.outcomes()[before:] if action == "gc"] == []


def test_a_list_that_somebody_has_spoilt_is_put_right(tmp_path: Path) -> None:
    scene = old_enough(tmp_path)
    scene.store.put(condemned_key(APP), b"not a list", IfAbsent())
    with pytest.raises(LockgateError):
        scene.publish("1.3.0")
    run_round(scene.deps(), "me")
    assert scene.publish("1.3.0").changed


def test_a_list_from_the_future_is_put_right_too(tmp_path: Path) -> None:
    scene = old_enough(tmp_path)
    since = scene.now + timedelta(days=300)
    build = scene.publisher.build("1.3.0")
    keys = frozenset(f"{APP}/artifacts/{sha256[:2]}/{sha256}" for sha256 in build.artifacts)
    planted = CondemnedList(app=APP, since=since, keys=keys)
    scene.store.put(condemned_key(APP), planted.to_bytes(), IfAbsent())
    with pytest.raises(ConflictError, match="being removed"):
        scene.publish("1.3.0")
    run_round(scene.deps(), "me")
    assert scene.publish("1.3.0").changed


def test_a_revocation_waits_for_no_collection(tmp_path: Path) -> None:
    scene, faulty, _ = forked(old_enough(tmp_path))
    faulty.plan(kill(Moment.BEFORE, "delete"))
    with pytest.raises(KilledError):
        gc(scene)
    faulty.heal()
    assert scene.revoke("1.2.0").changed
    scene.store.put(condemned_key(APP), b"not a list", Always())
    assert scene.revoke("1.1.0").changed
