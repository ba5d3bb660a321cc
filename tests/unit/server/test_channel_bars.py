"""What no client would take under its channel's bar, the server does not sign."""

from dataclasses import replace
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Targets

from lockgate_release.approval_requests import ApproveOutcome, ApproveRequest
from lockgate_release.ceremony_requests import CeremonyRequest
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import (
    ApprovalRule,
    ChannelPolicy,
    PolicyDocument,
    SignatureRule,
)
from lockgate_release.documents.approval import Approval
from lockgate_release.errors import ConflictError, DocumentError, TrustError, UsageError
from lockgate_release.names import AppName, ChannelName, Sha256Hex
from lockgate_release.strict_json import JsonObject, dump_json
from lockgate_release.trust.approving import key_to_json, sign_approval
from lockgate_release.trust.keys import generate_signer
from lockgate_release.trust.sign import to_bytes
from lockgate_server.errors import NotFoundError
from lockgate_server.services.write.approving import approve, describe_approved
from lockgate_server.services.write.ceremony import hold_ceremony
from lockgate_server.services.write.renewing import renew
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_scene import APP, CALLER, STABLE, Scene
from tests.unit.release.builders import ATTESTED

BETA = ChannelName("beta")
ANN, BOB, EVE = (generate_signer() for _ in range(3))


def _keys(*signers: CryptoSigner) -> dict[str, JsonObject]:
    return {signer.public_key.keyid: key_to_json(signer.public_key) for signer in signers}


def _rule(threshold: int = 1, *signers: CryptoSigner) -> ChannelPolicy:
    return ChannelPolicy(
        approvals=ApprovalRule(threshold=threshold, keys=_keys(*(signers or (ANN, BOB))))
    )


def _policy(**channels: ChannelPolicy) -> PolicyDocument:
    return PolicyDocument(app=APP, channels=channels)


def _put(scene: Scene, policy: PolicyDocument) -> None:
    request = scene.publisher.change_policy(scene.look().chain, policy)
    renew(scene.deps(), APP, request, CALLER)


def _approval(
    scene: Scene, version: str, *signers: CryptoSigner, channel: str = STABLE
) -> Approval:
    target = scene.look().chain.releases.signed.targets[f"releases/{version}/release.json"]
    plain = Approval(
        app=APP,
        channel=ChannelName(channel),
        version=version,
        release_sha256=Sha256Hex(target.hashes["sha256"]),
        approved_at=scene.now,
    )
    return sign_approval(plain, signers)


def _approve(scene: Scene, approval: Approval) -> ApproveOutcome:
    request = ApproveRequest.parse(dump_json(ApproveRequest(approval=approval).to_json()))
    return describe_approved(approve(scene.deps(), APP, request, CALLER))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Stable has 1.0.0, and from then on takes what one of Ann and Bob has approved."""
    scene = Scene(folder=tmp_path, publisher=PublisherSimulator(publishers=3))
    scene.register()
    scene.publish("1.0.0")
    _put(scene, _policy(stable=_rule(0)))
    _approve(scene, _approval(scene, "1.0.0", ANN))
    _put(scene, _policy(stable=_rule()))
    return scene


# -- Approvals ------------------------------------------------------------------------------


def test_a_release_that_nobody_approved_is_listed_and_not_offered(scene: Scene) -> None:
    with pytest.raises(UsageError, match=r"too few people have approved it.*lockgate approve"):
        scene.publish("2.0.0")
    assert scene.look().live() == {"1.0.0"}
    scene.publish("2.0.0", offer=False)
    with pytest.raises(UsageError, match="too few people have approved it"):
        scene.send(scene.publisher.offer("2.0.0", STABLE))
    assert scene.look().offers() == [("1.0.0", 10_000)]


def test_what_was_approved_is_offered(scene: Scene) -> None:
    scene.publish("2.0.0", offer=False)
    outcome = _approve(scene, _approval(scene, "2.0.0", BOB))
    assert outcome.changed
    assert outcome.is_enough
    assert outcome.approved_by == (BOB.public_key.keyid,)
    assert scene.look().offers() == [("1.0.0", 10_000)]  # an approval offers nothing
    scene.send(scene.publisher.offer("2.0.0", STABLE))
    assert scene.look().offers() == [("2.0.0", 10_000)]
    assert ("approve", "done") in scene.outcomes()


def test_the_same_approval_again_changes_nothing(scene: Scene) -> None:
    before = scene.look().numbers()
    outcome = _approve(scene, _approval(scene, "1.0.0", ANN))
    assert not outcome.changed
    assert scene.look().numbers() == before


def test_a_second_person_signs_the_same_words(scene: Scene) -> None:
    first = _approval(scene, "1.0.0", ANN)
    outcome = _approve(scene, replace(sign_approval(first, [BOB]), signatures=_only(first, BOB)))
    assert outcome.approved_by == tuple(sorted([ANN.public_key.keyid, BOB.public_key.keyid]))
    _put(scene, _policy(stable=_rule(2)))
    assert scene.look().offers() == [("1.0.0", 10_000)]


def _only(approval: Approval, signer: CryptoSigner) -> tuple[tuple[str, str], ...]:
    signed = sign_approval(replace(approval, signatures=()), [signer])
    return signed.signatures


def test_other_words_about_the_same_release_take_no_approval_away(scene: Scene) -> None:
    later = replace(_approval(scene, "1.0.0"), approved_at=scene.now.replace(hour=9))
    with pytest.raises(ConflictError, match="in other words"):
        _approve(scene, sign_approval(later, [BOB]))
    assert not _approve(scene, sign_approval(later, [ANN])).changed
    both = _approve(scene, sign_approval(later, [ANN, BOB]))
    assert len(both.approved_by) == 2


def test_an_approval_by_a_stranger_is_not_kept(scene: Scene) -> None:
    scene.publish("2.0.0", offer=False)
    with pytest.raises(TrustError, match="signed by nobody who may approve"):
        _approve(scene, _approval(scene, "2.0.0", EVE))
    outcome = _approve(scene, _approval(scene, "2.0.0", EVE, ANN))
    assert outcome.approved_by == (ANN.public_key.keyid,)
    (_, envelope) = scene.look().channels[STABLE].approvals
    assert EVE.public_key.keyid not in str(envelope)


def test_an_approval_of_what_is_not_live_or_of_other_bytes_is_not_kept(scene: Scene) -> None:
    known = _approval(scene, "1.0.0")
    with pytest.raises(NotFoundError, match="no live release"):
        _approve(scene, sign_approval(replace(known, version="9.0.0"), [ANN]))
    wrong = replace(known, release_sha256=digest_bytes(b"other"))
    with pytest.raises(UsageError, match="about other bytes"):
        _approve(scene, sign_approval(wrong, [ANN]))
    with pytest.raises(UsageError, match="another app's"):
        _approve(scene, sign_approval(replace(known, app=AppName("other")), [ANN]))


def test_nobody_approves_where_the_policy_names_nobody(scene: Scene) -> None:
    with pytest.raises(UsageError, match="names nobody who approves"):
        _approve(scene, _approval(scene, "1.0.0", ANN, channel=BETA))


def test_what_a_channel_falls_back_to_was_approved_too(scene: Scene) -> None:
    scene.publish("2.0.0", offer=False)
    _approve(scene, _approval(scene, "2.0.0", ANN))
    scene.send(scene.publisher.offer("2.0.0", STABLE))
    scene.revoke("2.0.0")
    assert scene.look().offers() == [("1.0.0", 10_000)]
    versions = [item["signed"]["version"] for item in scene.look().channels[STABLE].approvals]  # type: ignore[index,call-overload]
    assert versions == ["1.0.0", "2.0.0"]


def test_approvals_of_what_was_retired_go_with_the_next_one(scene: Scene) -> None:
    scene.publish("1.1.0", offer=False)
    _approve(scene, _approval(scene, "1.1.0", ANN))
    scene.send(scene.publisher.retire(scene.look().chain, "1.1.0"))
    scene.publish("1.2.0", offer=False)
    _approve(scene, _approval(scene, "1.2.0", ANN))
    versions = [item["signed"]["version"] for item in scene.look().channels[STABLE].approvals]  # type: ignore[index,call-overload]
    assert versions == ["1.0.0", "1.2.0"]


# -- Raising the bar ------------------------------------------------------------------------


def test_a_bar_is_raised_only_where_what_is_offered_meets_it(scene: Scene) -> None:
    before = scene.look().chain.targets.version
    with pytest.raises(UsageError, match="what is offered would not meet the channel's bar"):
        _put(scene, _policy(stable=_rule(2)))
    with pytest.raises(UsageError, match=r"1\.0\.0: what is offered would not meet"):
        _put(scene, _policy(stable=_rule(1, BOB, EVE)))
    with pytest.raises(UsageError, match="its path"):
        _put(scene, _policy(stable=replace(_rule(), paths=("previews/*/release.json",))))
    with pytest.raises(DocumentError, match="nothing to verify them with"):
        _put(scene, _policy(stable=replace(_rule(), attestations=ATTESTED)))
    assert scene.look().chain.targets.version == before


def test_a_bar_that_was_raised_by_a_ceremony_is_checked_with_the_list_that_comes_with_it(
    tmp_path: Path,
) -> None:
    """Maintainers demand two signatures; the list that has two comes in the same ceremony."""
    scene = Scene(folder=tmp_path, publisher=PublisherSimulator(publishers=3))
    scene.register()
    chain = scene.look().chain
    build = scene.publisher.build("1.0.0")
    scene.upload(build)
    request = scene.publisher.publish(chain, build)
    one = scene.publisher.keys.publishers[:1]
    scene.send(replace(request, releases=_resigned(request.releases, one)))
    rule = ChannelPolicy(signatures=SignatureRule(threshold=2))
    targets = scene.publisher.change_policy(scene.look().chain, _policy(stable=rule))
    asked = CeremonyRequest(targets=targets.metadata, documents=targets.documents)
    with pytest.raises(UsageError, match="too few publishers have signed it"):
        hold_ceremony(scene.deps(), APP, asked, CALLER)
    releases = scene.publisher.renew(scene.look().chain, "releases").metadata
    hold_ceremony(scene.deps(), APP, replace(asked, releases=releases), CALLER)
    assert scene.look().offers() == [("1.0.0", 10_000)]


def _resigned(data: bytes | None, signers: list[CryptoSigner]) -> bytes:
    assert data is not None
    metadata = Metadata[Targets].from_bytes(data)
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
    return to_bytes(metadata)


# -- Signatures -----------------------------------------------------------------------------


@pytest.fixture
def strict(tmp_path: Path) -> Scene:
    """The role takes one of three publishers; stable demands two of them."""
    rule = ChannelPolicy(signatures=SignatureRule(threshold=2))
    publisher = PublisherSimulator(publishers=3, policy=_policy(stable=rule))
    scene = Scene(folder=tmp_path, publisher=publisher)
    scene.register()
    scene.publish("1.0.0")
    return scene


def test_a_list_with_too_few_signatures_for_what_it_offers_is_refused(strict: Scene) -> None:
    request = strict.prepare("2.0.0")
    few = _resigned(request.releases, strict.publisher.keys.publishers[:1])
    with pytest.raises(UsageError, match="too few publishers have signed it"):
        strict.send(replace(request, releases=few))
    assert strict.look().live() == {"1.0.0"}


def test_a_list_with_too_few_signatures_would_break_what_is_offered_elsewhere(
    strict: Scene,
) -> None:
    """One list, one set of signatures: a beta by one publisher would take stable's away."""
    request = strict.prepare("2.0.0", channels=[BETA])
    few = _resigned(request.releases, strict.publisher.keys.publishers[:1])
    with pytest.raises(UsageError, match=r"stable: 1\.0\.0: what is offered would not meet"):
        strict.send(replace(request, releases=few))
    strict.send(request)
    assert strict.look().offers(BETA) == [("2.0.0", 10_000)]


def test_a_rollout_widens_only_over_the_bar(scene: Scene) -> None:
    """Nothing gets this far; if it does, a person who widens it is told."""
    scene.publish("2.0.0", offer=False)
    _approve(scene, _approval(scene, "2.0.0", ANN))
    scene.send(scene.publisher.offer("2.0.0", STABLE, 1000))
    scene.roll("2.0.0", "set", 2000)
    assert scene.look().offers() == [("2.0.0", 2000), ("1.0.0", 10_000)]


def test_a_mark_names_no_targets_that_are_still_to_come(scene: Scene) -> None:
    scene.publish("2.0.0", offer=False)
    current = scene.look().chain.targets.version
    ahead = scene.publisher.edit(
        scene.look().chain, "2.0.0", lambda entry: replace(entry, targets_version=current + 1)
    )
    with pytest.raises(UsageError, match="names targets that are not in force"):
        scene.send(ahead)
    now = scene.publisher.edit(
        scene.look().chain, "2.0.0", lambda entry: replace(entry, targets_version=current)
    )
    scene.send(now)
    less = scene.publisher.edit(
        scene.look().chain, "2.0.0", lambda entry: replace(entry, targets_version=current - 1)
    )
    with pytest.raises(UsageError, match="names older targets than it did"):
        scene.send(less)
