"""The decision, rule by rule; the numbers in the names are those of the module's docstring."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lockgate_release.decision import (
    ClientState,
    Held,
    Leave,
    Obstacle,
    Offer,
    UpToDate,
    paths_to_fetch,
)
from lockgate_release.documents import (
    ChannelDocument,
    ChannelOffer,
    ChannelPolicy,
    PolicyDocument,
    Requirements,
    RolloutState,
    TrustedRelease,
)
from lockgate_release.errors import DocumentError, ExpiredError, RefusedOfferError
from lockgate_release.names import AppName, ChannelName
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
    sha256_of,
    trusted,
)
from tests.unit.release.deciding import MIDDLE, NEW, OLD, decide_between, held, offered

# -- Rule 1 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), timedelta(days=900)])
def test_rule_1_an_answer_past_its_expiry_is_no_answer(late: timedelta) -> None:
    with pytest.raises(ExpiredError, match="expired channel document"):
        decide_between([NEW], expires_at=NOW - late)


def test_rule_1_an_answer_holds_until_its_last_second() -> None:
    assert offered(decide_between([NEW], expires_at=NOW + timedelta(seconds=1))) == "2.0.0"


# -- Rule 2 ---------------------------------------------------------------------------------


def _refuse(words: str, *offers: ChannelOffer, **options: Any) -> None:
    with pytest.raises(RefusedOfferError, match=words):
        decide_between(offers, **options)


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
    assert offered(decide_between([preview], policy=policy)) == "2.0.0"


def test_rule_2_another_app_s_release_is_refused() -> None:
    other = trusted("2.0.0", document=release("2.0.0", app=AppName("other")))
    _refuse("another app", offer_of(other), live=[other])


@pytest.mark.parametrize("changes", [{"app": AppName("other")}, {"channel": ChannelName("beta")}])
def test_rule_2_a_document_for_somebody_else_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RefusedOfferError, match="document for somebody else"):
        decide_between([], **changes)


def test_rule_2_another_app_s_policy_is_refused() -> None:
    with pytest.raises(RefusedOfferError, match="document for somebody else"):
        decide_between([], policy=PolicyDocument(app=AppName("other")))


def test_rule_2_a_refused_offer_hides_behind_no_other() -> None:
    """Also where the newest fits, or the client is up to date with all but the stray one."""
    stray = offer_of(trusted("1.1.0"))
    _refuse("no publisher", stray, live=[NEW])
    with pytest.raises(RefusedOfferError):
        decide_between([offer_of(NEW, 0), stray], live=[NEW])


# -- Rule 4 ---------------------------------------------------------------------------------


def test_rule_4_the_newest_that_fits_is_taken() -> None:
    assert offered(decide_between([NEW, MIDDLE, OLD])) == "2.0.0"
    assert offered(decide_between([offer_of(NEW, 0), MIDDLE], live=[NEW])) == "1.1.0"


def test_rule_4_the_order_in_the_document_does_not_matter() -> None:
    """The order is the online key's word: it can hold nothing back and hand down nothing older."""
    assert offered(decide_between([OLD, MIDDLE, NEW])) == "2.0.0"
    assert offered(decide_between([OLD, MIDDLE, NEW], client(""))) == "2.0.0"
    assert isinstance(decide_between([OLD, MIDDLE], client("1.1.0")), UpToDate)


@pytest.mark.parametrize("installed", ["2.0.0", "2.0.1", "10.0.0", "2.0.0+build"])
def test_rule_4_nothing_older_or_equal_is_ever_offered(installed: str) -> None:
    decision = decide_between([NEW, MIDDLE, OLD], client(installed))
    assert isinstance(decision, UpToDate)
    assert decision.version == installed
    assert decision.considered == ()


def test_rule_4_the_order_is_the_one_of_the_app_s_scheme() -> None:
    pep440 = PolicyDocument(app=APP, versions=VersionScheme.PEP440)
    post = trusted("1.0.0.post1")
    assert offered(decide_between([post], policy=pep440)) == "1.0.0.post1"
    candidate = trusted("1.0.0rc1")
    assert isinstance(decide_between([candidate], policy=pep440), UpToDate)


# -- Rule 7 ---------------------------------------------------------------------------------


def test_rule_7_the_reason_is_the_newest_one_s() -> None:
    decision = decide_between(
        [offer_of(NEW, 0), offer_of(MIDDLE, 10_000, state=RolloutState.PAUSED)], live=[NEW, MIDDLE]
    )
    assert held(decision) is Obstacle.CONTROL
    assert isinstance(decision, Held)
    assert [(found.version, found.obstacle) for found in decision.considered] == [
        ("2.0.0", Obstacle.CONTROL),
        ("1.1.0", Obstacle.PAUSED),
    ]


@pytest.mark.parametrize("installed", ["", "1.0.0"])
def test_rule_7_a_channel_that_offers_nothing_says_so(installed: str) -> None:
    decision = decide_between([], client(installed))
    assert held(decision) is Obstacle.NOTHING_OFFERED
    assert "stable offers nothing" in str(decision)


def test_rule_7_when_none_is_newer_the_client_is_up_to_date() -> None:
    decision = decide_between([MIDDLE, OLD], client("1.1.0"))
    assert isinstance(decision, UpToDate)
    assert "1.1.0 is installed" in decision.reason


def test_an_offer_explains_what_was_looked_at_before_it() -> None:
    decision = decide_between([offer_of(NEW, 0), MIDDLE], live=[NEW])
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
        decide_between(offers, state)


def test_what_to_fetch_is_what_is_offered_and_what_is_installed() -> None:
    document: ChannelDocument = channel([offer_of(NEW), offer_of(OLD)])
    assert paths_to_fetch(document, "") == (NEW.path, OLD.path)
    assert paths_to_fetch(document, "1.0.0") == (NEW.path, OLD.path)
    assert paths_to_fetch(document, "1.1.0") == (NEW.path, OLD.path, MIDDLE.path)


# -- Rule 8 ---------------------------------------------------------------------------------


def test_rule_8_a_preview_that_is_over_offers_nothing_whatever_stands_in_its_document() -> None:
    still = decide_between([NEW], retire_at=NOW + timedelta(seconds=1))
    assert offered(still) == "2.0.0"
    over = decide_between([NEW], retire_at=NOW)
    assert held(over) is Obstacle.NOTHING_OFFERED
    assert "stable was a preview and has ended: follow another one" in str(over)


def test_rule_8_a_revoked_release_is_left_in_a_channel_that_is_over_too() -> None:
    decision = decide_between([NEW], client("1.0.0"), revoked=(revocation("1.0.0"),), retire_at=NOW)
    assert isinstance(decision, Leave)
    assert decision.target is None


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
