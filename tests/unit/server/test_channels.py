"""What a channel offers next: every branch of the pure rules."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from lockgate_release.documents import ChannelDocument, Remedy, Revocation, RolloutState
from lockgate_release.errors import ConflictError, UsageError
from lockgate_release.names import AppName, ChannelName, Sha256Hex
from lockgate_release.trust.roles import EXPIRY, Role
from lockgate_release.versions import VersionScheme
from lockgate_server.errors import NotFoundError
from lockgate_server.services.write.channels import (
    Allowed,
    Candidate,
    full_version,
    issue,
    offer_release,
    revoke_release,
    start_channel,
)
from lockgate_server.services.write.steering import pause_rollout, resume_rollout, set_exposure

NOW = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
EVERY = ("1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0")


def allowed(*versions: str, salt: str = "f" * 32, lifted: tuple[str, ...] = ()) -> Allowed:
    return Allowed(
        candidates={
            version: Candidate(
                version=version,
                path=f"releases/{version}/release.json",
                sha256=Sha256Hex(str(number) * 64),
                lifted_at=NOW if version in lifted else None,
            )
            for number, version in enumerate(versions or EVERY)
        },
        order=VersionScheme.SEMVER.parse,
        salt=salt,
    )


def empty() -> ChannelDocument:
    return start_channel(AppName("demo"), ChannelName("stable"), NOW)


def offering(*steps: tuple[str, int]) -> ChannelDocument:
    document = empty()
    for number, (version, exposure_bp) in enumerate(steps, start=1):
        salt = f"{number:032x}"
        document = offer_release(document, allowed(salt=salt), version, exposure_bp)
    return document


def offers(document: ChannelDocument) -> list[tuple[str, int]]:
    return [(offer.version, offer.rollout.exposure_bp) for offer in document.offers]


def revocation(version: str, reason: str = "bad", remedy: Remedy = Remedy.REPLACE) -> Revocation:
    return Revocation(version=version, reason=reason, remedy=remedy, at=NOW)


def test_an_issue_counts_up_by_one_and_lasts_for_its_time() -> None:
    issued = issue(issue(empty(), NOW), NOW + timedelta(days=1))
    assert issued.sequence == 2
    assert issued.issued_at == NOW + timedelta(days=1)
    assert issued.expires_at == NOW + timedelta(days=1) + EXPIRY[Role.CHANNELS]


def test_a_full_offer_stands_alone() -> None:
    document = offering(("1.0.0", 10_000), ("1.1.0", 10_000))
    assert offers(document) == [("1.1.0", 10_000)]
    assert document.once_full == ("1.1.0", "1.0.0")
    assert full_version(document) == "1.1.0"


def test_a_new_offer_begins_at_epoch_one_with_everybody_else_as_control() -> None:
    rollout = offering(("1.0.0", 1_500)).offers[0].rollout
    assert (rollout.epoch, rollout.exposure_bp, rollout.control_bp) == (1, 1_500, 8_500)
    assert rollout.state is RolloutState.ACTIVE


def test_a_partial_offer_stands_before_the_one_everybody_has() -> None:
    document = offering(("1.0.0", 10_000), ("1.1.0", 1_000))
    assert offers(document) == [("1.1.0", 1_000), ("1.0.0", 10_000)]
    assert document.once_full == ("1.0.0",)


def test_a_first_partial_offer_leaves_outsiders_with_nothing() -> None:
    document = offering(("1.0.0", 1_000))
    assert offers(document) == [("1.0.0", 1_000)]
    assert full_version(document) is None


def test_an_unfinished_rollout_is_replaced_and_hands_its_salt_on() -> None:
    before = offering(("1.0.0", 10_000), ("1.1.0", 1_000))
    after = offer_release(before, allowed(salt="9" * 32), "1.2.0", 500)
    assert offers(after) == [("1.2.0", 500), ("1.0.0", 10_000)]
    assert after.offers[0].rollout.salt == before.offers[0].rollout.salt


def test_a_finished_rollout_hands_no_salt_on() -> None:
    before = offering(("1.0.0", 10_000))
    after = offer_release(before, allowed(salt="9" * 32), "1.1.0", 500)
    assert after.offers[0].rollout.salt == "9" * 32


def test_a_partial_offer_after_nothing_but_partial_ones_gets_the_newest_once_full_behind_it() -> (
    None
):
    before = set_exposure(offering(("1.0.0", 10_000), ("1.1.0", 10_000)), allowed(), "1.1.0", 500)
    after = offer_release(before, allowed(), "1.2.0", 100)
    assert offers(after) == [("1.2.0", 100), ("1.0.0", 10_000)]


@pytest.mark.parametrize("exposure_bp", [0, 1_000, 10_000])
def test_the_same_offer_again_changes_nothing(exposure_bp: int) -> None:
    before = offering(("1.0.0", exposure_bp))
    assert offer_release(before, allowed(), "1.0.0", exposure_bp) is before


def test_the_same_release_at_another_exposure_is_for_rollout_set() -> None:
    with pytest.raises(UsageError, match="rollout set"):
        offer_release(offering(("1.0.0", 1_000)), allowed(), "1.0.0", 2_000)


def test_a_release_below_what_everybody_has_is_refused() -> None:
    with pytest.raises(UsageError, match=r"reach nobody.*above 1\.1\.0.*found 1\.0\.0"):
        offer_release(offering(("1.1.0", 10_000)), allowed(), "1.0.0", 10_000)


def test_a_release_below_an_unfinished_rollout_may_replace_it() -> None:
    after = offer_release(offering(("1.0.0", 10_000), ("1.2.0", 500)), allowed(), "1.1.0", 10_000)
    assert offers(after) == [("1.1.0", 10_000)]


def test_a_revoked_release_is_not_offered_again() -> None:
    document = revoke_release(offering(("1.0.0", 10_000)), allowed(), revocation("1.0.0"))
    with pytest.raises(UsageError, match="revoked in this channel"):
        offer_release(document, allowed(), "1.0.0", 10_000)


def test_a_revocation_that_the_publishers_have_lifted_is_taken_back_by_the_offer() -> None:
    document = revoke_release(offering(("1.0.0", 10_000)), allowed(), revocation("1.0.0"))
    document = revoke_release(document, allowed(), revocation("1.1.0"))
    lifted = offer_release(document, allowed(*EVERY, lifted=("1.0.0",)), "1.0.0", 10_000)
    assert [item.version for item in lifted.revoked] == ["1.1.0"]
    assert offers(lifted) == [("1.0.0", 10_000)]


def test_widening_counts_the_epoch_up_and_keeps_the_salt() -> None:
    before = offering(("1.0.0", 10_000), ("1.1.0", 1_000))
    after = set_exposure(before, allowed(), "1.1.0", 5_000)
    old, new = before.offers[0].rollout, after.offers[0].rollout
    assert (new.exposure_bp, new.control_bp, new.epoch) == (5_000, 5_000, 2)
    assert new.salt == old.salt


def test_reaching_everybody_drops_what_is_older_and_is_remembered() -> None:
    after = set_exposure(offering(("1.0.0", 10_000), ("1.1.0", 1_000)), allowed(), "1.1.0", 10_000)
    assert offers(after) == [("1.1.0", 10_000)]
    assert after.once_full == ("1.1.0", "1.0.0")


def test_reaching_everybody_while_paused_finishes_nothing() -> None:
    before = pause_rollout(offering(("1.0.0", 10_000), ("1.1.0", 1_000)), allowed(), "1.1.0")
    after = set_exposure(before, allowed(), "1.1.0", 10_000)
    assert offers(after) == [("1.1.0", 10_000), ("1.0.0", 10_000)]
    assert after.once_full == ("1.0.0",)
    resumed = resume_rollout(after, allowed(), "1.1.0", now=NOW)
    assert offers(resumed) == [("1.1.0", 10_000)]


def test_the_same_exposure_changes_nothing() -> None:
    before = offering(("1.0.0", 1_000))
    assert set_exposure(before, allowed(), "1.0.0", 1_000) is before


def test_narrowing_what_everybody_had_puts_the_one_before_back() -> None:
    before = offering(("1.0.0", 10_000), ("1.1.0", 10_000))
    after = set_exposure(before, allowed(), "1.1.0", 2_000)
    assert offers(after) == [("1.1.0", 2_000), ("1.0.0", 10_000)]


def test_pausing_stops_and_resuming_goes_on_each_with_a_new_epoch() -> None:
    before = offering(("1.0.0", 1_000))
    paused = pause_rollout(before, allowed(), "1.0.0")
    assert paused.offers[0].rollout.state is RolloutState.PAUSED
    assert paused.offers[0].rollout.epoch == 2
    resumed = resume_rollout(paused, allowed(), "1.0.0", now=NOW)
    assert resumed.offers[0].rollout.state is RolloutState.ACTIVE
    assert resumed.offers[0].rollout.epoch == 3


def test_pausing_twice_and_resuming_what_goes_on_change_nothing() -> None:
    before = offering(("1.0.0", 1_000))
    paused = pause_rollout(before, allowed(), "1.0.0")
    assert pause_rollout(paused, allowed(), "1.0.0") is paused
    assert resume_rollout(before, allowed(), "1.0.0", now=NOW) is before


@pytest.mark.parametrize("change", [pause_rollout, partial(resume_rollout, now=NOW)])
def test_a_rollout_that_changed_since_somebody_looked_is_a_conflict(change: object) -> None:
    before = set_exposure(offering(("1.0.0", 1_000)), allowed(), "1.0.0", 2_000)
    with pytest.raises(ConflictError, match=r"expected epoch 1; found epoch 2, active"):
        change(before, allowed(), "1.0.0", expected_epoch=1)  # type: ignore[operator]
    with pytest.raises(ConflictError):
        set_exposure(before, allowed(), "1.0.0", 3_000, expected_epoch=1)
    set_exposure(before, allowed(), "1.0.0", 3_000, expected_epoch=2)


def test_a_rollout_of_what_is_not_offered_does_not_exist() -> None:
    with pytest.raises(NotFoundError, match=r"one of what is: 1\.0\.0"):
        pause_rollout(offering(("1.0.0", 1_000)), allowed(), "1.1.0")
    with pytest.raises(NotFoundError, match="nothing"):
        set_exposure(empty(), allowed(), "1.1.0", 1)


def test_revoking_what_everybody_has_puts_the_newest_once_full_back() -> None:
    before = offering(("1.0.0", 10_000), ("1.1.0", 10_000), ("1.2.0", 10_000))
    after = revoke_release(before, allowed(salt="a" * 32), revocation("1.2.0"))
    assert offers(after) == [("1.1.0", 10_000)]
    assert after.once_full == ("1.1.0", "1.0.0")
    assert after.offers[0].rollout.salt == "a" * 32
    assert after.revocation_of("1.2.0") == revocation("1.2.0")


def test_revoking_passes_over_what_is_no_longer_allowed() -> None:
    before = offering(("1.0.0", 10_000), ("1.1.0", 10_000), ("1.2.0", 10_000))
    after = revoke_release(before, allowed("1.0.0", "1.2.0"), revocation("1.2.0"))
    assert offers(after) == [("1.0.0", 10_000)]
    assert after.once_full == ("1.0.0",)


def test_revoking_the_last_leaves_nothing() -> None:
    after = revoke_release(offering(("1.0.0", 10_000)), allowed(), revocation("1.0.0"))
    assert offers(after) == []
    assert after.once_full == ()


def test_revoking_an_unfinished_rollout_leaves_everybody_where_they_are() -> None:
    before = offering(("1.0.0", 10_000), ("1.1.0", 1_000))
    after = revoke_release(before, allowed(), revocation("1.1.0"))
    assert offers(after) == [("1.0.0", 10_000)]


def test_revoking_what_is_behind_a_rollout_puts_only_something_older_behind_it() -> None:
    document = offering(("1.0.0", 10_000), ("1.1.0", 10_000), ("1.3.0", 10_000))
    document = set_exposure(document, allowed(), "1.3.0", 500)
    document = offer_release(document, allowed(), "1.2.0", 500)
    assert offers(document) == [("1.2.0", 500), ("1.1.0", 10_000)]
    after = revoke_release(document, allowed(), revocation("1.1.0"))
    assert offers(after) == [("1.2.0", 500), ("1.0.0", 10_000)]


def test_revoking_again_for_the_same_reason_changes_nothing() -> None:
    before = revoke_release(offering(("1.0.0", 10_000)), allowed(), revocation("1.0.0"))
    assert revoke_release(before, allowed(), revocation("1.0.0")) is before


def test_revoking_again_for_another_reason_says_so_and_keeps_the_moment() -> None:
    before = revoke_release(offering(("1.0.0", 10_000)), allowed(), revocation("1.0.0"))
    later = Revocation(
        version="1.0.0", reason="worse", remedy=Remedy.LAST_GOOD, at=NOW + timedelta(days=1)
    )
    (only,) = revoke_release(before, allowed(), later).revoked
    assert (only.reason, only.remedy, only.at) == ("worse", Remedy.LAST_GOOD, NOW)


def test_no_more_than_fifty_are_remembered() -> None:
    versions = [f"1.{minor}.0" for minor in range(60)]
    document = empty()
    for version in versions:
        document = offer_release(document, allowed(*versions), version, 10_000)
    assert document.once_full == tuple(reversed(versions[10:]))
