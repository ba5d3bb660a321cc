"""Rules 2 and 5 of the decision: what a channel demands of a release before it counts."""

from dataclasses import replace
from typing import Any

import pytest

from lockgate_release.capabilities import ATTESTATIONS
from lockgate_release.decision import Decision, Obstacle, Offer, decide
from lockgate_release.documents import ChannelPolicy, Count, PolicyDocument, SignatureRule, Standing
from lockgate_release.errors import RefusedOfferError
from tests.unit.release.builders import (
    APP,
    ATTESTED,
    NOW,
    STABLE,
    channel,
    client,
    offer_of,
    revocation,
)
from tests.unit.release.deciding import NEW, OLD, decide_between, held, offered

_MET = Standing(signatures=Count(found=("a", "b"), is_enough=True))
_GUARDED = PolicyDocument(
    app=APP, channels={STABLE: ChannelPolicy(signatures=SignatureRule(threshold=2))}
)


def _decide_by(standings: dict[str, Standing], **changes: Any) -> Decision:
    document = channel([offer_of(NEW), offer_of(OLD)], **changes)
    releases = {NEW.path: NEW, OLD.path: OLD}
    return decide(document, releases, _GUARDED, client("1.0.0"), NOW, standings)


def test_what_meets_its_bar_is_offered() -> None:
    assert offered(_decide_by({NEW.path: _MET})) == "2.0.0"


@pytest.mark.parametrize(
    "standing",
    [
        None,
        Standing(),
        Standing(approvals=_MET.signatures),
        Standing(signatures=Count(found=("a",), is_enough=False)),
    ],
)
def test_what_does_not_meet_its_bar_is_refused_loudly(standing: Standing | None) -> None:
    found = {} if standing is None else {NEW.path: standing}
    with pytest.raises(RefusedOfferError, match="too few publishers have signed it"):
        _decide_by({**found, OLD.path: _MET})


def test_nor_does_it_become_the_way_out_of_a_revoked_release() -> None:
    with pytest.raises(RefusedOfferError, match="too few publishers"):
        _decide_by({OLD.path: _MET}, revoked=(revocation("1.0.0"),))


def test_what_the_policy_demands_and_nobody_here_can_check_holds_a_client() -> None:
    rule = ChannelPolicy(attestations=ATTESTED)
    policy = PolicyDocument(app=APP, channels={STABLE: rule})
    decision = decide_between([NEW], policy=policy)
    assert held(decision) is Obstacle.LACKS_CAPABILITY
    assert "can do: attestations (install lockgate-updater[attestations])" in decision.reason
    forced = decide_between([NEW], client("1.0.0", passes_gate=True), policy=policy)
    assert held(forced) is Obstacle.LACKS_CAPABILITY


def test_who_can_prove_origins_or_was_told_not_to_is_offered_it() -> None:
    rule = ChannelPolicy(attestations=ATTESTED)
    policy = PolicyDocument(app=APP, channels={STABLE: rule})
    plain = client("1.0.0")
    able = replace(plain, capabilities=plain.capabilities | {ATTESTATIONS})
    assert isinstance(decide_between([NEW], able, policy=policy), Offer)
    allowed = replace(plain, allows_unattested=True)
    assert isinstance(decide_between([NEW], allowed, policy=policy), Offer)
