"""Registering an app: what the server checks before it signs the first state."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Targets

from lockgate_release.documents import PolicyDocument
from lockgate_release.errors import (
    ConflictError,
    DocumentError,
    ExpiredError,
    LockgateError,
    TrustError,
    UsageError,
)
from lockgate_release.layout import POLICY_PATH, metadata_key
from lockgate_release.names import AppName
from lockgate_release.requests import RegisterRequest
from lockgate_release.trust import sign
from lockgate_release.trust.keys import generate_signer
from lockgate_server.ports import Always
from lockgate_server.services.write.apps import make_online_key, register
from tests.simulators.faulty_store import FaultyStore, meanwhile
from tests.simulators.publisher import NOW, PublisherSimulator
from tests.simulators.server_scene import APP, CALLER, Scene, read_all


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(folder=tmp_path)


def online_key(scene: Scene) -> Key:
    return make_online_key(scene.deps(), APP)


def refused(scene: Scene, request: RegisterRequest, kind: type[LockgateError], text: str) -> None:
    with pytest.raises(kind, match=text):
        register(scene.deps(), APP, request, CALLER)
    assert list(scene.store.list("")) == []
    assert scene.ledger.pinned_root(APP) is None


def with_field(request: RegisterRequest, field: str, data: bytes) -> RegisterRequest:
    parts = {"root": request.root, "targets": request.targets, "releases": request.releases}
    parts[field] = data
    return RegisterRequest(**parts, documents=request.documents)


def test_a_first_state_is_what_clients_can_verify(scene: Scene) -> None:
    scene.register()
    sight = scene.look()
    assert sight.numbers() == (1, 1, {})
    assert scene.highest().timestamp == 1
    assert scene.outcomes() == [("register", "done")]
    assert read_all(scene.store, metadata_key(APP, "root", 1)) == scene.publisher.root


def test_m_of_n_maintainers_and_k_publishers_can_register(tmp_path: Path) -> None:
    publisher = PublisherSimulator(maintainers=3, threshold=2, publishers=2, publisher_threshold=2)
    scene = Scene(folder=tmp_path, publisher=publisher)
    scene.register()
    scene.publish("1.0.0")
    assert scene.look().offers() == [("1.0.0", 10_000)]


def test_another_key_than_the_servers_is_refused(scene: Scene) -> None:
    online_key(scene)
    request = scene.publisher.register(generate_signer().public_key)
    refused(scene, request, TrustError, "not this server's key")


def test_an_app_without_an_online_key_is_refused(scene: Scene) -> None:
    request = scene.publisher.register(generate_signer().public_key)
    with pytest.raises(LockgateError, match="online key"):
        register(scene.deps(), APP, request, CALLER)


@pytest.mark.parametrize(
    ("first", "second"),
    [("x", "x-next"), ("x-next", "x"), ("a.b", "a-b"), ("x", "x_public"), ("x", "x-next-public")],
)
def test_an_app_whose_keys_could_be_taken_for_anothers_is_refused(
    scene: Scene, first: str, second: str
) -> None:
    scene.ledger.pin_app(AppName(first), b"root")
    with pytest.raises(UsageError, match=f"told from those of {first}.*Choose another name"):
        make_online_key(scene.deps(), AppName(second))
    for free in (first, "next", "xnext", "y-next"):
        make_online_key(scene.deps(), AppName(free))


def test_it_is_refused_too_where_its_key_is_there_already(scene: Scene) -> None:
    request = scene.publisher.register(online_key(scene))
    scene.ledger.pin_app(AppName(f"{APP}-next"), b"root")
    with pytest.raises(UsageError, match=f"LOCKGATE_ONLINE_KEY_{APP.upper()}_NEXT"):
        register(scene.deps(), APP, request, CALLER)
    assert scene.ledger.pinned_root(APP) is None


def test_metadata_of_an_app_with_another_name_is_refused(tmp_path: Path) -> None:
    scene = Scene(folder=tmp_path, publisher=PublisherSimulator("other"))
    request = scene.publisher.register(online_key(scene))
    refused(scene, request, DocumentError, r"another app's document; expected demo; found other")


@pytest.mark.parametrize("field", ["root", "targets", "releases"])
def test_metadata_that_strangers_signed_is_refused(scene: Scene, field: str) -> None:
    key = online_key(scene)
    request = scene.publisher.register(key)
    foreign = PublisherSimulator().register(key)
    mixed = with_field(request, field, getattr(foreign, field))
    refused(scene, mixed, TrustError, "cannot be verified")


@pytest.mark.parametrize("field", ["root", "targets", "releases"])
@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda _: b"", lambda _: b"{}"])
def test_truncated_metadata_is_refused(
    scene: Scene, field: str, damage: Callable[[bytes], bytes]
) -> None:
    request = scene.publisher.register(online_key(scene))
    damaged = with_field(request, field, damage(getattr(request, field)))
    refused(scene, damaged, DocumentError, "not TUF metadata")


def test_a_policy_must_come_and_be_the_one_that_was_signed(scene: Scene) -> None:
    request = scene.publisher.register(online_key(scene))
    refused(scene, replace(request, documents={}), DocumentError, "policy.json: missing")
    other = PolicyDocument(app=AppName("demo2")).to_bytes()
    changed = replace(request, documents={POLICY_PATH: other})
    refused(scene, changed, DocumentError, "not the bytes that were signed")


def test_a_state_that_begins_with_releases_is_refused(scene: Scene) -> None:
    request = scene.publisher.register(online_key(scene))
    build = scene.publisher.build("1.0.0")
    document = sign.Document(path="releases/1.0.0/release.json", data=build.document.to_bytes())
    releases = sign.next_releases(
        None, {document.path: document.to_target()}, scene.publisher.keys.publishers, NOW
    )
    changed = replace(request, releases=sign.to_bytes(releases))
    refused(scene, changed, UsageError, "lists releases already")


@pytest.mark.parametrize("days", [181, 366])
def test_a_first_state_that_has_expired_is_refused(scene: Scene, days: int) -> None:
    request = scene.publisher.register(online_key(scene))
    scene.now = NOW + timedelta(days=days)
    with pytest.raises((ExpiredError, UsageError), match="expired already"):
        register(scene.deps(), APP, request, CALLER)
    assert list(scene.store.list("")) == []


T = TypeVar("T", Root, Targets)


def _begin_at_two(signed: T, scene: Scene) -> bytes:
    signed.version = 2
    metadata = Metadata(signed)
    for signer in scene.publisher.keys.maintainers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def test_a_state_that_begins_later_than_one_is_refused(scene: Scene) -> None:
    request = scene.publisher.register(online_key(scene))
    root = _begin_at_two(Metadata[Root].from_bytes(request.root).signed, scene)
    refused(scene, replace(request, root=root), TrustError, "not the first")
    targets = _begin_at_two(Metadata[Targets].from_bytes(request.targets).signed, scene)
    refused(scene, replace(request, targets=targets), TrustError, "wrong number")


def test_a_registration_that_broke_off_with_other_metadata_says_what_to_do(
    scene: Scene,
) -> None:
    request = scene.publisher.register(online_key(scene))
    scene.store.put(metadata_key(APP, "targets", 1), b"other", Always())
    with pytest.raises(ConflictError, match="Send that registration again"):
        register(scene.deps(), APP, request, CALLER)


def test_of_two_registrations_at_once_one_wins_and_both_see_it(
    scene: Scene, tmp_path: Path
) -> None:
    request = scene.publisher.register(online_key(scene))
    inner = scene.store
    faulty = FaultyStore(inner)
    other = Scene(folder=tmp_path, store=inner, ledger=scene.ledger, publisher=scene.publisher)
    scene.store = faulty
    others = []
    faulty.plan(
        meanwhile(
            "put",
            "*/timestamp.json",
            lambda: others.append(register(other.deps(), APP, request, CALLER)),
        )
    )
    other.now = NOW + timedelta(seconds=1)
    base, is_mine = register(scene.deps(), APP, request, CALLER)
    assert not is_mine
    assert [one[1] for one in others] == [True]
    assert base.timestamp_version == 1
    assert scene.look(inner).numbers() == (1, 1, {})
