"""What no documents and no state can make the decision do."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate_release.decision import (
    ClientState,
    Decision,
    Held,
    Leave,
    Offer,
    Quarantine,
    UpToDate,
    decide,
)
from lockgate_release.documents import (
    ChannelDocument,
    PolicyDocument,
    Remedy,
    Requirements,
    RolloutState,
    TrustedRelease,
)
from lockgate_release.versions import VersionScheme
from tests.unit.release.builders import (
    APP,
    NOW,
    STABLE,
    channel,
    client,
    offer_of,
    release,
    revocation,
    trusted,
)

POLICY = PolicyDocument(app=APP)
VERSIONS = ["0.9.0", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.1.0", "1.10.0", "2.0.0"]
VERSION = st.sampled_from(VERSIONS)
MAYBE = st.sampled_from(["", *VERSIONS])
REVOKED = st.dictionaries(VERSION, st.sampled_from(Remedy), max_size=3)


@dataclass(frozen=True)
class Case:
    document: ChannelDocument
    releases: dict[str, TrustedRelease]
    state: ClientState
    now: datetime = NOW

    def decide(self) -> Decision:
        return decide(self.document, self.releases, POLICY, self.state, self.now)


@st.composite
def cases(draw: st.DrawFn, *, passes_gate: bool | None = None) -> Case:
    floor = draw(MAYBE)
    found = {
        version: trusted(
            version,
            floor=floor,
            lifted=[STABLE] if draw(st.integers(0, 3)) == 0 else [],
            document=release(version, requires=Requirements(from_version=draw(MAYBE))),
        )
        for version in draw(st.lists(VERSION, unique=True, max_size=5))
    }
    offers = []
    for one in found.values():
        exposure_bp = draw(st.sampled_from([0, 1, 2500, 5000, 9999, 10_000]))
        offers.append(
            offer_of(
                one,
                exposure_bp,
                salt=draw(st.binary(min_size=16, max_size=16)).hex(),
                state=draw(st.sampled_from([RolloutState.ACTIVE] * 3 + list(RolloutState))),
            )
        )
    document = channel(offers, revoked=tuple(revocation(*item) for item in draw(REVOKED).items()))
    state = client(
        draw(MAYBE),
        client_id=str(draw(st.uuids())),
        known_revocations=draw(REVOKED),
        known_floor=draw(MAYBE),
        quarantine=tuple(
            Quarantine(sha256=found[version].sha256, until=NOW + timedelta(hours=1))
            for version in draw(st.lists(st.sampled_from(list(found) or [""]), max_size=2))
            if version
        ),
        skipped=frozenset(draw(st.lists(VERSION, max_size=2))),
        pinned=draw(st.sampled_from(["", "", "", *VERSIONS])),
        passes_gate=draw(st.booleans()) if passes_gate is None else passes_gate,
    )
    return Case(document, {one.path: one for one in found.values()}, state)


def _offer_in(decision: Decision) -> Offer | None:
    return (
        decision.target
        if isinstance(decision, Leave)
        else (decision if isinstance(decision, Offer) else None)
    )


def _below(one: str, other: str) -> bool:
    return VersionScheme.SEMVER.parse(one) < VersionScheme.SEMVER.parse(other)


@settings(max_examples=200)
@given(cases())
def test_nothing_revoked_below_the_floor_unwanted_or_failed_is_ever_offered(case: Case) -> None:
    offer = _offer_in(case.decide())
    if offer is None:
        return
    version, state = offer.version, case.state
    assert case.document.revocation_of(version) is None
    assert version not in state.known_revocations or STABLE in offer.release.entry.lifted
    for floor in (offer.release.entry.floors.get(STABLE, ""), state.known_floor):
        assert not floor or not _below(version, floor)
    assert offer.release.sha256 not in {item.sha256 for item in state.quarantine}
    assert version not in state.skipped
    assert state.pinned in {"", version}
    rollout = next(item.rollout for item in case.document.offers if item.version == version)
    assert rollout.state is RolloutState.ACTIVE
    assert offer.release in case.releases.values()


@settings(max_examples=200)
@given(cases())
def test_an_offer_is_always_newer_than_what_is_installed(case: Case) -> None:
    decision = case.decide()
    if isinstance(decision, Offer) and case.state.installed:
        assert _below(case.state.installed, decision.version)


@settings(max_examples=200)
@given(cases())
def test_a_revoked_release_is_never_called_up_to_date(case: Case) -> None:
    installed = case.state.installed
    revoked = case.document.revocation_of(installed)
    decision = case.decide()
    if revoked is not None and revoked.remedy is not Remedy.BLOCK_NEW:
        assert isinstance(decision, Leave)
        assert decision.version == installed
    if isinstance(decision, UpToDate):
        assert decision.version == installed != ""


@given(cases(passes_gate=False))
def test_an_exposure_of_nobody_offers_nobody(case: Case) -> None:
    offers = [
        item.with_rollout(replace(item.rollout, exposure_bp=0)) for item in case.document.offers
    ]
    closed = replace(case, document=replace(case.document, offers=tuple(offers)))
    assert _offer_in(closed.decide()) is None


@settings(max_examples=200)
@given(cases(), st.data())
def test_a_wider_exposure_takes_nothing_from_anybody(case: Case, data: st.DataObject) -> None:
    """More exposure of any release: who was offered one is offered that one or a newer."""
    before = _offer_in(case.decide())
    wider = []
    for item in case.document.offers:
        exposure_bp = data.draw(st.integers(item.rollout.exposure_bp, 10_000))
        rollout = replace(item.rollout, exposure_bp=exposure_bp, control_bp=10_000 - exposure_bp)
        wider.append(item.with_rollout(rollout))
    after = _offer_in(replace(case, document=replace(case.document, offers=tuple(wider))).decide())
    if before is not None:
        assert after is not None
        assert not _below(after.version, before.version)


@given(cases(), st.randoms())
def test_the_decision_is_a_function_of_what_is_said_and_not_of_its_order(
    case: Case, shuffler: Random
) -> None:
    offers = list(case.document.offers)
    shuffler.shuffle(offers)
    releases = dict(reversed(case.releases.items()))
    other = Case(replace(case.document, offers=tuple(offers)), releases, case.state)
    assert case.decide() == case.decide()
    assert other.decide() == case.decide()


@given(cases())
def test_every_decision_says_why(case: Case) -> None:
    decision = case.decide()
    assert decision.reason
    for found in decision.considered:
        assert found.version in found.text or found.obstacle is not None
    if isinstance(decision, Held) and decision.considered:
        assert decision.considered[0].text == decision.reason
