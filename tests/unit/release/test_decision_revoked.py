"""Rule 3 of the decision: what is revoked is left, and who may take that back."""

from datetime import timedelta

import pytest

from lockgate_release.decision import Leave, Obstacle, UpToDate
from lockgate_release.documents import Remedy, TrustedRelease
from lockgate_release.names import ChannelName
from tests.unit.release.builders import NOW, STABLE, client, revocation, trusted
from tests.unit.release.deciding import MIDDLE, NEW, OLD, decide_between, held


@pytest.mark.parametrize("remedy", [Remedy.REPLACE, Remedy.LAST_GOOD])
def test_rule_3_a_revoked_release_is_left_for_the_newest_that_fits(remedy: Remedy) -> None:
    decision = decide_between(
        [NEW, MIDDLE], client("1.1.0"), revoked=(revocation("1.1.0", remedy),)
    )
    assert isinstance(decision, Leave)
    assert (decision.version, decision.remedy) == ("1.1.0", remedy)
    assert decision.target is not None
    assert decision.target.version == "2.0.0"
    assert decision.reason == "1.1.0 is revoked: it burns"


def test_rule_3_a_revoked_release_is_left_for_an_older_one_too() -> None:
    decision = decide_between([OLD], client("2.0.0"), revoked=(revocation("2.0.0"),))
    assert isinstance(decision, Leave)
    assert decision.target is not None
    assert decision.target.version == "1.0.0"


@pytest.mark.parametrize("offers", [[], [NEW]])
def test_rule_3_a_revoked_release_is_left_for_nothing_when_nothing_fits(
    offers: list[TrustedRelease],
) -> None:
    revoked = (revocation("2.0.0"),)
    decision = decide_between(offers, client("2.0.0"), revoked=revoked)
    assert isinstance(decision, Leave)
    assert decision.target is None
    assert [found.obstacle for found in decision.considered] == [Obstacle.REVOKED] * len(offers)


def test_rule_3_a_release_whose_remedy_says_so_stays() -> None:
    decision = decide_between(
        [OLD], client("1.0.0"), revoked=(revocation("1.0.0", Remedy.BLOCK_NEW),)
    )
    assert isinstance(decision, UpToDate)
    decision = decide_between([OLD], client("1.0.0", known_revocations={"1.0.0": Remedy.BLOCK_NEW}))
    assert isinstance(decision, UpToDate)


def test_rule_3_a_revocation_seen_before_is_remembered() -> None:
    decision = decide_between([NEW], client("1.0.0", known_revocations={"1.0.0": Remedy.REPLACE}))
    assert isinstance(decision, Leave)
    assert decision.reason == "1.0.0 is revoked: seen revoked before"


def test_rule_3_a_milder_remedy_does_not_take_back_a_stricter_one_that_was_seen() -> None:
    milder = (revocation("1.0.0", Remedy.BLOCK_NEW),)
    for strict in (Remedy.REPLACE, Remedy.LAST_GOOD):
        known = client("1.0.0", known_revocations={"1.0.0": strict})
        decision = decide_between([OLD], known, revoked=milder)
        assert isinstance(decision, Leave)
        assert decision.remedy is strict
        lifted = trusted("1.0.0", lifted=[STABLE])
        assert isinstance(decide_between([lifted], known, revoked=milder), UpToDate)
    other = client("1.0.0", known_revocations={"1.0.0": Remedy.REPLACE})
    decision = decide_between([OLD], other, revoked=(revocation("1.0.0", Remedy.LAST_GOOD),))
    assert isinstance(decision, Leave)
    assert decision.remedy is Remedy.LAST_GOOD


def test_rule_3_only_publishers_lift_a_revocation_that_was_seen() -> None:
    known = client("1.0.0", known_revocations={"1.0.0": Remedy.REPLACE})
    lifted = trusted("1.0.0", lifted=[STABLE])
    assert isinstance(decide_between([lifted], known), UpToDate)
    elsewhere = trusted("1.0.0", lifted=[ChannelName("beta")])
    assert isinstance(decide_between([elsewhere], known), Leave)
    other = trusted("2.0.0", lifted=[STABLE])
    assert isinstance(decide_between([other], known, live=[OLD]), Leave)


def test_rule_3_a_lifted_revocation_that_still_stands_still_counts() -> None:
    lifted = trusted("1.0.0", lifted=[STABLE])
    assert isinstance(decide_between([lifted], revoked=(revocation("1.0.0"),)), Leave)


def test_rule_3_a_client_without_a_release_has_none_to_leave() -> None:
    assert held(decide_between([], client(""), revoked=(revocation("1.0.0"),))) is (
        Obstacle.NOTHING_OFFERED
    )


def test_rule_3_a_lift_does_not_take_back_what_was_revoked_later() -> None:
    lifted = trusted("1.0.0", lifted=[STABLE])
    for late, kind in ((timedelta(0), UpToDate), (timedelta(seconds=1), Leave)):
        known = client(
            "1.0.0",
            known_revocations={"1.0.0": Remedy.REPLACE},
            revoked_at={"1.0.0": NOW + late},
        )
        assert isinstance(decide_between([lifted], known), kind)
