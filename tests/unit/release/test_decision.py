"""The decision, rule by rule; the numbers in the names are those of the module's docstring."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lockgate_release.capabilities import ATTESTATIONS, PYTHON_WHEELS, archive_capability
from lockgate_release.decision import (
    ClientState,
    Decision,
    Held,
    Leave,
    Obstacle,
    Offer,
    Quarantine,
    UpToDate,
    decide,
    paths_to_fetch,
)
from lockgate_release.documents import (
    ChannelDocument,
    ChannelOffer,
    ChannelPolicy,
    Count,
    Install,
    ManualCheck,
    PolicyDocument,
    PythonWheels,
    Remedy,
    Requirements,
    RolloutState,
    SignatureRule,
    Standing,
    TrustedRelease,
)
from lockgate_release.errors import DocumentError, ExpiredError, RefusedOfferError
from lockgate_release.gate import Arm, bucket
from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.versions import VersionScheme
from tests.unit.release.builders import (
    APP,
    ATTESTED,
    CLIENT,
    NOW,
    SALT,
    STABLE,
    artifact,
    channel,
    client,
    offer_of,
    release,
    revocation,
    sha256_of,
    trusted,
)

PLACE = bucket(SALT, CLIENT)
WITH_WHEELS = frozenset({archive_capability("tar.gz"), PYTHON_WHEELS})
POLICY = PolicyDocument(app=APP)
OLD, MIDDLE, NEW = trusted("1.0.0"), trusted("1.1.0"), trusted("2.0.0")


def _decide(
    offers: Sequence[TrustedRelease | ChannelOffer] = (),
    state: ClientState | None = None,
    *,
    live: Sequence[TrustedRelease] = (),
    policy: PolicyDocument = POLICY,
    **changes: Any,
) -> Decision:
    known = [*live, *(found for found in offers if isinstance(found, TrustedRelease))]
    document = channel(
        [found if isinstance(found, ChannelOffer) else offer_of(found) for found in offers],
        **changes,
    )
    releases = {found.path: found for found in known}
    return decide(document, releases, policy, state or client("1.0.0"), NOW)


def _offered(decision: Decision) -> str:
    assert isinstance(decision, Offer), decision
    return decision.version


def _held(decision: Decision) -> Obstacle:
    assert isinstance(decision, Held), decision
    return decision.obstacle


# -- Rule 1 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), timedelta(days=900)])
def test_rule_1_an_answer_past_its_expiry_is_no_answer(late: timedelta) -> None:
    with pytest.raises(ExpiredError, match="expired channel document"):
        _decide([NEW], expires_at=NOW - late)


def test_rule_1_an_answer_holds_until_its_last_second() -> None:
    assert _offered(_decide([NEW], expires_at=NOW + timedelta(seconds=1))) == "2.0.0"


# -- Rule 2 ---------------------------------------------------------------------------------


def _refuse(words: str, *offers: ChannelOffer, **options: Any) -> None:
    with pytest.raises(RefusedOfferError, match=words):
        _decide(offers, **options)


def test_rule_2_what_no_publisher_vouches_for_is_refused() -> None:
    _refuse("stable: offer of 2.0.0: no publisher vouches for it", offer_of(NEW))


def test_rule_2_another_document_than_the_pinned_one_is_refused() -> None:
    wrong = replace(offer_of(NEW), sha256=sha256_of("other"))
    _refuse("not the release that was signed", wrong, live=[NEW])


def test_rule_2_another_version_than_the_document_s_is_refused() -> None:
    wrong = replace(offer_of(NEW), version="3.0.0")
    _refuse("not the release that was signed", wrong, live=[NEW])


@pytest.mark.parametrize("channels", [(), (ChannelName("beta"),)])
def test_rule_2_a_release_its_publishers_did_not_allow_here_is_refused(
    channels: tuple[ChannelName, ...],
) -> None:
    stray = trusted("2.0.0", channels=channels)
    _refuse("publishers did not allow it in this channel", offer_of(stray), live=[stray])


def test_rule_2_a_path_the_policy_does_not_allow_here_is_refused() -> None:
    preview = trusted("2.0.0", path="previews/2.0.0/release.json")
    _refuse("policy does not allow its path", offer_of(preview), live=[preview])
    policy = PolicyDocument(app=APP, channels={"*": ChannelPolicy(paths=("previews/*/*",))})
    assert _offered(_decide([preview], policy=policy)) == "2.0.0"


def test_rule_2_another_app_s_release_is_refused() -> None:
    other = trusted("2.0.0", document=release("2.0.0", app=AppName("other")))
    _refuse("another app", offer_of(other), live=[other])


@pytest.mark.parametrize("changes", [{"app": AppName("other")}, {"channel": ChannelName("beta")}])
def test_rule_2_a_document_for_somebody_else_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RefusedOfferError, match="document for somebody else"):
        _decide([], **changes)


def test_rule_2_another_app_s_policy_is_refused() -> None:
    with pytest.raises(RefusedOfferError, match="document for somebody else"):
        _decide([], policy=PolicyDocument(app=AppName("other")))


def test_rule_2_a_refused_offer_hides_behind_no_other() -> None:
    """Also where the newest fits, or the client is up to date with all but the stray one."""
    stray = offer_of(trusted("1.1.0"))
    _refuse("no publisher", stray, live=[NEW])
    with pytest.raises(RefusedOfferError):
        _decide([offer_of(NEW, 0), stray], live=[NEW])


# -- Rule 3 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("remedy", [Remedy.REPLACE, Remedy.LAST_GOOD])
def test_rule_3_a_revoked_release_is_left_for_the_newest_that_fits(remedy: Remedy) -> None:
    decision = _decide([NEW, MIDDLE], client("1.1.0"), revoked=(revocation("1.1.0", remedy),))
    assert isinstance(decision, Leave)
    assert (decision.version, decision.remedy) == ("1.1.0", remedy)
    assert decision.target is not None
    assert decision.target.version == "2.0.0"
    assert decision.reason == "1.1.0 is revoked: it burns"


def test_rule_3_a_revoked_release_is_left_for_an_older_one_too() -> None:
    decision = _decide([OLD], client("2.0.0"), revoked=(revocation("2.0.0"),))
    assert isinstance(decision, Leave)
    assert decision.target is not None
    assert decision.target.version == "1.0.0"


@pytest.mark.parametrize("offers", [[], [NEW]])
def test_rule_3_a_revoked_release_is_left_for_nothing_when_nothing_fits(
    offers: list[TrustedRelease],
) -> None:
    revoked = (revocation("2.0.0"),)
    decision = _decide(offers, client("2.0.0"), revoked=revoked)
    assert isinstance(decision, Leave)
    assert decision.target is None
    assert [found.obstacle for found in decision.considered] == [Obstacle.REVOKED] * len(offers)


def test_rule_3_a_release_whose_remedy_says_so_stays() -> None:
    decision = _decide([OLD], client("1.0.0"), revoked=(revocation("1.0.0", Remedy.BLOCK_NEW),))
    assert isinstance(decision, UpToDate)
    decision = _decide([OLD], client("1.0.0", known_revocations={"1.0.0": Remedy.BLOCK_NEW}))
    assert isinstance(decision, UpToDate)


def test_rule_3_a_revocation_seen_before_is_remembered() -> None:
    decision = _decide([NEW], client("1.0.0", known_revocations={"1.0.0": Remedy.REPLACE}))
    assert isinstance(decision, Leave)
    assert decision.reason == "1.0.0 is revoked: seen revoked before"


def test_rule_3_a_milder_remedy_does_not_take_back_a_stricter_one_that_was_seen() -> None:
    milder = (revocation("1.0.0", Remedy.BLOCK_NEW),)
    for strict in (Remedy.REPLACE, Remedy.LAST_GOOD):
        known = client("1.0.0", known_revocations={"1.0.0": strict})
        decision = _decide([OLD], known, revoked=milder)
        assert isinstance(decision, Leave)
        assert decision.remedy is strict
        lifted = trusted("1.0.0", lifted=[STABLE])
        assert isinstance(_decide([lifted], known, revoked=milder), UpToDate)
    other = client("1.0.0", known_revocations={"1.0.0": Remedy.REPLACE})
    decision = _decide([OLD], other, revoked=(revocation("1.0.0", Remedy.LAST_GOOD),))
    assert isinstance(decision, Leave)
    assert decision.remedy is Remedy.LAST_GOOD


def test_rule_3_only_publishers_lift_a_revocation_that_was_seen() -> None:
    known = client("1.0.0", known_revocations={"1.0.0": Remedy.REPLACE})
    lifted = trusted("1.0.0", lifted=[STABLE])
    assert isinstance(_decide([lifted], known), UpToDate)
    elsewhere = trusted("1.0.0", lifted=[ChannelName("beta")])
    assert isinstance(_decide([elsewhere], known), Leave)
    other = trusted("2.0.0", lifted=[STABLE])
    assert isinstance(_decide([other], known, live=[OLD]), Leave)


def test_rule_3_a_lifted_revocation_that_still_stands_still_counts() -> None:
    lifted = trusted("1.0.0", lifted=[STABLE])
    assert isinstance(_decide([lifted], revoked=(revocation("1.0.0"),)), Leave)


def test_rule_3_a_client_without_a_release_has_none_to_leave() -> None:
    assert _held(_decide([], client(""), revoked=(revocation("1.0.0"),))) is (
        Obstacle.NOTHING_OFFERED
    )


# -- Rule 4 ---------------------------------------------------------------------------------


def test_rule_4_the_newest_that_fits_is_taken() -> None:
    assert _offered(_decide([NEW, MIDDLE, OLD])) == "2.0.0"
    assert _offered(_decide([offer_of(NEW, 0), MIDDLE], live=[NEW])) == "1.1.0"


def test_rule_4_the_order_in_the_document_does_not_matter() -> None:
    """The order is the online key's word: it can hold nothing back and hand down nothing older."""
    assert _offered(_decide([OLD, MIDDLE, NEW])) == "2.0.0"
    assert _offered(_decide([OLD, MIDDLE, NEW], client(""))) == "2.0.0"
    assert isinstance(_decide([OLD, MIDDLE], client("1.1.0")), UpToDate)


@pytest.mark.parametrize("installed", ["2.0.0", "2.0.1", "10.0.0", "2.0.0+build"])
def test_rule_4_nothing_older_or_equal_is_ever_offered(installed: str) -> None:
    decision = _decide([NEW, MIDDLE, OLD], client(installed))
    assert isinstance(decision, UpToDate)
    assert decision.version == installed
    assert decision.considered == ()


def test_rule_4_the_order_is_the_one_of_the_app_s_scheme() -> None:
    pep440 = PolicyDocument(app=APP, versions=VersionScheme.PEP440)
    post = trusted("1.0.0.post1")
    assert _offered(_decide([post], policy=pep440)) == "1.0.0.post1"
    candidate = trusted("1.0.0rc1")
    assert isinstance(_decide([candidate], policy=pep440), UpToDate)


# -- Rule 5 ---------------------------------------------------------------------------------


def test_rule_5_a_revoked_release_does_not_fit() -> None:
    for remedy in Remedy:
        decision = _decide([NEW], revoked=(revocation("2.0.0", remedy),))
        assert _held(decision) is Obstacle.REVOKED
        assert _held(_decide([NEW], client("1.0.0", known_revocations={"2.0.0": remedy}))) is (
            Obstacle.REVOKED
        )


def test_rule_5_a_release_whose_revocation_was_lifted_fits() -> None:
    known = client("1.0.0", known_revocations={"2.0.0": Remedy.REPLACE})
    assert _offered(_decide([trusted("2.0.0", lifted=[STABLE])], known)) == "2.0.0"


@pytest.mark.parametrize(
    ("signed", "remembered", "fits"),
    [
        ("", "", True),
        ("2.0.0", "", True),
        ("", "2.0.0", True),
        ("2.0.1", "", False),
        ("", "2.0.1", False),
        ("1.0.0", "2.0.1", False),
        ("2.0.1", "1.0.0", False),
    ],
)
def test_rule_5_a_release_below_the_floor_does_not_fit(
    signed: str, remembered: str, fits: bool
) -> None:
    decision = _decide([trusted("2.0.0", floor=signed)], client("1.0.0", known_floor=remembered))
    if fits:
        assert _offered(decision) == "2.0.0"
    else:
        assert _held(decision) is Obstacle.BELOW_FLOOR
        assert "below the floor 2.0.1" in str(decision)


def test_rule_5_the_floor_holds_for_the_first_installation_and_for_leaving() -> None:
    low = trusted("1.0.0", floor="1.5.0")
    assert _held(_decide([low], client(""))) is Obstacle.BELOW_FLOOR
    decision = _decide([low], client("2.0.0"), revoked=(revocation("2.0.0"),))
    assert isinstance(decision, Leave)
    assert decision.target is None


def test_rule_5_the_floor_of_another_channel_does_not_count() -> None:
    floors = {ChannelName("beta"): "9.0.0"}
    found = replace(NEW, entry=replace(NEW.entry, floors=floors))
    assert _offered(_decide([found])) == "2.0.0"


def test_rule_5_what_failed_here_is_not_tried_before_its_time() -> None:
    until = NOW + timedelta(hours=1)
    failed = client("1.0.0", quarantine=(Quarantine(sha256=NEW.sha256, until=until),))
    assert _held(_decide([NEW], failed)) is Obstacle.QUARANTINED
    over = client("1.0.0", quarantine=(Quarantine(sha256=NEW.sha256, until=NOW),))
    assert _offered(_decide([NEW], over)) == "2.0.0"
    other = client("1.0.0", quarantine=(Quarantine(sha256=OLD.sha256, until=until),))
    assert _offered(_decide([NEW], other)) == "2.0.0"


def test_rule_5_what_the_owner_skips_does_not_fit() -> None:
    assert _held(_decide([NEW], client("1.0.0", skipped=frozenset({"2.0.0"})))) is Obstacle.SKIPPED


def test_rule_5_only_what_the_owner_pinned_fits() -> None:
    assert _held(_decide([NEW], client("1.0.0", pinned="1.1.0"))) is Obstacle.NOT_PINNED
    assert _offered(_decide([NEW, MIDDLE], client("1.0.0", pinned="1.1.0"))) == "1.1.0"
    assert _offered(_decide([NEW], client("1.0.0", pinned="2.0.0"))) == "2.0.0"


def test_rule_5_a_release_without_an_artifact_for_this_platform_does_not_fit() -> None:
    macos = client("1.0.0", platform=Platform("macos-aarch64"))
    assert _held(_decide([NEW], macos)) is Obstacle.NO_ARTIFACT
    anywhere = release("2.0.0", artifacts=(artifact(platform=Platform("any")),))
    assert _offered(_decide([trusted("2.0.0", document=anywhere)], macos)) == "2.0.0"


@pytest.mark.parametrize(
    ("requires", "python", "fits"),
    [
        (">=3.12", "3.12.1", True),
        (">=3.12", "3.11.7", False),
        ("nonsense", "3.11.7", False),
        ("", "3.11.7", True),
        (">=3.12", "", True),
    ],
)
def test_rule_5_wheels_for_another_python_do_not_fit(
    requires: str, python: str, fits: bool
) -> None:
    install = Install(python=PythonWheels(wheels="wheels", requires=requires))
    able = client("1.0.0", python=python, capabilities=WITH_WHEELS)
    decision = _decide([trusted("2.0.0", document=release("2.0.0", install=install))], able)
    if fits:
        assert _offered(decision) == "2.0.0"
    else:
        assert _held(decision) is Obstacle.LACKS_CAPABILITY
        assert f"needs Python {requires}, and this updater runs with {python}" in str(decision)


def test_rule_5_what_this_updater_cannot_do_is_said() -> None:
    document = release(
        "2.0.0",
        artifacts=(artifact(kind="tar.zst"),),
        requires=Requirements(capabilities=("delta/some",)),
    )
    decision = _decide([trusted("2.0.0", document=document)])
    assert _held(decision) is Obstacle.LACKS_CAPABILITY
    wanted = "archive/tar.zst, delta/some (install lockgate-updater[zstd])"
    assert wanted in str(decision)
    able = client(
        "1.0.0", capabilities=frozenset({archive_capability("tar.zst"), "delta/some", "more"})
    )
    assert _offered(_decide([trusted("2.0.0", document=document)], able)) == "2.0.0"


@pytest.mark.parametrize(("installed", "fits"), [("1.0.0", False), ("1.1.0", True), ("", True)])
def test_rule_5_a_release_out_of_reach_does_not_fit(installed: str, fits: bool) -> None:
    document = release("2.0.0", requires=Requirements(from_version="1.1.0"))
    decision = _decide([trusted("2.0.0", document=document)], client(installed))
    if fits:
        assert _offered(decision) == "2.0.0"
    else:
        assert _held(decision) is Obstacle.NEEDS_STEPPING_STONE
        assert "from 1.1.0 or later" in str(decision)


def test_rule_5_a_stepping_stone_that_is_offered_is_taken() -> None:
    document = release("2.0.0", requires=Requirements(from_version="1.1.0"))
    assert _offered(_decide([trusted("2.0.0", document=document), MIDDLE])) == "1.1.0"


# -- Rule 6 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "obstacle"),
    [(RolloutState.PAUSED, Obstacle.PAUSED), (RolloutState.HALTED, Obstacle.HALTED)],
)
def test_rule_6_a_rollout_that_stands_still_reaches_nobody(
    state: RolloutState, obstacle: Obstacle
) -> None:
    for passes_gate in (False, True):
        decision = _decide(
            [offer_of(NEW, 10_000, state=state)], client(passes_gate=passes_gate), live=[NEW]
        )
        assert _held(decision) is obstacle


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
    decision = _decide([offer], live=[NEW])
    numbers = f"bucket {PLACE}, exposure {exposure_bp} of 10000"
    if isinstance(outcome, Arm):
        assert isinstance(decision, Offer)
        assert (decision.arm, decision.epoch) == (outcome, 5)
        assert decision.reason == f"2.0.0 is offered ({numbers})"
    else:
        assert _held(decision) is outcome
        assert numbers in str(decision)


def test_rule_6_a_person_who_asks_passes_the_gate_and_nothing_else() -> None:
    asking = client("1.0.0", passes_gate=True)
    decision = _decide([offer_of(NEW, PLACE)], asking, live=[NEW])
    assert isinstance(decision, Offer)
    assert decision.arm is Arm.CONTROL
    assert "a person who asked" in decision.reason
    closed = _decide([offer_of(NEW, 0)], asking, live=[NEW])
    assert _held(closed) is Obstacle.OUTSIDE_GATE
    cases: list[tuple[dict[str, Any], Obstacle]] = [
        ({"skipped": frozenset({"2.0.0"})}, Obstacle.SKIPPED),
        ({"known_floor": "3.0.0"}, Obstacle.BELOW_FLOOR),
        ({"known_revocations": {"2.0.0": Remedy.REPLACE}}, Obstacle.REVOKED),
        ({"capabilities": frozenset[str]()}, Obstacle.LACKS_CAPABILITY),
    ]
    for changes, obstacle in cases:
        assert _held(_decide([NEW], replace(asking, **changes))) is obstacle


def test_rule_6_a_person_waits_where_the_policy_says_so() -> None:
    rule = ChannelPolicy(manual_check=ManualCheck.WAIT)
    for name, passes in (("stable", False), ("beta", True), ("*", False)):
        policy = PolicyDocument(app=APP, channels={name: rule})
        asking = client("1.0.0", passes_gate=True)
        decision = _decide([offer_of(NEW, PLACE)], asking, live=[NEW], policy=policy)
        assert isinstance(decision, Offer) is passes
        if not passes:
            assert _held(decision) is Obstacle.CONTROL
            assert "the policy lets no person pass" in str(decision)
        within = _decide([offer_of(NEW, 10_000)], asking, live=[NEW], policy=policy)
        assert isinstance(within, Offer)


def test_rule_6_a_client_whose_id_is_malformed_is_let_through_nowhere() -> None:
    with pytest.raises(ValueError, match="client id"):
        _decide([NEW], client("1.0.0", client_id="me"))


# -- Rule 7 ---------------------------------------------------------------------------------


def test_rule_7_the_reason_is_the_newest_one_s() -> None:
    decision = _decide(
        [offer_of(NEW, 0), offer_of(MIDDLE, 10_000, state=RolloutState.PAUSED)], live=[NEW, MIDDLE]
    )
    assert _held(decision) is Obstacle.CONTROL
    assert isinstance(decision, Held)
    assert [(found.version, found.obstacle) for found in decision.considered] == [
        ("2.0.0", Obstacle.CONTROL),
        ("1.1.0", Obstacle.PAUSED),
    ]


@pytest.mark.parametrize("installed", ["", "1.0.0"])
def test_rule_7_a_channel_that_offers_nothing_says_so(installed: str) -> None:
    decision = _decide([], client(installed))
    assert _held(decision) is Obstacle.NOTHING_OFFERED
    assert "stable offers nothing" in str(decision)


def test_rule_7_when_none_is_newer_the_client_is_up_to_date() -> None:
    decision = _decide([MIDDLE, OLD], client("1.1.0"))
    assert isinstance(decision, UpToDate)
    assert "1.1.0 is installed" in decision.reason


def test_an_offer_explains_what_was_looked_at_before_it() -> None:
    decision = _decide([offer_of(NEW, 0), MIDDLE], live=[NEW])
    assert isinstance(decision, Offer)
    assert [(found.version, found.obstacle) for found in decision.considered] == [
        ("2.0.0", Obstacle.CONTROL),
        ("1.1.0", None),
    ]


# -- Versions that are none -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("offers", "state"),
    [
        ([trusted("latest")], client("1.0.0")),
        ([trusted("2.0.0", floor="x")], client("1.0.0")),
        ([NEW], client("1.0")),
        ([NEW], client("1.0.0", known_floor="1.0")),
        (
            [trusted("2.0.0", document=release("2.0.0", requires=Requirements(from_version="1")))],
            client("1.0.0"),
        ),
    ],
)
def test_a_version_that_is_none_of_the_app_s_scheme_is_the_repository_s_fault(
    offers: list[TrustedRelease], state: ClientState
) -> None:
    with pytest.raises(DocumentError, match="not a version; expected SemVer"):
        _decide(offers, state)


def test_what_to_fetch_is_what_is_offered_and_what_is_installed() -> None:
    document: ChannelDocument = channel([offer_of(NEW), offer_of(OLD)])
    assert paths_to_fetch(document, "") == (NEW.path, OLD.path)
    assert paths_to_fetch(document, "1.0.0") == (NEW.path, OLD.path)
    assert paths_to_fetch(document, "1.1.0") == (NEW.path, OLD.path, MIDDLE.path)


# -- Rule 8 ---------------------------------------------------------------------------------


def test_rule_8_a_preview_that_is_over_offers_nothing_whatever_stands_in_its_document() -> None:
    still = _decide([NEW], retire_at=NOW + timedelta(seconds=1))
    assert _offered(still) == "2.0.0"
    over = _decide([NEW], retire_at=NOW)
    assert _held(over) is Obstacle.NOTHING_OFFERED
    assert "stable was a preview and has ended: follow another one" in str(over)


def test_rule_8_a_revoked_release_is_left_in_a_channel_that_is_over_too() -> None:
    decision = _decide([NEW], client("1.0.0"), revoked=(revocation("1.0.0"),), retire_at=NOW)
    assert isinstance(decision, Leave)
    assert decision.target is None


def test_rule_3_a_lift_does_not_take_back_what_was_revoked_later() -> None:
    lifted = trusted("1.0.0", lifted=[STABLE])
    for late, kind in ((timedelta(0), UpToDate), (timedelta(seconds=1), Leave)):
        known = client(
            "1.0.0",
            known_revocations={"1.0.0": Remedy.REPLACE},
            revoked_at={"1.0.0": NOW + late},
        )
        assert isinstance(_decide([lifted], known), kind)


# -- The bar of a channel (rules 2 and 5) ---------------------------------------------------

_MET = Standing(signatures=Count(found=("a", "b"), is_enough=True))
_GUARDED = PolicyDocument(
    app=APP, channels={STABLE: ChannelPolicy(signatures=SignatureRule(threshold=2))}
)


def _decide_by(standings: dict[str, Standing], **changes: Any) -> Decision:
    document = channel([offer_of(NEW), offer_of(OLD)], **changes)
    releases = {NEW.path: NEW, OLD.path: OLD}
    return decide(document, releases, _GUARDED, client("1.0.0"), NOW, standings)


def test_what_meets_its_bar_is_offered() -> None:
    assert _offered(_decide_by({NEW.path: _MET})) == "2.0.0"


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
    decision = _decide([NEW], policy=policy)
    assert _held(decision) is Obstacle.LACKS_CAPABILITY
    assert "can do: attestations (install lockgate-updater[attestations])" in decision.reason
    forced = _decide([NEW], client("1.0.0", passes_gate=True), policy=policy)
    assert _held(forced) is Obstacle.LACKS_CAPABILITY


def test_who_can_prove_origins_or_was_told_not_to_is_offered_it() -> None:
    rule = ChannelPolicy(attestations=ATTESTED)
    policy = PolicyDocument(app=APP, channels={STABLE: rule})
    plain = client("1.0.0")
    able = replace(plain, capabilities=plain.capabilities | {ATTESTATIONS})
    assert isinstance(_decide([NEW], able, policy=policy), Offer)
    allowed = replace(plain, allows_unattested=True)
    assert isinstance(_decide([NEW], allowed, policy=policy), Offer)


def test_the_installed_one_is_looked_up_where_the_channel_takes_releases_from() -> None:
    document = channel([])
    rule = ChannelPolicy(paths=("previews/*/release.json", "releases/*/release.json"))
    policy = PolicyDocument(app=APP, channels={STABLE: rule})
    assert paths_to_fetch(document, "1.0.0", policy) == (
        "previews/1.0.0/release.json",
        "releases/1.0.0/release.json",
    )
    anywhere = PolicyDocument(
        app=APP, channels={STABLE: ChannelPolicy(paths=("*/*/release.json",))}
    )
    assert paths_to_fetch(document, "1.0.0", anywhere) == ("releases/1.0.0/release.json",)
    assert paths_to_fetch(document, "", anywhere) == ()
