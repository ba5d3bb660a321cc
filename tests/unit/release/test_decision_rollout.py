"""Rule 6 of the decision: whom a rollout lets through."""

from dataclasses import replace
from typing import Any

import pytest

from lockgate_release.decision import Obstacle, Offer
from lockgate_release.documents import (
    ChannelPolicy,
    ManualCheck,
    PolicyDocument,
    Remedy,
    RolloutState,
)
from lockgate_release.gate import Arm, bucket
from tests.unit.release.builders import APP, CLIENT, SALT, client, offer_of
from tests.unit.release.deciding import NEW, decide_between, held

PLACE = bucket(SALT, CLIENT)


@pytest.mark.parametrize(
    ("state", "obstacle"),
    [(RolloutState.PAUSED, Obstacle.PAUSED), (RolloutState.HALTED, Obstacle.HALTED)],
)
def test_rule_6_a_rollout_that_stands_still_reaches_nobody(
    state: RolloutState, obstacle: Obstacle
) -> None:
    for passes_gate in (False, True):
        decision = decide_between(
            [offer_of(NEW, 10_000, state=state)], client(passes_gate=passes_gate), live=[NEW]
        )
        assert held(decision) is obstacle


@pytest.mark.parametrize(
    ("exposure_bp", "control_bp", "outcome"),
    [
        (10_000, 0, Arm.OFFERED),
        (PLACE + 1, 0, Arm.OFFERED),
        (PLACE, 10_000 - PLACE, Obstacle.CONTROL),
        (PLACE, 1, Obstacle.CONTROL),
        (PLACE, 0, Obstacle.OUTSIDE_GATE),
        (PLACE - 1, 1, Obstacle.OUTSIDE_GATE),
        (0, 0, Obstacle.OUTSIDE_GATE),
    ],
)
def test_rule_6_the_gate_lets_through_whom_it_should(
    exposure_bp: int, control_bp: int, outcome: Arm | Obstacle
) -> None:
    offer = offer_of(NEW, exposure_bp, control_bp=control_bp, epoch=5)
    decision = decide_between([offer], live=[NEW])
    numbers = f"bucket {PLACE}, exposure {exposure_bp} of 10000"
    if isinstance(outcome, Arm):
        assert isinstance(decision, Offer)
        assert (decision.arm, decision.epoch) == (outcome, 5)
        assert decision.reason == f"2.0.0 is offered ({numbers})"
    else:
        assert held(decision) is outcome
        assert numbers in str(decision)


def test_rule_6_a_person_who_asks_passes_the_gate_and_nothing_else() -> None:
    asking = client("1.0.0", passes_gate=True)
    decision = decide_between([offer_of(NEW, PLACE)], asking, live=[NEW])
    assert isinstance(decision, Offer)
    assert decision.arm is Arm.CONTROL
    assert "a person who asked" in decision.reason
    closed = decide_between([offer_of(NEW, 0)], asking, live=[NEW])
    assert held(closed) is Obstacle.OUTSIDE_GATE
    cases: list[tuple[dict[str, Any], Obstacle]] = [
        ({"skipped": frozenset({"2.0.0"})}, Obstacle.SKIPPED),
        ({"known_floor": "3.0.0"}, Obstacle.BELOW_FLOOR),
        ({"known_revocations": {"2.0.0": Remedy.REPLACE}}, Obstacle.REVOKED),
        ({"capabilities": frozenset[str]()}, Obstacle.LACKS_CAPABILITY),
    ]
    for changes, obstacle in cases:
        assert held(decide_between([NEW], replace(asking, **changes))) is obstacle


def test_rule_6_a_person_waits_where_the_policy_says_so() -> None:
    rule = ChannelPolicy(manual_check=ManualCheck.WAIT)
    for name, passes in (("stable", False), ("beta", True), ("*", False)):
        policy = PolicyDocument(app=APP, channels={name: rule})
        asking = client("1.0.0", passes_gate=True)
        decision = decide_between([offer_of(NEW, PLACE)], asking, live=[NEW], policy=policy)
        assert isinstance(decision, Offer) is passes
        if not passes:
            assert held(decision) is Obstacle.CONTROL
            assert "the policy lets no person pass" in str(decision)
        within = decide_between([offer_of(NEW, 10_000)], asking, live=[NEW], policy=policy)
        assert isinstance(within, Offer)


def test_rule_6_a_client_whose_id_is_malformed_is_let_through_nowhere() -> None:
    with pytest.raises(ValueError, match="client id"):
        decide_between([NEW], client("1.0.0", client_id="me"))
