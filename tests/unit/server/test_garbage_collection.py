"""Garbage collection: what is needed stays, the rest goes, and no kill or race changes that."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import (
    ConflictError,
    LockgateError,
    StaleMirrorError,
    TransportError,
    UsageError,
)
from lockgate_release.layout import condemned_key, timestamp_key
from lockgate_release.requests import PublishRequest
from lockgate_release.trust.chain import load_chain
from lockgate_server.ports import Always, IfAbsent, ObjectInfo, ObjectStore
from lockgate_server.services.collect.collecting import (
    DEFAULT_GRACE,
    Collected,
    collect,
    look_over,
)
from lockgate_server.services.collect.reachability import Why
from lockgate_server.services.write.condemned import CondemnedList
from lockgate_server.services.write.renewing import renew, resign
from lockgate_server.settings import ServerSettings
from lockgate_server.worker import jobs_for, run_round
from tests.simulators.faulty_store import (
    WRITE,
    FaultyStore,
    KilledError,
    Moment,
    kill,
    meanwhile,
)
from tests.simulators.memory_store import MemoryStore
from tests.simulators.publisher import NOW
from tests.simulators.server_scene import APP, CALLER, Scene, read_all

LATER = NOW + timedelta(days=40)
"""When every snapshot that was signed at NOW has expired."""


def clocked(folder: Path) -> Scene:
    """A scene whose store dates what it is given by the scene's own time."""
    scene = Scene(folder=folder)
    scene.store = MemoryStore(clock=lambda: scene.now)
    return scene


def with_a_past(folder: Path) -> Scene:
    """1.0.0 was published and retired long ago; 1.1.0 and 1.2.0 are live."""
    scene = clocked(folder)
    scene.register()
    scene.publish("1.0.0")
    scene.publish("1.1.0")
    scene.send(scene.publisher.retire(scene.look().chain, "1.0.0"))
    scene.pass_time(LATER)
    resign(scene.deps(), APP, CALLER)
    scene.publish("1.2.0")
    return scene


def forked(scene: Scene) -> tuple[Scene, FaultyStore, MemoryStore]:
    """The same state, with the same ages, in a store that can be told to fail."""
    assert isinstance(scene.store, MemoryStore)
    fork = scene.fork()
    inner = MemoryStore(clock=lambda: fork.now, objects=dict(scene.store.objects))
    inner._writes = scene.store._writes
    faulty = FaultyStore(inner)
    fork.store = faulty
    return fork, faulty, inner


def gc(scene: Scene, grace: timedelta = DEFAULT_GRACE) -> Collected:
    return collect(scene.deps(), APP, CALLER, grace=grace)


def keys_of(scene: Scene) -> set[str]:
    return {info.key for info in scene.store.list("")}


def reasons(found: Collected) -> dict[str, Why]:
    return {verdict.info.key.removeprefix(f"{APP}/"): verdict.why for verdict in found.verdicts}


def going(found: Collected) -> set[str]:
    return {verdict.info.key for verdict in found.verdicts if verdict.goes}


def artifact_of(scene: Scene, version: str) -> str:
    (sha256,) = scene.publisher.build(version).artifacts
    return f"{APP}/artifacts/{sha256[:2]}/{sha256}"


def test_what_nothing_names_any_more_goes_and_the_rest_still_verifies(tmp_path: Path) -> None:
    scene = with_a_past(tmp_path)
    before = keys_of(scene)
    found = gc(scene)
    assert artifact_of(scene, "1.0.0") not in keys_of(scene)
    assert len(found.removed) == len(before) - len(keys_of(scene) & before)
    assert scene.look().live() == {"1.1.0", "1.2.0"}
    assert condemned_key(APP) not in keys_of(scene)
    assert scene.outcomes()[-1] == ("gc", "done")
    assert not gc(scene).removed


def test_a_dry_run_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    scene, faulty, inner = forked(with_a_past(tmp_path))
    planned = look_over(scene.deps(), APP, grace=DEFAULT_GRACE)
    assert not faulty.writes()
    assert not planned.removed
    assert going(planned) == going(gc(scene)) != set()
    assert not going(planned) & {info.key for info in inner.list("")}


def test_metadata_that_a_valid_older_snapshot_names_stays_and_so_does_what_it_names(
    tmp_path: Path,
) -> None:
    scene = clocked(tmp_path)
    scene.register()
    scene.publish("1.0.0")
    held = read_all(scene.store, timestamp_key(APP))
    scene.publish("1.1.0")
    scene.send(scene.publisher.retire(scene.look().chain, "1.0.0"))
    scene.pass_time(NOW + timedelta(days=6))
    gc(scene, grace=timedelta(0))
    chain = load_chain(
        lambda name: (
            held if name == "timestamp.json" else read_all(scene.store, f"{APP}/metadata/{name}")
        ),
        scene.publisher.root,
        now=scene.now,
    )
    assert {entry.version for entry in chain.entries().values()} == {"1.0.0"}
    assert read_all(scene.store, artifact_of(scene, "1.0.0")) is not None
    assert (
        reasons(look_over(scene.deps(), APP, grace=timedelta(0)))[
            artifact_of(scene, "1.0.0").removeprefix(f"{APP}/")
        ]
        is Why.OLDER
    )


@dataclass
class BehindStore(MemoryStore):
    """Lists objects as they were a while ago."""

    hidden: str = ""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return (info for info in super().list(prefix) if not fnmatchcase(info.key, self.hidden))


def test_a_snapshot_that_is_not_listed_yet_keeps_what_it_names(tmp_path: Path) -> None:
    scene = clocked(tmp_path)
    scene.register()
    scene.publish("1.0.0")
    scene.publish("1.1.0")
    scene.send(scene.publisher.retire(scene.look().chain, "1.0.0"))
    scene.pass_time(NOW + timedelta(days=6))
    assert isinstance(scene.store, MemoryStore)
    objects = scene.store.objects
    scene.store = BehindStore(objects=objects, hidden="*/[23].snapshot.json")
    gc(scene, grace=timedelta(0))
    assert artifact_of(scene, "1.0.0") in objects


def test_a_list_without_what_is_in_force_is_not_believed(tmp_path: Path) -> None:
    scene = old_enough(tmp_path)
    assert isinstance(scene.store, MemoryStore)
    number = scene.look().chain.snapshot.version
    before = dict(scene.store.objects)
    scene.store = BehindStore(objects=dict(before), hidden=f"*/{number}.snapshot.json")
    with pytest.raises(TransportError, match="behind"):
        gc(scene)
    assert scene.store.objects == before


def test_an_older_snapshot_that_nobody_signed_keeps_nothing(tmp_path: Path) -> None:
    scene = with_a_past(tmp_path)
    forged = f"{APP}/metadata/2.snapshot.json"
    scene.store.put(forged, b'{"signed": {}}', Always())
    assert reasons(look_over(scene.deps(), APP, grace=timedelta(0)))[
        "metadata/2.snapshot.json"
    ] in {Why.PASSED, Why.YOUNG}


def test_every_root_stays_for_ever(tmp_path: Path) -> None:
    scene = with_a_past(tmp_path)
    renew(scene.deps(), APP, scene.publisher.renew(scene.look().chain, "root"), CALLER)
    scene.pass_time(LATER + timedelta(days=60))
    resign(scene.deps(), APP, CALLER)
    found = reasons(gc(scene, grace=timedelta(0)))
    assert {found["metadata/1.root.json"], found["metadata/2.root.json"]} == {Why.ROOT}
    assert scene.look().chain.root.version == 2


def test_what_lockgate_never_wrote_is_left_alone_and_listed(tmp_path: Path) -> None:
    scene = with_a_past(tmp_path)
    strange = ["notes.txt", "metadata/1.previews.json", "artifacts/ab/README", "targets/x/y.json"]
    for name in strange:
        scene.store.put(f"{APP}/{name}", b"?", IfAbsent())
    scene.pass_time(LATER + timedelta(days=60))
    resign(scene.deps(), APP, CALLER)
    found = reasons(gc(scene, grace=timedelta(0)))
    assert {found[name] for name in strange} == {Why.UNKNOWN}
    assert {f"{APP}/{name}" for name in strange} <= keys_of(scene)


def test_what_is_younger_than_the_grace_time_stays(tmp_path: Path) -> None:
    scene = with_a_past(tmp_path)
    scene.upload(scene.publisher.build("2.0.0"))
    scene.store.put(f"{APP}/uploads/{'ab' * 16}", b"part", IfAbsent())
    found = reasons(gc(scene))
    name = artifact_of(scene, "2.0.0").removeprefix(f"{APP}/")
    assert (found[name], found[f"uploads/{'ab' * 16}"]) == (Why.YOUNG, Why.YOUNG)
    scene.pass_time(LATER + timedelta(days=8))
    after = reasons(gc(scene))
    assert (after[name], after[f"uploads/{'ab' * 16}"]) == (Why.UNREACHED, Why.LEFT_OVER)
    assert artifact_of(scene, "2.0.0") not in keys_of(scene)


def test_numbers_above_those_in_force_stay_taken(tmp_path: Path) -> None:
    scene = with_a_past(tmp_path)
    number = scene.look().chain.snapshot.version + 5
    scene.store.put(f"{APP}/metadata/{number}.snapshot.json", b"{}", IfAbsent())
    scene.pass_time(LATER + timedelta(days=20))
    assert reasons(gc(scene, grace=timedelta(0)))[f"metadata/{number}.snapshot.json"] is Why.TAKEN


def test_the_copy_of_a_channel_stays(tmp_path: Path) -> None:
    scene = with_a_past(tmp_path)
    scene.pass_time(LATER + timedelta(days=20))
    gc(scene, grace=timedelta(0))
    assert f"{APP}/channels/stable/version.json" in keys_of(scene)


def test_what_is_signed_as_next_and_waits_for_an_artifact_keeps_its_documents(
    tmp_path: Path,
) -> None:
    scene = with_a_past(tmp_path)
    request = scene.prepare("2.0.0")
    assert request.releases is not None
    number = scene.look().chain.releases.version + 1
    scene.store.put(f"{APP}/metadata/{number}.releases.json", request.releases, IfAbsent())
    for path, data in request.documents.items():
        folder, _, name = path.rpartition("/")
        key = f"{APP}/targets/{folder}/{digest_bytes(data)}.{name}"
        scene.store.put(key, data, IfAbsent())
    scene.pass_time(LATER + timedelta(days=20))
    found = look_over(scene.deps(), APP, grace=timedelta(0))
    assert reasons(found)[f"metadata/{number}.releases.json"] is Why.PENDING
    assert artifact_of(scene, "2.0.0") not in going(found)
    gc(scene, grace=timedelta(0))
    assert "2.0.0" in scene.look().live(), "what was signed and complete was finished first"


def test_a_store_that_was_put_back_is_not_collected(tmp_path: Path) -> None:
    scene = with_a_past(tmp_path)
    assert isinstance(scene.store, MemoryStore)
    older = dict(scene.store.objects)
    scene.publish("1.3.0")
    scene.store.objects = older
    before = keys_of(scene)
    with pytest.raises(StaleMirrorError, match="put back"):
        gc(scene)
    with pytest.raises(StaleMirrorError, match="put back"):
        look_over(scene.deps(), APP, grace=DEFAULT_GRACE)
    assert keys_of(scene) == before


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


def old_enough(tmp_path: Path) -> Scene:
    scene = with_a_past(tmp_path)
    scene.pass_time(LATER + timedelta(days=1))
    return scene


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
