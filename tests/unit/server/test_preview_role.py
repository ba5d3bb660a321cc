"""A further role of releases: a folder and keys of its own, and all of the server knows it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Targets

from lockgate_release.documents import ChannelPolicy, PolicyDocument
from lockgate_release.errors import (
    ConflictError,
    DocumentError,
    StaleMirrorError,
    TrustError,
    UsageError,
)
from lockgate_release.layout import metadata_key, release_path
from lockgate_release.requests import RenewRequest
from lockgate_release.trust import sign
from lockgate_release.trust.delegating import drop_delegation
from lockgate_release.trust.keys import generate_signer
from lockgate_server.ports import IfAbsent
from lockgate_server.services.collect.collecting import collect
from lockgate_server.services.write.base import check_recorded, highest_of
from lockgate_server.services.write.rebuilding import find_state, record
from lockgate_server.services.write.renewing import renew, resign
from lockgate_server.services.write.status import describe_app, describe_release, read_current
from tests.simulators.memory_ledger import MemoryLedger
from tests.simulators.previewers import PREVIEWS, Previewers
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_scene import APP, CALLER, STABLE, Scene

NIGHTLY = "nightly"
POLICY = PolicyDocument(
    app=APP, channels={NIGHTLY: ChannelPolicy(paths=("previews/*/release.json",))}
)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(folder=tmp_path, publisher=PublisherSimulator(policy=POLICY))
    scene.register()
    scene.publish("1.0.0")
    return scene


@pytest.fixture
def crew(scene: Scene) -> Previewers:
    """Other people, with other keys, who may publish previews."""
    crew = Previewers(publisher=scene.publisher)
    renew(scene.deps(), APP, crew.delegate(scene.look().chain), CALLER)
    return crew


def _publish(scene: Scene, crew: Previewers, version: str, **how: object) -> None:
    build = scene.publisher.build(version)
    scene.upload(build)
    scene.send(crew.publish(scene.look().chain, build, **how))  # type: ignore[arg-type]


def test_the_first_preview_begins_the_list_of_its_role(scene: Scene, crew: Previewers) -> None:
    assert scene.look().chain.release_roles == ("releases", PREVIEWS)
    assert scene.look().chain.list_of(PREVIEWS) is None
    _publish(scene, crew, "2.0.0-dev.1")
    chain = scene.look().chain
    assert chain.further[PREVIEWS].version == 1
    assert "previews.json" in chain.snapshot.signed.meta
    assert chain.releases.version == 2
    assert scene.look().live() == {"1.0.0", "2.0.0-dev.1"}
    assert scene.look().offers(NIGHTLY) == [("2.0.0-dev.1", 10_000)]
    assert scene.highest().sequences["role/previews"] == 1
    _publish(scene, crew, "2.0.0-dev.2")
    assert scene.look().chain.further[PREVIEWS].version == 2
    scene.publish("1.1.0")
    assert scene.look().chain.further[PREVIEWS].version == 2
    assert scene.look().offers() == [("1.1.0", 10_000)]


def test_a_preview_is_not_offered_where_the_policy_takes_releases(
    scene: Scene, crew: Previewers
) -> None:
    with pytest.raises(UsageError, match="does not allow its path"):
        _publish(scene, crew, "2.0.0-dev.1", channel=STABLE)
    assert scene.look().live() == {"1.0.0"}


def test_a_release_is_not_offered_where_the_policy_takes_previews(
    scene: Scene, crew: Previewers
) -> None:
    with pytest.raises(UsageError, match="does not allow its path"):
        scene.publish("1.1.0", channels=[NIGHTLY])
    assert crew.signers


def test_publishers_of_releases_sign_no_preview_and_the_other_way_round(
    scene: Scene, crew: Previewers
) -> None:
    with pytest.raises(TrustError):
        _publish(scene, crew, "2.0.0-dev.1", signers=scene.publisher.keys.publishers)
    request = scene.prepare("1.1.0")
    assert request.releases is not None
    metadata = Metadata[Targets].from_bytes(request.releases)
    metadata.signatures.clear()
    metadata.sign(crew.signers[0])
    with pytest.raises(TrustError):
        scene.send(replace(request, releases=sign.to_bytes(metadata)))


def test_a_list_of_previews_holds_nothing_of_another_folder(scene: Scene, crew: Previewers) -> None:
    with pytest.raises(DocumentError, match="not a release's document"):
        _publish(scene, crew, "1.1.0", folder="releases", offer=False)


def test_no_version_lives_in_two_lists(scene: Scene, crew: Previewers) -> None:
    _publish(scene, crew, "2.0.0-dev.1")
    with pytest.raises(UsageError, match="equal to another live version"):
        _publish(scene, crew, "1.0.0", offer=False)
    with pytest.raises(UsageError, match="equal to another live version"):
        scene.publish("2.0.0-DEV.1")


def test_somebody_who_was_slower_is_told(scene: Scene, crew: Previewers) -> None:
    build = scene.publisher.build("2.0.0-dev.1")
    scene.upload(build)
    late = crew.publish(scene.look().chain, build)
    _publish(scene, crew, "2.0.0-dev.2")
    with pytest.raises(ConflictError, match="somebody else published first"):
        scene.send(late)


def test_a_role_that_was_not_delegated_has_no_list(scene: Scene) -> None:
    stranger = Previewers(publisher=scene.publisher)
    with pytest.raises(TrustError):
        _publish(scene, stranger, "2.0.0-dev.1")


def test_a_preview_is_revoked_like_a_release(scene: Scene, crew: Previewers) -> None:
    _publish(scene, crew, "2.0.0-dev.1")
    scene.revoke("2.0.0-dev.1")
    assert scene.look().offers(NIGHTLY) == []
    assert scene.look().revoked(NIGHTLY) == ["2.0.0-dev.1"]


def test_status_and_detail_know_previews(scene: Scene, crew: Previewers) -> None:
    _publish(scene, crew, "2.0.0-dev.1")
    base = read_current(scene.deps(), APP)
    roles = describe_app(base, scene.now)["roles"]
    assert isinstance(roles, dict)
    assert roles[PREVIEWS]["version"] == 1
    detail = describe_release(scene.deps(), base, "2.0.0-dev.1")
    assert detail["path"] == release_path("2.0.0-dev.1", folder=PREVIEWS)
    assert isinstance(detail["extras"], Mapping)
    assert detail["extras"]["version"] == "2.0.0-dev.1"


def test_a_list_of_previews_is_renewed_by_its_own_keys(scene: Scene, crew: Previewers) -> None:
    _publish(scene, crew, "2.0.0-dev.1")
    scene.pass_time(scene.now + timedelta(days=3))
    held = scene.look().chain.further[PREVIEWS]
    later = sign.renewed(held.metadata, PREVIEWS, crew.signers, scene.now)
    request = RenewRequest(role=PREVIEWS, metadata=sign.to_bytes(later))
    assert renew(scene.deps(), APP, request, CALLER).version == 2
    found = scene.look().chain.further[PREVIEWS]
    assert found.signed.expires - held.signed.expires == timedelta(days=3)
    assert found.signed.targets == held.signed.targets


def test_collection_keeps_previews_and_takes_what_they_let_go(
    scene: Scene, crew: Previewers
) -> None:
    _publish(scene, crew, "2.0.0-dev.1")
    _publish(scene, crew, "2.0.0-dev.2")
    held = scene.look().chain.further[PREVIEWS].signed
    rest = {path: one for path, one in held.targets.items() if "dev.1" not in path}
    data = crew.sign(held, rest)
    scene.send(
        replace(
            crew.publish(scene.look().chain, scene.publisher.build("9.0.0")),
            releases=data,
            documents={},
            offer=None,
        )
    )
    scene.pass_time(scene.now + timedelta(days=100))
    crew.publisher.now = scene.now
    resign(scene.deps(), APP, CALLER)
    before = {info.key for info in scene.store.list("")}
    collect(scene.deps(), APP, CALLER, grace=timedelta(days=1))
    gone = before - {info.key for info in scene.store.list("")}
    assert any("previews/2.0.0-dev.1" in key for key in gone)
    assert not any("previews/2.0.0-dev.2" in key for key in gone)
    assert metadata_key(APP, PREVIEWS, 3) not in gone
    assert scene.look().live() == {"1.0.0", "2.0.0-dev.2"}


def test_a_list_that_a_crash_left_behind_comes_into_force(scene: Scene, crew: Previewers) -> None:
    _publish(scene, crew, "2.0.0-dev.1")
    held = scene.look().chain.further[PREVIEWS]
    data = crew.sign(held.signed, dict(held.signed.targets))
    scene.store.put(metadata_key(APP, PREVIEWS, 2), data, IfAbsent())
    scene.publish("1.1.0")
    assert scene.look().chain.further[PREVIEWS].version == 2
    assert ("adopt.previews", "done") in scene.outcomes()


def test_an_older_list_of_previews_is_refused_as_a_put_back_store(
    scene: Scene, crew: Previewers
) -> None:
    _publish(scene, crew, "2.0.0-dev.1")
    base = read_current(scene.deps(), APP)
    recorded = highest_of(base)
    ahead = replace(recorded, sequences={**recorded.sequences, "role/previews": 2})
    with pytest.raises(StaleMirrorError, match="role/previews"):
        check_recorded(replace(base, recorded=ahead))


def test_keys_that_were_taken_out_publish_no_preview(scene: Scene, crew: Previewers) -> None:
    """Maintainers replace them, and sign the list that stands with the new keys first."""
    _publish(scene, crew, "2.0.0-dev.1")
    old, crew.signers = crew.signers, [generate_signer()]
    with pytest.raises(TrustError, match="could no longer be verified"):
        renew(scene.deps(), APP, crew.delegate(scene.look().chain), CALLER)
    held = scene.look().chain.further[PREVIEWS]
    both = sign.renewed(held.metadata, PREVIEWS, [*old, *crew.signers], scene.now)
    request = RenewRequest(role=PREVIEWS, metadata=sign.to_bytes(both))
    renew(scene.deps(), APP, request, CALLER)
    renew(scene.deps(), APP, crew.delegate(scene.look().chain), CALLER)
    with pytest.raises(TrustError):
        _publish(scene, crew, "2.0.0-dev.2", signers=old)
    _publish(scene, crew, "2.0.0-dev.2")


def test_a_role_is_dropped_only_when_nothing_of_it_is_offered(
    scene: Scene, crew: Previewers
) -> None:
    _publish(scene, crew, "2.0.0-dev.1")
    drop = scene.publisher.change_targets(
        scene.look().chain, lambda targets: drop_delegation(targets, PREVIEWS)
    )
    with pytest.raises(UsageError):
        renew(scene.deps(), APP, drop, CALLER)
    scene.revoke("2.0.0-dev.1")
    drop = scene.publisher.change_targets(
        scene.look().chain, lambda targets: drop_delegation(targets, PREVIEWS)
    )
    renew(scene.deps(), APP, drop, CALLER)
    assert scene.look().chain.release_roles == ("releases",)
    assert scene.look().live() == {"1.0.0"}
    scene.publish("1.1.0")
    with pytest.raises(UsageError, match="was dropped before"):
        renew(scene.deps(), APP, crew.delegate(scene.look().chain), CALLER)


def test_a_lost_database_is_made_again_with_the_number_of_previews(
    scene: Scene, crew: Previewers
) -> None:
    _publish(scene, crew, "2.0.0-dev.1")
    before, root = scene.highest(), scene.publisher.root
    scene.ledger = MemoryLedger()
    found = find_state(scene.store, APP, root)
    assert found.above == ()
    record(scene.ledger, found, root, CALLER, named=None, now=scene.now)
    assert scene.highest() == before
    assert before.sequences["role/previews"] == 1
    scene.store.put(metadata_key(APP, PREVIEWS, 2), b"{}", IfAbsent())
    assert find_state(scene.store, APP, root).above == ("2.previews.json",)
