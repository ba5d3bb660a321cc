"""Bytes in the way at the next number block nobody: finished, stepped over, or replaced."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import ConflictError, TransportError
from lockgate_release.layout import metadata_key
from lockgate_release.trust.keys import generate_signer
from lockgate_server.ports import Always
from lockgate_server.services.write.renewing import renew
from tests.simulators.faulty_store import FaultyStore, Moment, meanwhile, time_out
from tests.simulators.memory_store import MemoryStore
from tests.simulators.server_scene import APP, CALLER, Scene, read_all

FORGED = b'{"signed": {}, "signatures": []}'


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(folder=tmp_path)
    scene.register()
    scene.publish("0.9.0")
    scene.publish("1.0.0")
    return scene


def next_key(scene: Scene, role: str = "releases") -> str:
    return metadata_key(APP, role, getattr(scene.look().chain, role).version + 1)


def plant(scene: Scene, data: bytes, role: str = "releases") -> str:
    key = next_key(scene, role)
    scene.store.put(key, data, Always())
    return key


def faulty(scene: Scene) -> FaultyStore:
    scene.store = FaultyStore(scene.store)
    return scene.store


def replaced(scene: Scene) -> list[object]:
    """What the audit log says was written over, oldest first."""
    entries = reversed(scene.ledger.audit(APP, limit=1000))
    return [e.intent.details["replaces"] for e in entries if "replaces" in e.intent.details]


def signed_by_strangers(scene: Scene) -> bytes:
    chain = scene.look().chain
    targets = chain.releases.signed.targets
    return scene.publisher.sign_releases(chain, targets, signers=[generate_signer()])


def against_a_rule(scene: Scene) -> bytes:
    request = scene.publisher.retire(scene.look().chain, "1.0.0")
    assert request.releases is not None
    return request.releases


JUNK: dict[str, Callable[[Scene], bytes]] = {
    "no metadata": lambda _: b"rubbish",
    "not signed": lambda _: FORGED,
    "signed by a key that may not": signed_by_strangers,
    "an older list": lambda scene: scene.look().chain.releases.data,
    "another role": lambda scene: scene.look().chain.targets.data,
    "against a rule, by all publishers": against_a_rule,
    "too large to be read": lambda _: bytes((32 << 20) + 1),
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_what_nobody_can_put_in_force_is_written_over_and_the_log_says_so(
    scene: Scene, junk: Callable[[Scene], bytes]
) -> None:
    data = junk(scene)
    key = plant(scene, data)
    scene.publish("1.1.0")
    assert scene.look().live() == {"0.9.0", "1.0.0", "1.1.0"}
    assert read_all(scene.store, key) == scene.look().chain.releases.data
    (said,) = replaced(scene)
    assert key in str(said)
    assert digest_bytes(data) in str(said) or len(data) > 32 << 20


def test_who_does_not_need_the_number_leaves_it_alone(scene: Scene) -> None:
    key = plant(scene, FORGED)
    scene.revoke("1.0.0")
    assert scene.look().revoked() == ["1.0.0"]
    assert read_all(scene.store, key) == FORGED
    assert replaced(scene) == []


def test_a_number_of_targets_is_not_burnt_either(scene: Scene) -> None:
    request = scene.publisher.renew(scene.look().chain, "targets")
    plant(scene, FORGED, "targets")
    renew(scene.deps(), APP, request, CALLER)
    assert scene.look().chain.targets.data == request.metadata


@pytest.mark.parametrize("role", ["snapshot", "channels"])
def test_old_words_of_the_server_under_a_new_number_are_stepped_over(
    scene: Scene, role: str
) -> None:
    current = getattr(scene.look().chain, role)
    key = plant(scene, current.data, role)
    scene.publish("1.1.0")
    assert read_all(scene.store, key) == current.data
    assert getattr(scene.look().chain, role).version == current.version + 2


def test_a_list_that_took_the_place_meanwhile_is_not_written_over(scene: Scene) -> None:
    inner = scene.store
    other = Scene(folder=scene.folder, store=inner, ledger=scene.ledger, publisher=scene.publisher)
    key = plant(scene, FORGED)
    mine, theirs = scene.prepare("1.1.0"), scene.prepare("1.2.0")
    faulty(scene).plan(meanwhile("put", key, lambda: other.send(theirs)))
    with pytest.raises(ConflictError, match="somebody else published first"):
        scene.send(mine)
    assert read_all(inner, key) == theirs.releases
    assert scene.look(inner).live() == {"0.9.0", "1.0.0", "1.2.0"}


def test_who_plants_it_anew_each_time_denies_service_and_nothing_else(scene: Scene) -> None:
    inner, numbers = scene.store, count()
    before = scene.look().numbers()
    key = plant(scene, FORGED)
    thief = faulty(scene)

    def plant_anew() -> None:
        inner.put(key, b"%d" % next(numbers), Always())

    request = scene.prepare("1.1.0")
    thief.plan(meanwhile("put", key, plant_anew, times=99))
    with pytest.raises(ConflictError, match="this number is taken"):
        scene.send(request)
    assert scene.look(inner).numbers() == before
    scene.revoke("0.9.0")
    thief.heal()
    scene.publish("1.1.0")
    assert "1.1.0" in scene.look(inner).live()


def test_what_could_not_be_read_is_not_called_dead(scene: Scene) -> None:
    request = scene.prepare("1.1.0")
    assert request.releases is not None
    for path, data in request.documents.items():
        target = f"{APP}/targets/{path.rpartition('/')[0]}/"
        name = f"{digest_bytes(data)}.{path.rpartition('/')[2]}"
        scene.store.put(target + name, data, Always())
    key = plant(scene, request.releases)
    store = faulty(scene)
    store.plan(time_out(Moment.BEFORE, "open", f"{APP}/targets/releases/1.1.0/*"))
    with pytest.raises(TransportError):
        scene.revoke("0.9.0")
    assert read_all(store.inner, key) == request.releases
    scene.revoke("0.9.0")
    assert "1.1.0" in scene.look().live()
    assert isinstance(store.inner, MemoryStore)
