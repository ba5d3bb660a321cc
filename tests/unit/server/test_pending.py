"""A list waits until enough publishers have signed it, and comes into force with its offers."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Targets

from lockgate_release.errors import ConflictError, DeniedError, PendingError, TrustError
from lockgate_release.names import ChannelName
from lockgate_release.pending_requests import LiftWish, PendingRequest, SignaturesRequest
from lockgate_release.requests import OfferRequest, PublishRequest, UnrevokeRequest
from lockgate_release.rollout.plan import DEFAULT_PLAN
from lockgate_release.steering_requests import ChosenPlan
from lockgate_release.trust.keys import generate_signer
from lockgate_release.trust.sign import to_bytes
from lockgate_server.errors import NotFoundError
from lockgate_server.services.write.pending import begin, sign
from lockgate_server.services.write.pending_live import read_wishes
from lockgate_server.services.write.renewing import renew
from lockgate_server.services.write.unrevoking import unrevoke
from tests.simulators.pending_scene import (
    CI,
    PEOPLE,
    ask_again,
    put_signature,
    request_of,
    shared_scene,
    signature_of,
    start,
    take_back,
    told,
    waiting,
)
from tests.simulators.server_scene import APP, CALLER, STABLE, Scene

BETA = ChannelName("beta")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return shared_scene(tmp_path)


# From the first signature to the last.


def test_with_the_last_signature_list_and_offer_are_in_force_in_one_step(scene: Scene) -> None:
    before = scene.look().numbers()
    begun = start(scene, "1.0.0")
    assert scene.look().numbers() == before
    assert put_signature(scene, begun.change_id, 0).change is not None
    assert scene.look().numbers() == before
    assert scene.look().offers() == [("0.9.0", 10_000)]
    live = put_signature(scene, begun.change_id, 2)
    assert (live.change, live.changed) == (None, True)
    sight = scene.look()
    assert sight.offers() == [("1.0.0", 10_000)]
    assert (sight.chain.timestamp.version, sight.chain.releases.version) == (
        before[0] + 1,
        before[1] + 1,
    )
    assert waiting(scene) == []


def test_nothing_of_it_is_in_the_store_before_the_last_signature(scene: Scene) -> None:
    whole = scene.prepare("1.0.0")
    before = [info.key for info in scene.store.list("")]
    begun = begin(scene.deps(), APP, request_of(scene, whole), CI)
    put_signature(scene, begun.change_id, 0)
    assert [info.key for info in scene.store.list("")] == before


def test_the_first_signature_may_come_with_the_list_and_so_may_all(scene: Scene) -> None:
    begun = start(scene, "1.0.0", signed_by=[0])
    assert told(scene)[0]["missing"] == 1
    put_signature(scene, begun.change_id, 1)
    assert scene.look().live() == {"0.9.0", "1.0.0"}
    at_once = start(scene, "1.1.0", signed_by=[0, 1, 2])
    assert at_once.change is None
    assert scene.look().offers() == [("1.1.0", 10_000)]


def test_the_audit_log_has_begin_each_signature_and_the_end(scene: Scene) -> None:
    begun = start(scene, "1.0.0")
    put_signature(scene, begun.change_id, 1)
    put_signature(scene, begun.change_id, 0)
    entries = [entry.intent for entry in reversed(scene.ledger.audit(APP, limit=4))]
    assert [(item.action, item.actor) for item in entries] == [
        ("pending.begin", "ci"),
        ("pending.sign", "bob"),
        ("pending.sign", "ann"),
        ("pending.live", "ann"),
    ]
    assert {item.details["change"] for item in entries} == {begun.change_id}
    keys = [signer.public_key.keyid for signer in scene.publisher.keys.publishers]
    assert sorted(map(str, entries[3].details["keys"])) == sorted(keys[:2])  # type: ignore[arg-type]
    assert entries[3].details["begun_by"] == "ci"
    assert scene.ledger.verify_audit() is None


def test_offers_in_several_channels_and_a_plan_come_into_force_with_it(scene: Scene) -> None:
    whole = scene.prepare("1.0.0", channels=[STABLE, BETA])
    chosen = ChosenPlan(plan=DEFAULT_PLAN, name="canary")
    offers = (
        OfferRequest(channel=STABLE, version="1.0.0", exposure_bp=0, chosen=chosen),
        OfferRequest(channel=BETA, version="1.0.0"),
    )
    begun = begin(scene.deps(), APP, request_of(scene, whole, offers=offers), CI)
    before = scene.look().numbers()[0]
    put_signature(scene, begun.change_id, 0)
    put_signature(scene, begun.change_id, 1)
    assert scene.look().offers() == [
        ("1.0.0", DEFAULT_PLAN.stages[0].exposure_bp),
        ("0.9.0", 10_000),
    ]
    assert scene.look().offers(BETA) == [("1.0.0", 10_000)]
    assert scene.look().numbers()[0] == before + 1


def test_a_promotion_a_lift_and_a_renewal_wait_in_the_same_way(scene: Scene) -> None:
    promoted = scene.publisher.promote(scene.look().chain, "0.9.0", BETA)
    begun = begin(scene.deps(), APP, request_of(scene, promoted), CI)
    for place in (0, 1):
        put_signature(scene, begun.change_id, place)
    assert scene.look().offers(BETA) == [("0.9.0", 10_000)]
    scene.revoke("0.9.0", channels=(BETA,))
    lifted = scene.publisher.lift(scene.look().chain, "0.9.0", BETA)
    wish = LiftWish(version="0.9.0", reason="the printer", channels=(BETA,))
    begun = begin(scene.deps(), APP, request_of(scene, lifted, lifts=(wish,)), CI)
    assert scene.look().revoked(BETA) == ["0.9.0"]
    for place in (1, 2):
        put_signature(scene, begun.change_id, place)
    assert scene.look().revoked(BETA) == []
    renewal = scene.publisher.renew(scene.look().chain, "releases")
    request = request_of(scene, scene.publisher.edit(scene.look().chain, "0.9.0", lambda one: one))
    begun = begin(scene.deps(), APP, replace(request, releases=renewal.metadata), CI)
    assert begun.change is None, "it was signed by all"


# Who signs what.


def test_the_same_key_again_counts_once(scene: Scene) -> None:
    begun = start(scene, "1.0.0")
    assert put_signature(scene, begun.change_id, 0).changed
    again = put_signature(scene, begun.change_id, 0)
    assert (again.changed, again.change is not None) == (False, True)
    assert len(told(scene)[0]["signatures"]) == 1  # type: ignore[arg-type]


def test_signing_what_is_in_force_already_changes_nothing_and_says_so(scene: Scene) -> None:
    begun = start(scene, "1.0.0", signed_by=[0])
    late = signature_of(scene, begun.change_id, scene.publisher.keys.publishers[2])
    put_signature(scene, begun.change_id, 1)
    before = scene.look().numbers()
    signed = sign(scene.deps(), APP, begun.change_id, late, CALLER)
    assert (signed.change, signed.changed) == (None, False)
    assert scene.look().numbers() == before


def test_a_strangers_signature_is_refused_and_not_kept(scene: Scene) -> None:
    begun = start(scene, "1.0.0", signed_by=[0])
    request = signature_of(scene, begun.change_id, generate_signer())
    with pytest.raises(TrustError, match="by no key of the role"):
        sign(scene.deps(), APP, begun.change_id, request, CALLER)
    maintainer = signature_of(scene, begun.change_id, scene.publisher.keys.maintainers[0])
    with pytest.raises(TrustError, match="by no key of the role"):
        sign(scene.deps(), APP, begun.change_id, maintainer, CALLER)
    assert len(scene.ledger.pending(APP)[0].signatures) == 1
    assert scene.look().live() == {"0.9.0"}


def test_a_signature_of_another_list_is_refused_and_not_kept(scene: Scene) -> None:
    other = start(scene, "1.0.0")
    request = signature_of(scene, other.change_id, scene.publisher.keys.publishers[1])
    take_back(scene, other.change_id)
    begun = start(scene, "1.0.1", signed_by=[0])
    with pytest.raises(TrustError, match="of another list"):
        sign(scene.deps(), APP, begun.change_id, request, CALLER)
    assert scene.look().live() == {"0.9.0"}


@pytest.mark.parametrize("text", ["ab", "abc", "00" * 64, "ff" * 4000])
def test_what_is_no_signature_is_refused(scene: Scene, text: str) -> None:
    begun = start(scene, "1.0.0", signed_by=[0])
    keyid = scene.publisher.keys.publishers[1].public_key.keyid
    request = SignaturesRequest(signatures=((keyid, text),))
    with pytest.raises(TrustError, match="of another list"):
        sign(scene.deps(), APP, begun.change_id, request, CALLER)


def test_a_signature_that_does_not_fit_is_refused_with_the_list(scene: Scene) -> None:
    whole = scene.prepare("1.0.0")
    request = request_of(scene, whole)
    stranger = generate_signer()
    signed = scene.publisher.next_releases(
        scene.look().chain, lambda _: None, whole.documents, signers=[stranger]
    )
    with pytest.raises(TrustError, match="by no key of the role"):
        begin(scene.deps(), APP, replace(request, releases=signed), CI)
    assert waiting(scene) == []


def test_a_key_that_was_taken_out_of_the_role_counts_no_more(scene: Scene) -> None:
    begun = start(scene, "1.0.0", signed_by=[0])
    gone = scene.publisher.keys.publishers[0].public_key.keyid

    def take_out(targets: object) -> None:
        targets.delegations.roles["releases"].keyids.remove(gone)  # type: ignore[attr-defined]

    request = scene.publisher.change_targets(scene.look().chain, take_out)
    renew(scene.deps(), APP, request, CALLER)
    assert told(scene)[0]["signatures"] == []
    put_signature(scene, begun.change_id, 1)
    assert scene.look().live() == {"0.9.0"}
    put_signature(scene, begun.change_id, 2)
    assert scene.look().live() == {"0.9.0", "1.0.0"}


# One at a time.


def test_a_second_change_is_refused_and_told_of_the_first(scene: Scene) -> None:
    begun = start(scene, "1.0.0", signed_by=[1])
    with pytest.raises(PendingError) as caught:
        start(scene, "1.1.0")
    keyid = scene.publisher.keys.publishers[1].public_key.keyid
    for words in ("'publish 1.0.0'", "begun by ci", "2026-01-31T08:00:00Z", "1 of 2", keyid[:8]):
        assert words in caught.value.found
    assert "lockgate sign demo 1.0.0" in caught.value.hint
    assert waiting(scene) == [begun.change_id]


def test_a_list_that_is_signed_to_the_end_does_not_pass_one_that_waits(scene: Scene) -> None:
    start(scene, "1.0.0", signed_by=[0])
    whole = scene.prepare("1.1.0")
    with pytest.raises(PendingError):
        scene.send(whole)
    with pytest.raises(PendingError):
        renew(scene.deps(), APP, scene.publisher.renew(scene.look().chain, "releases"), CALLER)
    lift = UnrevokeRequest(version="0.9.0", reason="x", channels=(STABLE,), releases=whole.releases)
    with pytest.raises(PendingError):
        unrevoke(scene.deps(), APP, lift, CALLER)
    assert scene.look().live() == {"0.9.0"}


def test_what_needs_no_list_goes_on_while_one_waits(scene: Scene) -> None:
    begun = start(scene, "1.0.0", signed_by=[0])
    scene.revoke("0.9.0")
    assert scene.look().revoked() == ["0.9.0"]
    put_signature(scene, begun.change_id, 1)
    assert scene.look().offers() == [("1.0.0", 10_000)]


def test_the_same_change_again_joins_itself(scene: Scene) -> None:
    whole = scene.prepare("1.0.0")
    request = request_of(scene, whole, signers=scene.publisher.keys.publishers[:1])
    assert begin(scene.deps(), APP, request, CI).changed
    assert not begin(scene.deps(), APP, request, CI).changed
    other = request_of(scene, whole, signers=scene.publisher.keys.publishers[1:2])
    assert begin(scene.deps(), APP, other, CI).change is None
    assert scene.look().live() == {"0.9.0", "1.0.0"}


def test_what_nobody_has_signed_gives_way_to_what_contains_it(scene: Scene) -> None:
    first = start(scene, "1.0.0")
    request = request_of(scene, scene.prepare("1.1.0"), title="publish 1.0.0; publish 1.1.0")
    joined = begin(scene.deps(), APP, replace(request, instead_of=first.change_id), CI)
    assert waiting(scene) == [joined.change_id]
    put_signature(scene, joined.change_id, 0)
    third = request_of(scene, scene.prepare("1.2.0"), instead_of=joined.change_id)
    with pytest.raises(PendingError):
        begin(scene.deps(), APP, third, CI)


# Withdrawn, outdated.


def test_what_is_withdrawn_is_gone_and_its_place_is_free(scene: Scene) -> None:
    begun = start(scene, "1.0.0", signed_by=[0])
    take_back(scene, begun.change_id, "the wrong build")
    assert waiting(scene) == []
    with pytest.raises(NotFoundError, match="no such change"):
        ask_again(scene, begun.change_id)
    with pytest.raises(NotFoundError, match="no such change"):
        take_back(scene, begun.change_id)
    assert scene.outcomes()[-1] == ("pending.withdraw", "done")
    assert scene.ledger.audit(APP, limit=1)[0].intent.details["reason"] == "the wrong build"
    start(scene, "1.0.1", signed_by=[0, 1])
    assert scene.look().offers() == [("1.0.1", 10_000)]


def test_nobody_else_withdraws_it_but_a_maintainer_and_the_log_says_whose_it_was(
    scene: Scene,
) -> None:
    begun = start(scene, "1.0.0", signed_by=[0])
    for stranger in PEOPLE:
        with pytest.raises(DeniedError, match=r"somebody else has begun it.*scope admin"):
            take_back(scene, begun.change_id, caller=stranger)
    assert waiting(scene) == [begun.change_id]
    maintainer = replace(PEOPLE[0], is_maintainer=True)
    take_back(scene, begun.change_id, caller=maintainer)
    assert waiting(scene) == []
    (entry,) = scene.ledger.audit(APP, limit=1)
    assert (entry.intent.actor, entry.intent.details["begun_by"]) == ("ann", "ci")


def _instead(scene: Scene, first: str, whole: PublishRequest, **more: Any) -> PendingRequest:
    return request_of(scene, whole, instead_of=first, **more)


def test_nobody_takes_the_place_of_others_work_without_all_of_it(scene: Scene) -> None:
    first = start(scene, "1.0.0")
    without = scene.prepare("1.1.0")
    for caller in PEOPLE:
        with pytest.raises(DeniedError, match=r"would take out.*/1\.0\.0/.*which it brings"):
            begin(scene.deps(), APP, _instead(scene, first.change_id, without), caller)
    (change,) = scene.ledger.pending(APP)
    longer = Metadata[Targets].from_bytes(change.metadata)
    longer.signed.expires -= timedelta(seconds=1)  # else it would be the very same change
    held = PublishRequest(releases=to_bytes(longer), documents=change.documents)
    barely = _instead(scene, first.change_id, held, offers=())
    with pytest.raises(DeniedError, match=r"1\.0\.0 offered in stable"):
        begin(scene.deps(), APP, barely, PEOPLE[1])
    assert waiting(scene) == [first.change_id]
    whole = _instead(scene, first.change_id, held, offers=read_wishes(change).offers)
    joined = begin(scene.deps(), APP, whole, PEOPLE[1])
    assert waiting(scene) == [joined.change_id]
    maintainer = replace(PEOPLE[0], is_maintainer=True)
    taken = begin(scene.deps(), APP, _instead(scene, joined.change_id, without), maintainer)
    assert waiting(scene) == [taken.change_id]


def test_what_is_in_force_is_not_withdrawn(scene: Scene) -> None:
    begun = start(scene, "1.0.0", signed_by=[0, 1])
    with pytest.raises(ConflictError, match="in force already"):
        take_back(scene, begun.change_id)
    assert scene.look().live() == {"0.9.0", "1.0.0"}


def overtake(scene: Scene) -> None:
    """Put another list in force, as a ceremony does."""
    kept = scene.ledger.changes.copy()  # type: ignore[attr-defined]
    scene.ledger.changes.clear()  # type: ignore[attr-defined]
    scene.publish("0.9.5")
    scene.ledger.changes.update(kept)  # type: ignore[attr-defined]


def test_what_was_begun_on_another_list_says_so_and_can_be_made_again(scene: Scene) -> None:
    begun = start(scene, "1.0.0", signed_by=[0])
    overtake(scene)
    (item,) = told(scene)
    assert (item["state"], item["missing"]) == ("outdated", 0)
    assert "another list is in force" in str(item["problem"])
    with pytest.raises(ConflictError, match="can never come into force"):
        ask_again(scene, begun.change_id)
    again = start(scene, "1.0.0", signed_by=[0])
    assert waiting(scene) == [again.change_id]
    put_signature(scene, again.change_id, 1)
    assert scene.look().live() == {"0.9.0", "0.9.5", "1.0.0"}


def test_what_is_outdated_stops_nobody(scene: Scene) -> None:
    start(scene, "1.0.0", signed_by=[0])
    overtake(scene)
    scene.publish("1.1.0")
    assert scene.look().offers() == [("1.1.0", 10_000)]


def test_a_list_that_does_not_follow_the_one_in_force_is_not_kept(scene: Scene) -> None:
    whole = scene.prepare("1.0.0")
    scene.publish("0.9.5")
    with pytest.raises(ConflictError, match="does not follow"):
        begin(scene.deps(), APP, PendingRequest(releases=whole.releases or b"", title="x"), CI)
