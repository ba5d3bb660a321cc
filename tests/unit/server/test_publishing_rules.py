"""What publishers may not put in force: each refusal leaves the state as it was."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, TargetFile, Targets

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import (
    ChannelPolicy,
    ExtrasDocument,
    PolicyDocument,
    ReleaseEntry,
)
from lockgate_release.errors import (
    ConflictError,
    DigestMismatchError,
    DocumentError,
    ExpiredError,
    LockgateError,
    RepositoryError,
    TrustError,
    UsageError,
    VersionError,
)
from lockgate_release.layout import artifact_key, extras_path, release_path
from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.requests import OfferRequest, PublishRequest
from lockgate_release.trust import sign
from lockgate_release.trust.keys import generate_signer
from lockgate_server.errors import NotFoundError
from lockgate_server.ports import IfAbsent
from tests.simulators.extras import a_delta, an_attestation
from tests.simulators.publisher import Build, PublisherSimulator
from tests.simulators.server_scene import APP, STABLE, Scene

BETA = ChannelName("beta")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(folder=tmp_path)
    scene.register()
    scene.publish("1.0.0")
    return scene


def refused(scene: Scene, request: PublishRequest, kind: type[LockgateError], text: str) -> None:
    """The request is refused with these words, and nothing that a client sees has changed."""
    before = scene.look().numbers()
    objects = [info.key for info in scene.store.list("")]
    with pytest.raises(kind, match=text):
        scene.send(request)
    assert scene.look().numbers() == before
    assert [info.key for info in scene.store.list("")] == objects


def test_the_same_request_again_changes_nothing_and_says_so(scene: Scene) -> None:
    request = scene.prepare("1.1.0")
    assert scene.send(request).changed
    before = [info.key for info in scene.store.list("")]
    again = scene.send(request)
    assert not again.changed
    assert again.answer is not None
    assert again.answer.version == "1.1.0"
    assert [info.key for info in scene.store.list("")] == before


def test_a_list_without_an_offer_is_put_in_force_alone(scene: Scene) -> None:
    outcome = scene.publish("1.1.0", offer=False)
    assert outcome.changed
    assert outcome.answer is None
    assert scene.look().offers() == [("1.0.0", 10_000)]
    assert scene.look().live() == {"1.0.0", "1.1.0"}


def test_an_empty_request_changes_nothing(scene: Scene) -> None:
    assert not scene.send(PublishRequest()).changed


def test_promotion_offers_the_same_release_in_one_more_channel(scene: Scene) -> None:
    scene.send(scene.publisher.promote(scene.look().chain, "1.0.0", "beta"))
    assert scene.look().offers("beta") == [("1.0.0", 10_000)]
    assert scene.look().offers() == [("1.0.0", 10_000)]


def test_a_list_on_an_older_base_is_a_conflict(scene: Scene) -> None:
    stale = scene.prepare("1.1.0")
    scene.publish("1.2.0")
    refused(scene, stale, ConflictError, r"somebody else published first; expected number 4.*3")


def test_a_number_that_skips_is_refused(scene: Scene) -> None:
    base = Metadata[Targets].from_bytes(scene.look().chain.releases.data).signed
    base.version += 1
    signers = scene.publisher.keys.publishers
    skipping = sign.to_bytes(sign.next_releases(base, base.targets, signers, scene.now))
    request = PublishRequest(releases=skipping)
    refused(scene, request, TrustError, "wrong number; expected 3; found 4")


@pytest.mark.parametrize("threshold", [1, 2])
def test_a_list_that_too_few_publishers_signed_is_refused(tmp_path: Path, threshold: int) -> None:
    publisher = PublisherSimulator(publishers=2, publisher_threshold=threshold)
    scene = Scene(folder=tmp_path, publisher=publisher)
    scene.register()
    build = publisher.build("1.0.0")
    scene.upload(build)
    entry = ReleaseEntry(version="1.0.0", channels=(STABLE,))
    signers = [generate_signer(), *publisher.keys.publishers[: threshold - 1]]
    releases = publisher.next_releases(
        scene.look().chain,
        lambda entries: entries.__setitem__(release_path("1.0.0"), entry),
        build.documents(),
        signers=signers,
    )
    request = PublishRequest(releases=releases, documents=build.documents())
    refused(scene, request, TrustError, "cannot be verified")


def test_what_is_not_metadata_is_refused(scene: Scene) -> None:
    refused(scene, PublishRequest(releases=b"{}"), DocumentError, "not TUF metadata")
    root = scene.publisher.root
    refused(scene, PublishRequest(releases=root), DocumentError, "wrong type of metadata")


def test_a_list_that_has_expired_is_refused(scene: Scene) -> None:
    request = scene.prepare("1.1.0")
    scene.now += timedelta(days=181)
    with pytest.raises(ExpiredError, match="expired already"):
        scene.send(request)


def test_the_same_version_with_other_bytes_is_refused(scene: Scene) -> None:
    build = scene.publisher.build("1.0.0", {"any": b"something else"})
    scene.upload(build)
    request = scene.publisher.publish(scene.look().chain, build)
    refused(scene, request, UsageError, "the same version with other content")


def test_notes_may_be_changed_later(scene: Scene) -> None:
    path = extras_path("1.0.0")
    notes = ExtrasDocument(app=APP, version="1.0.0", notes="better words").to_bytes()
    releases = scene.publisher.next_releases(scene.look().chain, lambda _: None, {path: notes})
    scene.send(PublishRequest(releases=releases, documents={path: notes}))
    assert scene.look().chain.target(path) is not None


@pytest.mark.parametrize(
    ("before", "after"),
    [("1.1.0+linux", "1.1.0+macos"), ("1.1.0-rc.A", "1.1.0-rc.a")],
)
def test_versions_that_are_equal_or_differ_by_case_cannot_both_be_live(
    scene: Scene, before: str, after: str
) -> None:
    scene.publish(before)
    refused(scene, scene.prepare(after), UsageError, "equal to another live version")


def test_a_version_that_is_not_one_is_refused(scene: Scene) -> None:
    refused(scene, scene.prepare("1.1"), VersionError, r"releases|not a version.*SemVer")


def test_a_mark_of_another_version_is_refused(scene: Scene) -> None:
    request = scene.publisher.edit(
        scene.look().chain, "1.0.0", lambda entry: replace(entry, version="9.9.9")
    )
    refused(scene, request, DocumentError, r"custom\.version.*expected 1\.0\.0; found 9\.9\.9")


def with_documents(scene: Scene, build: Build, documents: dict[str, bytes]) -> PublishRequest:
    entry = ReleaseEntry(version=build.version, channels=(STABLE,))
    releases = scene.publisher.next_releases(
        scene.look().chain,
        lambda entries: entries.__setitem__(release_path(build.version), entry),
        documents,
    )
    return PublishRequest(releases=releases, documents=documents)


@pytest.mark.parametrize(("app", "version"), [("other", "1.1.0"), ("demo", "1.2.0")])
def test_a_document_that_speaks_of_something_else_is_refused(
    scene: Scene, app: str, version: str
) -> None:
    build = scene.publisher.build("1.1.0")
    scene.upload(build)
    wrong = replace(build.document, app=AppName(app), version=version)
    documents = {**build.documents(), release_path("1.1.0"): wrong.to_bytes()}
    refused(scene, with_documents(scene, build, documents), DocumentError, "another release's")


def test_extras_that_speak_of_something_else_are_refused(scene: Scene) -> None:
    build = scene.publisher.build("1.1.0")
    scene.upload(build)
    wrong = ExtrasDocument(app=APP, version="1.2.0").to_bytes()
    documents = {**build.documents(), extras_path("1.1.0"): wrong}
    refused(scene, with_documents(scene, build, documents), DocumentError, "another release's")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not UTF-8|UTF-8"),
        (b'{"_type":"lockgate.release","_type":"lockgate.release"}', "duplicate key"),
        (b'{"_type":"lockgate.other"}', "wrong type of document"),
        (b'{"_type":1.5}', "not an integer"),
    ],
)
def test_a_document_that_is_none_is_refused_by_its_path(
    scene: Scene, data: bytes, text: str
) -> None:
    build = scene.publisher.build("1.1.0")
    documents = {**build.documents(), release_path("1.1.0"): data}
    request = with_documents(scene, build, documents)
    refused(scene, request, DocumentError, rf"releases/1\.1\.0/release\.json.*({text})")


def test_a_document_with_other_bytes_than_were_signed_is_refused(scene: Scene) -> None:
    request = scene.prepare("1.1.0")
    documents = {**request.documents, release_path("1.1.0"): b"other"}
    changed = replace(request, documents=documents)
    refused(scene, changed, DigestMismatchError, "not the bytes that were signed")


def test_a_document_that_did_not_come_is_missed(scene: Scene) -> None:
    request = replace(scene.prepare("1.1.0"), documents={})
    refused(scene, request, RepositoryError, r"releases/1\.1\.0.*missing")


def test_an_artifact_that_was_not_uploaded_is_missed(scene: Scene) -> None:
    build = scene.publisher.build("1.1.0")
    request = scene.publisher.publish(scene.look().chain, build)
    refused(scene, request, UsageError, "the artifact is not on the server.*Upload it first")


def test_an_artifact_of_another_size_is_refused(scene: Scene) -> None:
    build = scene.publisher.build("1.1.0")
    scene.upload(build)
    (artifact,) = build.document.artifacts
    wrong = replace(build.document, artifacts=(replace(artifact, size=artifact.size + 1),))
    documents = {**build.documents(), release_path("1.1.0"): wrong.to_bytes()}
    refused(scene, with_documents(scene, build, documents), RepositoryError, "another size")


@pytest.mark.parametrize(
    ("size", "kind", "words"),
    [
        (0, UsageError, "is not on the server.*Upload it first"),
        (1, RepositoryError, "has another size"),
    ],
)
@pytest.mark.parametrize("what", ["delta", "attestation"])
def test_extras_name_no_file_that_is_not_in_the_store_with_its_size(
    scene: Scene, what: str, size: int, kind: type[LockgateError], words: str
) -> None:
    build, file = scene.publisher.build("1.1.0"), b"a file" * size
    scene.upload(build)
    sha256 = digest_bytes(file)
    if file:
        scene.store.put(artifact_key(APP, sha256), file, IfAbsent())
    extras = replace(
        build.extras,
        deltas=(a_delta(sha256, size=9),) if what == "delta" else (),
        attestations=(an_attestation(sha256, size=9),) if what == "attestation" else (),
    )
    documents = {**build.documents(), extras_path("1.1.0"): extras.to_bytes()}
    refused(scene, with_documents(scene, build, documents), kind, f"the {what} {words}")


@pytest.mark.parametrize(
    "path", ["policy.json", "releases/1.0.0/other.json", "releases/1/0/release.json", "a/b/c"]
)
def test_a_path_that_no_release_has_is_refused(scene: Scene, path: str) -> None:
    targets = dict(scene.look().chain.releases.signed.targets)
    targets[path] = TargetFile.from_data(path, b"{}", ["sha256"])
    if path.endswith("/release.json"):
        targets[path].unrecognized_fields["custom"] = {"version": "1.0.0", "channels": []}
    releases = scene.publisher.sign_releases(scene.look().chain, targets)
    refused(scene, PublishRequest(releases=releases), DocumentError, "not a release's document")


def test_extras_without_a_release_are_refused(scene: Scene) -> None:
    targets = dict(scene.look().chain.releases.signed.targets)
    path = extras_path("1.1.0")
    targets[path] = TargetFile.from_data(path, b"{}", ["sha256"])
    releases = scene.publisher.sign_releases(scene.look().chain, targets)
    refused(scene, PublishRequest(releases=releases), DocumentError, "extras without a release")


def test_a_document_that_is_too_large_is_refused(scene: Scene) -> None:
    targets = dict(scene.look().chain.releases.signed.targets)
    path = extras_path("1.0.0")
    targets[path] = TargetFile.from_data(path, bytes((1 << 20) + 1), ["sha256"])
    releases = scene.publisher.sign_releases(scene.look().chain, targets)
    refused(scene, PublishRequest(releases=releases), DocumentError, "unusable entry")


def edit_all(
    scene: Scene, change: Callable[[ReleaseEntry], ReleaseEntry], *versions: str
) -> PublishRequest:
    def apply(entries: dict[str, ReleaseEntry]) -> None:
        for version in versions:
            entries[release_path(version)] = change(entries[release_path(version)])

    return PublishRequest(releases=scene.publisher.next_releases(scene.look().chain, apply))


def test_a_floor_may_rise_and_never_sink(scene: Scene) -> None:
    scene.publish("1.1.0", floors={"stable": "1.0.0"})
    scene.publish("1.2.0", floors={"stable": "1.1.0"})
    assert {e.floors[STABLE] for e in scene.look().chain.entries().values()} == {"1.1.0"}
    lower = scene.prepare("1.3.0", floors={"stable": "1.0.0"})
    refused(scene, lower, UsageError, r"floor of stable.*lowered.*at least 1\.1\.0; found 1\.0\.0")
    none = edit_all(scene, lambda entry: replace(entry, floors={}), "1.0.0", "1.1.0", "1.2.0")
    refused(scene, none, UsageError, "found none")


def test_live_releases_must_agree_on_a_floor(scene: Scene) -> None:
    scene.publish("1.1.0")
    request = edit_all(scene, lambda entry: replace(entry, floors={STABLE: "1.0.0"}), "1.1.0")
    refused(scene, request, UsageError, "live releases disagree on the floor")


def test_a_floor_that_is_no_version_is_refused(scene: Scene) -> None:
    request = edit_all(scene, lambda entry: replace(entry, floors={STABLE: "one"}), "1.0.0")
    refused(scene, request, VersionError, "not a version")


def test_what_is_offered_cannot_be_retired_or_taken_out_of_its_channel(scene: Scene) -> None:
    retire = scene.publisher.retire(scene.look().chain, "1.0.0")
    refused(scene, retire, UsageError, r"stable: 1\.0\.0: offered, and no longer allowed")
    moved = edit_all(scene, lambda entry: replace(entry, channels=(BETA,)), "1.0.0")
    refused(scene, moved, UsageError, "offered, and no longer allowed")


def test_a_revoked_release_can_be_sealed(scene: Scene) -> None:
    scene.revoke("1.0.0")
    scene.send(scene.publisher.retire(scene.look().chain, "1.0.0"))
    assert scene.look().live() == set()
    assert scene.look().revoked() == ["1.0.0"]


def test_a_release_is_offered_only_where_its_publishers_allow_it(scene: Scene) -> None:
    request = scene.publisher.offer("1.0.0", "beta")
    refused(scene, request, UsageError, "its publishers do not allow it.*found stable")


def test_what_is_not_live_is_not_offered(scene: Scene) -> None:
    request = scene.publisher.offer("7.0.0", "stable")
    refused(scene, request, UsageError, "no live release")
    refused(scene, scene.publisher.offer("seven", "stable"), VersionError, "not a version")


def test_what_is_below_the_floor_is_not_offered(scene: Scene) -> None:
    scene.publish("1.1.0", floors={"stable": "1.1.0"})
    scene.revoke("1.1.0")
    assert scene.look().offers() == [], "1.0.0 is below the floor: there is nothing to fall back to"
    request = scene.publisher.offer("1.0.0", "stable")
    refused(scene, request, UsageError, r"below the channel's floor; expected at least 1\.1\.0")


def test_what_the_policy_keeps_out_of_a_channel_is_not_offered(tmp_path: Path) -> None:
    policy = PolicyDocument(
        app=APP, channels={"stable": ChannelPolicy(paths=("previews/*/release.json",))}
    )
    scene = Scene(folder=tmp_path, publisher=PublisherSimulator(policy=policy))
    scene.register()
    refused(scene, scene.prepare("1.0.0"), UsageError, "the policy does not allow its path")


def test_a_lifted_revocation_lets_the_release_be_offered_again(scene: Scene) -> None:
    scene.publish("1.1.0")
    scene.revoke("1.1.0")
    offer = scene.publisher.offer("1.1.0", "stable")
    refused(scene, offer, UsageError, "revoked in this channel")
    scene.send(scene.publisher.lift(scene.look().chain, "1.1.0", "stable"))
    scene.send(offer)
    assert scene.look().offers() == [("1.1.0", 10_000)]
    assert scene.look().revoked() == []


def test_a_release_for_an_app_that_is_not_registered_is_not_found(tmp_path: Path) -> None:
    scene = Scene(folder=tmp_path)
    with pytest.raises(NotFoundError, match="no such app"):
        scene.send(PublishRequest())


def test_a_platform_that_is_added_is_another_release(scene: Scene) -> None:
    build = scene.publisher.build("1.0.0", {"any": b"x", Platform("linux-x86_64"): b"y"})
    scene.upload(build)
    request = scene.publisher.publish(scene.look().chain, build)
    refused(scene, request, UsageError, "never changes")


def test_a_signed_list_from_another_app_is_refused(scene: Scene, tmp_path: Path) -> None:
    other = Scene(folder=tmp_path / "other", publisher=PublisherSimulator("other"))
    other.app = AppName("other")
    other.register()
    foreign = other.prepare("1.0.0")
    refused(scene, replace(foreign, offer=None), ConflictError, "somebody else published first")
    other.send(foreign)
    second = other.prepare("1.1.0")
    refused(scene, replace(second, offer=None), TrustError, "cannot be verified")


def test_an_offer_in_a_request_is_bounded_by_what_everybody_has(scene: Scene) -> None:
    scene.publish("1.2.0")
    older = scene.prepare("1.1.0")
    refused(scene, older, UsageError, "it would reach nobody")
    assert isinstance(older.offer, OfferRequest)
