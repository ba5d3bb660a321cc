"""The server asks who built what it begins to offer; it verifies the same thing once."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate_release.ceremony_requests import CeremonyRequest
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Attestation, ChannelPolicy, PolicyDocument, Shortfall
from lockgate_release.documents.attestation_rules import AttestationDemand, AttestationRule
from lockgate_release.errors import UsageError
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH, artifact_key, artifact_path
from lockgate_release.requests import PublishRequest
from lockgate_release.trust import sign
from lockgate_server.ports import IfAbsent
from lockgate_server.services.write.ceremony import hold_ceremony
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.origins import OriginMemory
from lockgate_server.services.write.publish import publish
from tests.simulators.attested import RELEASE_WORKFLOW
from tests.simulators.publisher import Build
from tests.simulators.server_scene import APP, CALLER, Scene, read_all
from tests.simulators.sigstore import ANN, WORKFLOW, SigstoreSimulator, Somebody, serve_sigstore

RULE = AttestationRule(demands=(AttestationDemand(signers=(RELEASE_WORKFLOW,)),))
DEMANDING = PolicyDocument(app=APP, channels={"stable": ChannelPolicy(attestations=RULE)})


@pytest.fixture(scope="module")
def sigstore() -> Iterator[SigstoreSimulator]:
    with serve_sigstore() as simulator:
        yield simulator


@pytest.fixture
def scene(tmp_path: Path, sigstore: SigstoreSimulator) -> Scene:
    """Stable demands the release workflow's word, and offers nothing yet."""
    scene = Scene(folder=tmp_path)
    scene.register()
    put(scene, {POLICY_PATH: DEMANDING.to_bytes(), TRUSTED_ROOT_PATH: sigstore.trusted_root})
    return scene


def put(scene: Scene, documents: dict[str, bytes], deps: WriteDeps | None = None) -> None:
    """Put these targets in force, as a ceremony of the maintainers does."""
    entries = {
        path: sign.Document(path=path, data=data).to_target() for path, data in documents.items()
    }
    changed = scene.publisher.change_targets(
        scene.look().chain, lambda targets: targets.targets.update(entries), documents
    )
    request = CeremonyRequest(targets=changed.metadata, documents=documents)
    hold_ceremony(deps or scene.deps(), APP, request, CALLER)


def attested(scene: Scene, version: str, bundles: list[bytes], *, stored: bool = True) -> Build:
    """A build whose extras list these bundles, which are in the store or not."""
    build = scene.publisher.build(version)
    listed = []
    for bundle in bundles:
        sha256 = digest_bytes(bundle)
        listed.append(
            Attestation(
                kind="sigstore", path=artifact_path(sha256), sha256=sha256, size=len(bundle)
            )
        )
        if stored:
            scene.land(bundle)
    build = replace(build, extras=replace(build.extras, attestations=tuple(listed)))
    scene.upload(build)
    return build


def bundles(
    sigstore: SigstoreSimulator, scene: Scene, version: str, who: Somebody = WORKFLOW
) -> list[bytes]:
    """What somebody attests of every artifact of a build."""
    artifacts = scene.publisher.build(version).document.artifacts
    return [sigstore.attest({one.name: one.sha256}, who) for one in artifacts]


def offer(scene: Scene, build: Build) -> PublishRequest:
    return scene.publisher.publish(scene.look().chain, build)


def test_what_the_release_workflow_built_is_offered(
    scene: Scene, sigstore: SigstoreSimulator
) -> None:
    scene.send(offer(scene, attested(scene, "1.0.0", bundles(sigstore, scene, "1.0.0"))))
    assert [version for version, _ in scene.look().offers()] == ["1.0.0"]


def test_what_it_did_not_build_is_not(scene: Scene, sigstore: SigstoreSimulator) -> None:
    theirs = attested(scene, "1.0.0", bundles(sigstore, scene, "1.0.0", ANN))
    with pytest.raises(UsageError, match="its origin is not proven") as caught:
        scene.send(offer(scene, theirs))
    assert "lockgate attest add" in caught.value.hint
    assert scene.look().live() == set()
    others = attested(scene, "1.1.0", bundles(sigstore, scene, "1.0.0"))
    with pytest.raises(UsageError, match="about other files"):
        scene.send(offer(scene, others))


def test_somebody_can_answer_for_it_and_that_is_noted(scene: Scene) -> None:
    request = offer(scene, attested(scene, "1.0.0", []))
    assert request.offer is not None
    allowed = replace(request.offer, allow_unattested=True)
    scene.send(replace(request, offer=allowed))
    (entry, *_) = scene.ledger.audit(APP, limit=1)
    assert entry.intent.details["allow_unattested"] is True
    # What is offered already was asked for when that began.
    listed = replace(offer(scene, attested(scene, "1.1.0", [])), offer=None)
    scene.send(listed)
    assert scene.look().live() == {"1.0.0", "1.1.0"}


def test_a_demand_or_a_root_that_takes_an_offer_away_is_not_put_in_force(
    scene: Scene, sigstore: SigstoreSimulator
) -> None:
    scene.send(offer(scene, attested(scene, "1.0.0", bundles(sigstore, scene, "1.0.0"))))
    stricter = replace(RULE.demands[0], source_repository="https://github.com/o/other")
    policy = replace(
        DEMANDING,
        channels={"stable": ChannelPolicy(attestations=AttestationRule(demands=(stricter,)))},
    )
    with pytest.raises(UsageError, match="what is offered would not meet"):
        put(scene, {POLICY_PATH: policy.to_bytes()})
    with serve_sigstore() as another, pytest.raises(UsageError, match="would not meet"):
        put(scene, {TRUSTED_ROOT_PATH: another.trusted_root})


def test_a_new_list_in_the_same_ceremony_takes_no_offer_past_a_new_demand(
    scene: Scene, sigstore: SigstoreSimulator
) -> None:
    scene.send(offer(scene, attested(scene, "1.0.0", bundles(sigstore, scene, "1.0.0"))))
    stricter = replace(RULE.demands[0], source_repository="https://github.com/o/other")
    rule = ChannelPolicy(attestations=AttestationRule(demands=(stricter,)))
    policy = replace(DEMANDING, channels={"stable": rule})
    chain = scene.look().chain
    targets = scene.publisher.change_policy(chain, policy)
    both = CeremonyRequest(
        targets=targets.metadata,
        releases=scene.publisher.renew(chain, "releases").metadata,
        documents=targets.documents,
    )
    with pytest.raises(UsageError, match="what is offered would not meet"):
        hold_ceremony(scene.deps(), APP, both, CALLER)


def test_the_same_is_verified_once_and_what_was_missing_is_asked_for_again(
    scene: Scene, sigstore: SigstoreSimulator
) -> None:
    proofs = bundles(sigstore, scene, "1.0.0")
    deps = scene.deps()
    publish(deps, APP, offer(scene, attested(scene, "1.0.0", proofs)), CALLER)
    scene.store.delete(artifact_key(APP, digest_bytes(proofs[0])))
    put(scene, {POLICY_PATH: DEMANDING.to_bytes()}, deps)
    with pytest.raises(UsageError, match="missing from the store"):
        put(scene, {POLICY_PATH: DEMANDING.to_bytes()})
    scene.land(proofs[0])
    put(scene, {POLICY_PATH: DEMANDING.to_bytes()})


def test_taking_back_asks_for_no_more_origins_than_it_needs_and_waits_for_none(
    scene: Scene, sigstore: SigstoreSimulator
) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        scene.send(offer(scene, attested(scene, version, bundles(sigstore, scene, version))))
    stored = {
        info.key: read_all(scene.store, info.key)
        for info in scene.store.list(APP)
        if info.key.endswith(".extras.json")
    }
    for key in stored:
        scene.store.delete(key)
    scene.revoke("1.2.0")
    for key, data in stored.items():
        assert data is not None
        scene.store.put(
            key, io.BytesIO(data), IfAbsent(), content_type="application/json", cache_control=""
        )
    assert scene.look().revoked() == ["1.2.0"]
    # Its proof is gone, and no client would take it.
    assert scene.look().offers() == []


def test_what_is_remembered_is_bounded_and_the_oldest_goes() -> None:
    memory = OriginMemory()
    lack = Shortfall(what="x", expected="y", found="z")
    for number in range(10_001):
        memory.keep(str(number), lack if number % 2 else None)
    assert memory.find("0") is None
    assert memory.find("1") == (lack,)
    assert memory.find("10000") == (None,)
