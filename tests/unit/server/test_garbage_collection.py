"""Garbage collection: what is needed stays, the rest goes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import StaleMirrorError, TransportError, UsageError
from lockgate_release.layout import artifact_key, artifact_path, condemned_key, timestamp_key
from lockgate_release.strict_json import JsonObject
from lockgate_release.trust.chain import load_chain
from lockgate_server.ports import Always, IfAbsent, ObjectInfo
from lockgate_server.services.collect.collecting import (
    DEFAULT_GRACE,
    look_over,
)
from lockgate_server.services.collect.reachability import Why
from lockgate_server.services.collect.verifying import verify_app
from lockgate_server.services.write.renewing import renew, resign
from tests.simulators.collected_scene import (
    LATER,
    artifact_of,
    clocked,
    forked,
    gc,
    going,
    keys_of,
    old_enough,
    reasons,
    with_a_past,
)
from tests.simulators.extras import a_delta, an_attestation
from tests.simulators.memory_store import MemoryStore
from tests.simulators.publisher import NOW
from tests.simulators.server_scene import APP, CALLER, read_all


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


def test_what_the_extras_of_a_live_release_name_stays(tmp_path: Path) -> None:
    scene = with_a_past(tmp_path)
    delta, proof = digest_bytes(b"a delta"), digest_bytes(b"a proof")
    build = scene.publisher.build("1.3.0")
    extras = replace(
        build.extras,
        deltas=(a_delta(delta, size=len(b"a delta")),),
        attestations=(an_attestation(proof, size=len(b"a proof")),),
    )
    build = replace(build, extras=extras)
    scene.upload(build)
    for sha256, data in ((delta, b"a delta"), (proof, b"a proof")):
        scene.store.put(artifact_key(APP, sha256), data, IfAbsent())
    scene.send(scene.publisher.publish(scene.look().chain, build))
    scene.pass_time(LATER + timedelta(days=20))
    found = look_over(scene.deps(), APP, grace=timedelta(0))
    assert artifact_of(scene, "1.3.0") not in going(found)
    assert not going(found) & {artifact_key(APP, delta), artifact_key(APP, proof)}


def test_what_only_a_newer_version_has_a_word_for_stays_and_must_be_there(tmp_path: Path) -> None:
    scene = with_a_past(tmp_path)
    new, deep = digest_bytes(b"a new kind"), digest_bytes(b"deep inside")
    build = scene.publisher.build("1.3.0")
    unknown: JsonObject = {
        "sboms": [{"path": artifact_path(new), "sha256": new, "size": 10}],
        "later": {"any": [["x", {"where": artifact_path(deep)}]]},
    }
    build = replace(build, extras=replace(build.extras, unknown=unknown))
    scene.upload(build)
    with pytest.raises(UsageError, match="the file that it names is not on the server"):
        scene.send(scene.publisher.publish(scene.look().chain, build))
    for sha256, data in ((new, b"a new kind"), (deep, b"deep inside")):
        scene.store.put(artifact_key(APP, sha256), data, IfAbsent())
    scene.send(scene.publisher.publish(scene.look().chain, build))
    scene.pass_time(LATER + timedelta(days=20))
    gc(scene, grace=timedelta(0))
    assert {artifact_key(APP, new), artifact_key(APP, deep)} <= keys_of(scene)
    assert verify_app(scene.deps(), APP).is_whole
    scene.store.delete(artifact_key(APP, deep))
    assert not verify_app(scene.deps(), APP).is_whole


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
