"""The store is read as a hostile mirror: nothing is signed on top of what somebody has changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate_release.errors import (
    ConflictError,
    LockgateError,
    RepositoryError,
    StaleMirrorError,
    TrustError,
)
from lockgate_release.layout import artifact_key, metadata_key, timestamp_key
from lockgate_release.requests import PublishRequest
from lockgate_server.ports import Always, Highest, Intent, ObjectStore
from lockgate_server.services.write.apps import register
from lockgate_server.services.write.copies import repair_copies
from lockgate_server.services.write.renewing import renew, resign
from lockgate_server.services.write.status import read_current
from tests.simulators.memory_ledger import MemoryLedger
from tests.simulators.memory_store import MemoryStore
from tests.simulators.server_scene import APP, CALLER, Scene, read_all


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(folder=tmp_path)
    scene.register()
    scene.publish("1.0.0")
    return scene


def files_of(store: ObjectStore) -> dict[str, bytes]:
    found = {info.key: read_all(store, info.key) for info in store.list("")}
    return {key: data for key, data in found.items() if data is not None}


def put_back(scene: Scene, files: dict[str, bytes]) -> None:
    for info in list(scene.store.list("")):
        scene.store.delete(info.key)
    for key, data in files.items():
        scene.store.put(key, data, Always())


CHANGES: list[Callable[[Scene], object]] = [
    lambda scene: scene.revoke("1.0.0"),
    lambda scene: scene.roll("1.0.0", "pause"),
    lambda scene: scene.send(scene.publisher.offer("1.0.0", "stable", 5)),
    lambda scene: resign(scene.deps(), APP, CALLER),
    lambda scene: repair_copies(scene.deps(), APP),
    lambda scene: read_current(scene.deps(), APP),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_store_that_was_put_back_is_not_built_upon(
    scene: Scene, change: Callable[[Scene], object]
) -> None:
    older = files_of(scene.store)
    scene.publish("1.1.0")
    put_back(scene, older)
    with pytest.raises(StaleMirrorError, match="put back to an older state"):
        change(scene)
    assert files_of(scene.store) == older


def test_a_list_signed_for_the_older_state_is_refused_too(scene: Scene) -> None:
    older = files_of(scene.store)
    request = scene.prepare("1.1.0")
    scene.publish("1.2.0")
    put_back(scene, older)
    with pytest.raises(StaleMirrorError):
        scene.send(request)


def test_only_the_pointer_put_back_is_enough_to_be_refused(scene: Scene) -> None:
    older = read_all(scene.store, timestamp_key(APP))
    assert older is not None
    scene.revoke("1.0.0")
    scene.store.put(timestamp_key(APP), older, Always())
    with pytest.raises(StaleMirrorError, match="timestamp"):
        scene.publish("1.1.0")


def test_a_root_that_was_taken_away_is_missed(scene: Scene) -> None:
    renew(scene.deps(), APP, scene.publisher.renew(scene.look().chain, "root"), CALLER)
    scene.store.delete(metadata_key(APP, "root", 2))
    with pytest.raises(StaleMirrorError, match="root"):
        scene.revoke("1.0.0")


def test_a_store_that_was_emptied_is_refused(scene: Scene) -> None:
    request = scene.publisher.register(scene.deps().keys.create(APP))
    put_back(scene, {})
    with pytest.raises(StaleMirrorError, match="the store has lost its state"):
        scene.revoke("1.0.0")
    with pytest.raises(LockgateError):
        register(scene.deps(), APP, request, CALLER)
    assert files_of(scene.store) == {}


def test_a_database_that_was_lost_signs_nothing_for_what_is_in_the_store(scene: Scene) -> None:
    scene.ledger = MemoryLedger()
    before = files_of(scene.store)
    request = scene.publisher.register(scene.deps().keys.create(APP))
    with pytest.raises(ConflictError, match="an app that the database does not know"):
        register(scene.deps(), APP, request, CALLER)
    scene.ledger.pin_app(APP, request.root)
    with pytest.raises(LockgateError):
        scene.revoke("1.0.0")
    assert files_of(scene.store) == before


def test_an_app_that_is_pinned_and_not_recorded_is_refused(scene: Scene) -> None:
    scene.ledger = MemoryLedger()
    scene.ledger.pin_app(APP, scene.publisher.root)
    with pytest.raises(StaleMirrorError, match="the database does not know this app's state"):
        scene.revoke("1.0.0")


def test_a_timestamp_by_another_key_is_refused(scene: Scene, tmp_path: Path) -> None:
    other = Scene(folder=tmp_path / "other")
    other.register()
    forged = read_all(other.store, timestamp_key(APP))
    assert forged is not None
    scene.store.put(timestamp_key(APP), forged, Always())
    with pytest.raises(TrustError, match="cannot be verified"):
        scene.revoke("1.0.0")


@pytest.mark.parametrize("role", ["snapshot", "releases", "channels", "targets"])
@pytest.mark.parametrize("damage", [lambda data: data[:-2], lambda _: b"{}", lambda _: None])
def test_metadata_that_was_changed_or_taken_away_is_refused(
    scene: Scene, role: str, damage: Callable[[bytes], bytes | None]
) -> None:
    number = getattr(scene.look().chain, role).version
    key = metadata_key(APP, role, number)
    data = read_all(scene.store, key)
    assert data is not None
    scene.store.delete(key)
    damaged = damage(data)
    if damaged is not None:
        scene.store.put(key, damaged, Always())
    before = files_of(scene.store)
    with pytest.raises(RepositoryError):
        scene.revoke("1.0.0")
    assert files_of(scene.store) == before


@pytest.mark.parametrize("name", ["version.json", "policy.json"])
def test_a_document_that_was_changed_or_taken_away_is_refused(scene: Scene, name: str) -> None:
    (key,) = [
        key for key in files_of(scene.store) if "/targets/" in key and key.endswith(f".{name}")
    ]
    data = read_all(scene.store, key)
    assert data is not None
    scene.store.put(key, data.replace(b"demo", b"dem0"), Always())
    with pytest.raises(RepositoryError, match="not the bytes that were signed"):
        scene.revoke("1.0.0")
    scene.store.delete(key)
    with pytest.raises(TrustError, match="missing from the store"):
        scene.revoke("1.0.0")


def test_rubbish_at_the_servers_own_numbers_is_stepped_over(scene: Scene) -> None:
    chain = scene.look().chain
    for role in ("snapshot", "channels"):
        for step in (1, 2):
            key = metadata_key(APP, role, getattr(chain, role).version + step)
            scene.store.put(key, b"rubbish", Always())
    scene.publish("1.1.0")
    assert scene.look().chain.snapshot.version == chain.snapshot.version + 3


def test_a_content_address_with_other_content_is_told_of(scene: Scene) -> None:
    request = scene.prepare("1.1.0")
    trial = scene.fork()
    trial.send(request)
    added = set(files_of(trial.store)) - set(files_of(scene.store))
    (key,) = [key for key in added if key.endswith(".release.json")]
    scene.store.put(key, b"other", Always())
    with pytest.raises(RepositoryError, match="a content address holds other content"):
        scene.send(request)
    assert scene.look().live() == {"1.0.0"}


def test_a_forged_copy_with_a_high_sequence_is_put_right(scene: Scene) -> None:
    key = f"{APP}/channels/stable/version.json"
    good = read_all(scene.store, key)
    assert good is not None
    scene.store.put(key, good.replace(b'"sequence":1', b'"sequence":999'), Always())
    assert repair_copies(scene.deps(), APP) == 1
    assert read_all(scene.store, key) == good


def test_recorded_numbers_are_never_lowered_by_an_older_writer(scene: Scene) -> None:
    newest = scene.highest()
    older = Highest(root=1, timestamp=1, snapshot=1, releases=1, sequences={})
    intent = Intent(app=APP, actor="x", action="x", details={}, request_id="", timestamp_sha256="")
    scene.ledger.finish(scene.ledger.begin(intent, now=scene.now), older)
    assert scene.highest() == newest


def test_an_object_that_is_far_too_large_is_not_read(scene: Scene) -> None:
    store = scene.store
    assert isinstance(store, MemoryStore)
    store.put(timestamp_key(APP), bytes((32 << 20) + 1), Always())
    with pytest.raises(RepositoryError, match="too large"):
        scene.send(PublishRequest())


def test_an_artifact_that_was_cut_short_in_the_store_is_not_called_present(scene: Scene) -> None:
    build = scene.publisher.build("1.1.0")
    ((sha256, data),) = build.artifacts.items()
    scene.store.put(artifact_key(APP, sha256), data[:-1], Always())
    with pytest.raises(RepositoryError, match="a content address holds other content"):
        scene.upload(build)
