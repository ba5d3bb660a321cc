"""What moves one rollout on: every branch of the pure rules."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lockgate_release.documents import ChannelDocument, Rollout, RolloutState
from lockgate_release.errors import ConflictError, DocumentError, UsageError
from lockgate_release.names import AppName, ChannelName, Sha256Hex
from lockgate_release.rollout.plan import DEFAULT_PLAN, Plan
from lockgate_release.rollout.progress import Progress, begin, read_progress
from lockgate_release.rollout.situation import Reason
from lockgate_release.versions import VersionScheme
from lockgate_server.services.write.channels import (
    Allowed,
    Candidate,
    check_app_moving,
    offer_release,
    start_channel,
)
from lockgate_server.services.write.steering import (
    approve_step,
    finish_rollout,
    halt_rollout,
    next_step,
    pause_rollout,
    resume_rollout,
    set_exposure,
    set_plan,
)
from lockgate_server.services.write.stops import start_again, stop_channel

NOW = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=2)
NEW, OLD = "1.1.0", "1.0.0"
ALLOWED = Allowed(
    candidates={
        version: Candidate(
            version=version,
            path=f"releases/{version}/release.json",
            sha256=Sha256Hex(str(number) * 64),
        )
        for number, version in enumerate((OLD, NEW, "1.2.0"))
    },
    order=VersionScheme.SEMVER.parse,
    salt="f" * 32,
)


def _begun(plan: Plan = DEFAULT_PLAN) -> Progress:
    return begin(plan, name="canary", now=NOW).step(epoch=1, now=NOW)


def _document(progress: Progress | None = None, exposure_bp: int = 0) -> ChannelDocument:
    """1.0.0 for everybody, and 1.1.0 by a plan, or at an exposure."""
    document = start_channel(AppName("demo"), ChannelName("stable"), NOW)
    document = offer_release(document, ALLOWED, OLD, 10_000)
    return offer_release(document, ALLOWED, NEW, exposure_bp, progress)


def _rollout(document: ChannelDocument, version: str = NEW) -> Rollout:
    offer = document.offer_of(version)
    assert offer is not None
    return offer.rollout


def _progress(document: ChannelDocument) -> Progress:
    found = read_progress(_rollout(document))
    assert found is not None
    return found


def _halted(reason: Reason = Reason.WORSE_THAN_CONTROL) -> ChannelDocument:
    document = next_step(_document(_begun()), ALLOWED, NEW, NOW)
    return halt_rollout(document, ALLOWED, NEW, reason=reason)


def _states(document: ChannelDocument) -> list[tuple[str, int, str]]:
    return [
        (offer.version, offer.rollout.exposure_bp, offer.rollout.state) for offer in document.offers
    ]


def test_a_plan_begins_in_its_first_stage() -> None:
    rollout = _rollout(_document(_begun()))
    assert (rollout.exposure_bp, rollout.control_bp, rollout.epoch) == (100, 9_900, 1)


def test_a_plan_that_starts_later_reaches_nobody_before() -> None:
    waiting = _document(begin(DEFAULT_PLAN, name="", now=NOW, start_at=LATER))
    assert (_rollout(waiting).exposure_bp, _rollout(waiting).control_bp) == (0, 0)
    started = next_step(waiting, ALLOWED, NEW, LATER)
    assert (_rollout(started).exposure_bp, _rollout(started).epoch) == (100, 2)
    assert _progress(started).stage_epochs == (2,)
    assert _progress(started).stage_since == LATER


def test_publishing_the_same_plan_again_changes_nothing_however_far_it_has_got() -> None:
    document = next_step(_document(_begun()), ALLOWED, NEW, LATER)
    assert offer_release(document, ALLOWED, NEW, 0, _begun()) is document


@pytest.mark.parametrize(
    ("progress", "words"), [(_begun(), "by another plan"), (None, "without a plan")]
)
def test_another_plan_for_what_is_offered_is_refused(progress: Progress | None, words: str) -> None:
    other = _begun(replace(DEFAULT_PLAN, alpha_bp=50))
    with pytest.raises(UsageError, match=words):
        offer_release(_document(progress, 100), ALLOWED, NEW, 0, other)


def test_each_step_is_one_stage_and_one_epoch_until_everybody_has_it() -> None:
    document, seen = _document(_begun()), []
    for _ in range(3):
        document = next_step(document, ALLOWED, NEW, LATER)
        seen.append((_rollout(document).exposure_bp, _rollout(document).epoch))
    assert seen == [(500, 2), (2_500, 3), (10_000, 4)]
    assert _states(document) == [(NEW, 10_000, "active")]
    with pytest.raises(UsageError, match="no next step"):
        next_step(document, ALLOWED, NEW, LATER)


@pytest.mark.parametrize("stand_still", [pause_rollout, halt_rollout])
def test_what_stands_still_takes_no_step(stand_still: Callable[..., ChannelDocument]) -> None:
    with pytest.raises(UsageError, match="no next step"):
        next_step(stand_still(_document(_begun()), ALLOWED, NEW), ALLOWED, NEW, LATER)


def test_a_rollout_without_a_plan_takes_no_step_and_needs_no_approval() -> None:
    document = _document(None, 100)
    with pytest.raises(UsageError, match="follows no plan"):
        next_step(document, ALLOWED, NEW, NOW)
    with pytest.raises(UsageError, match="follows no plan"):
        approve_step(document, ALLOWED, NEW)


def test_setting_the_exposure_by_hand_ends_the_plan() -> None:
    document = set_exposure(_document(_begun()), ALLOWED, NEW, 3_000)
    assert _rollout(document).progress is None
    assert (_rollout(document).exposure_bp, _rollout(document).control_bp) == (3_000, 7_000)
    same = set_exposure(_document(_begun()), ALLOWED, NEW, 100)
    assert (_rollout(same).progress, _rollout(same).epoch) == (None, 2)


def test_finishing_reaches_everybody_also_from_a_pause_and_ends_the_plan() -> None:
    paused = pause_rollout(_document(_begun()), ALLOWED, NEW)
    done = finish_rollout(paused, ALLOWED, NEW)
    assert _states(done) == [(NEW, 10_000, "active")]
    assert _rollout(done).progress is None
    assert finish_rollout(done, ALLOWED, NEW) is done


def test_a_person_halts_what_is_paused_and_keeps_why_it_was_stopped() -> None:
    document = pause_rollout(_document(_begun()), ALLOWED, NEW, reason=Reason.UNEQUAL_ARMS)
    halted = halt_rollout(document, ALLOWED, NEW)
    assert _rollout(halted).state is RolloutState.HALTED
    assert _progress(halted).reason == Reason.UNEQUAL_ARMS
    assert halt_rollout(halted, ALLOWED, NEW) is halted


def test_what_a_person_has_paused_goes_on_where_it_was() -> None:
    before = next_step(_document(_begun()), ALLOWED, NEW, NOW)
    after = resume_rollout(pause_rollout(before, ALLOWED, NEW), ALLOWED, NEW, now=LATER)
    assert _progress(after) == replace(_progress(before), resumed_at=LATER)


@pytest.mark.parametrize(
    "go_on",
    [
        lambda document, **said: resume_rollout(document, ALLOWED, NEW, now=LATER, **said),
        lambda document, **said: set_exposure(document, ALLOWED, NEW, 5_000, **said),
        lambda document, **said: finish_rollout(document, ALLOWED, NEW, **said),
        lambda document, **said: set_plan(
            document, ALLOWED, NEW, begin(DEFAULT_PLAN, name="", now=LATER), now=LATER, **said
        ),
    ],
)
@pytest.mark.parametrize(
    "reason",
    [Reason.WORSE_THAN_CONTROL, Reason.ABOVE_CEILING, Reason.CRASH_LOOPS, Reason.UNEQUAL_ARMS],
)
def test_nothing_goes_on_against_evidence_by_accident(
    go_on: Callable[..., ChannelDocument], reason: Reason
) -> None:
    with pytest.raises(UsageError, match="stopped by evidence"):
        go_on(_halted(reason))
    go_on(_halted(reason), anyway=True)


def test_against_the_evidence_the_rest_of_the_plan_begins_afresh() -> None:
    after = resume_rollout(_halted(), ALLOWED, NEW, now=LATER, anyway=True)
    progress = _progress(after)
    assert _rollout(after).epoch == 4
    assert (progress.stage_epochs, progress.stage_since, progress.reason) == ((4,), LATER, "")
    assert [stage.exposure_bp for stage in progress.plan.stages] == [500, 2_500, 10_000]


def test_an_approval_stands_until_the_step_is_taken() -> None:
    approved = approve_step(_document(_begun()), ALLOWED, NEW)
    assert _progress(approved).approved
    assert _rollout(approved).epoch == 1
    assert approve_step(approved, ALLOWED, NEW) is approved
    assert not _progress(next_step(approved, ALLOWED, NEW, LATER)).approved


def test_the_last_stage_has_no_step_to_approve() -> None:
    document = _document(_begun())
    for _ in range(3):
        document = next_step(document, ALLOWED, NEW, LATER)
    with pytest.raises(UsageError, match="no next step to approve"):
        approve_step(document, ALLOWED, NEW)


def test_a_plan_set_later_never_narrows_and_counts_from_then_on() -> None:
    wanted = begin(DEFAULT_PLAN, name="canary", now=LATER)
    document = set_plan(_document(None, 300), ALLOWED, NEW, wanted, now=LATER)
    assert (_rollout(document).exposure_bp, _rollout(document).epoch) == (500, 2)
    assert (_progress(document).stage_epochs, _progress(document).stage_since) == ((2,), LATER)
    assert set_plan(document, ALLOWED, NEW, wanted, now=LATER) is document


def test_a_plan_set_later_waits_for_its_time_and_leaves_the_rollout_where_it_is() -> None:
    wanted = begin(DEFAULT_PLAN, name="canary", now=NOW, start_at=LATER)
    waiting = set_plan(_document(None, 300), ALLOWED, NEW, wanted, now=NOW)
    rollout = _rollout(waiting)
    assert (rollout.exposure_bp, rollout.control_bp, rollout.epoch) == (300, 9_700, 2)
    assert (_progress(waiting).stage_epochs, _progress(waiting).start_at) == ((), LATER)
    assert set_plan(waiting, ALLOWED, NEW, wanted, now=NOW) is waiting
    started = next_step(waiting, ALLOWED, NEW, LATER)
    assert (_rollout(started).exposure_bp, _progress(started).stage_epochs) == (500, (3,))
    sooner = replace(wanted, start_at=None)
    assert _rollout(set_plan(waiting, ALLOWED, NEW, sooner, now=NOW)).exposure_bp == 500
    assert set_plan(started, ALLOWED, NEW, wanted, now=LATER) is started


def test_a_plan_whose_time_has_come_begins_at_once() -> None:
    wanted = begin(DEFAULT_PLAN, name="canary", now=NOW, start_at=NOW)
    document = set_plan(_document(None, 300), ALLOWED, NEW, wanted, now=LATER)
    assert _rollout(document).exposure_bp == 500


def test_no_plan_is_set_where_everybody_is_offered_it() -> None:
    with pytest.raises(UsageError, match="no plan has a step left"):
        set_plan(_document(None, 100), ALLOWED, OLD, _begun(), now=NOW)


def test_a_stop_pauses_what_is_unfinished_and_leaves_what_everybody_has() -> None:
    stopped = stop_channel(_document(_begun()), ALLOWED, reason="fire", now=NOW)
    assert _states(stopped) == [(NEW, 100, "paused"), (OLD, 10_000, "active")]
    assert stopped.stop is not None
    assert stopped.stop.paused == {NEW: 2}
    assert stop_channel(stopped, ALLOWED, reason="again", now=LATER) is stopped


@pytest.mark.parametrize(
    "change",
    [
        lambda document: offer_release(document, ALLOWED, "1.2.0", 100),
        lambda document: set_exposure(document, ALLOWED, NEW, 200),
        lambda document: finish_rollout(document, ALLOWED, NEW),
        lambda document: resume_rollout(document, ALLOWED, NEW, now=NOW),
        lambda document: next_step(document, ALLOWED, NEW, NOW),
        lambda document: set_plan(
            document, ALLOWED, NEW, begin(DEFAULT_PLAN, name="other", now=NOW), now=NOW, anyway=True
        ),
    ],
)
def test_in_a_stopped_channel_nothing_moves(
    change: Callable[[ChannelDocument], ChannelDocument],
) -> None:
    stopped = stop_channel(_document(_begun()), ALLOWED, reason="fire", now=NOW)
    with pytest.raises(UsageError, match=r"stopped.*fire"):
        change(stopped)


def test_in_a_stopped_channel_a_rollout_may_still_narrow_and_halt() -> None:
    stopped = stop_channel(_document(None, 300), ALLOWED, reason="fire", now=NOW)
    assert _rollout(set_exposure(stopped, ALLOWED, NEW, 100)).exposure_bp == 100
    assert _rollout(halt_rollout(stopped, ALLOWED, NEW)).state is RolloutState.HALTED


def test_only_a_stop_of_the_whole_app_holds_for_channels_to_come() -> None:
    one = stop_channel(_document(), ALLOWED, reason="fire", now=NOW)
    check_app_moving([one])
    with pytest.raises(UsageError, match="stopped"):
        check_app_moving([stop_channel(one, ALLOWED, reason="fire", now=NOW, is_whole_app=True)])


def test_a_start_lets_just_that_go_on_which_the_stop_has_paused() -> None:
    before = pause_rollout(_document(_begun()), ALLOWED, NEW)
    kept = stop_channel(before, ALLOWED, reason="fire", now=NOW)
    started = start_again(kept, ALLOWED, who="a", needed=1, now=LATER)
    assert started.stop is None
    assert _rollout(started).state is RolloutState.PAUSED
    stopped = stop_channel(_document(_begun()), ALLOWED, reason="fire", now=NOW)
    started = start_again(stopped, ALLOWED, who="a", needed=1, now=LATER)
    assert _states(started) == [(NEW, 100, "active"), (OLD, 10_000, "active")]
    assert _progress(started).resumed_at == LATER


def test_a_rollout_that_was_halted_during_the_stop_stays_halted() -> None:
    stopped = stop_channel(_document(_begun()), ALLOWED, reason="fire", now=NOW)
    halted = halt_rollout(stopped, ALLOWED, NEW)
    started = start_again(halted, ALLOWED, who="a", needed=1, now=LATER)
    assert _rollout(started).state is RolloutState.HALTED


def test_a_rollout_that_somebody_has_narrowed_during_the_stop_waits_for_them() -> None:
    stopped = stop_channel(_document(None, 300), ALLOWED, reason="fire", now=NOW)
    narrowed = set_exposure(stopped, ALLOWED, NEW, 100)
    started = start_again(narrowed, ALLOWED, who="a", needed=1, now=LATER)
    assert _rollout(started).state is RolloutState.PAUSED


def test_where_two_are_needed_one_person_starts_nothing_however_often() -> None:
    stopped = stop_channel(_document(_begun()), ALLOWED, reason="fire", now=NOW)
    once = start_again(stopped, ALLOWED, who="a", needed=2, now=LATER)
    assert once.stop is not None
    assert once.stop.approvals == ("a",)
    assert start_again(once, ALLOWED, who="a", needed=2, now=LATER) is once
    assert start_again(once, ALLOWED, who="b", needed=2, now=LATER).stop is None


def test_whoever_stops_once_more_takes_back_what_was_said_for_a_start() -> None:
    stopped = stop_channel(_document(_begun()), ALLOWED, reason="fire", now=NOW)
    once = start_again(stopped, ALLOWED, who="a", needed=2, now=LATER)
    again = stop_channel(once, ALLOWED, reason="still burning", now=LATER)
    assert again.stop is not None
    assert (again.stop.approvals, again.stop.paused) == ((), {NEW: 2})
    assert start_again(again, ALLOWED, who="b", needed=2, now=LATER).stop is not None


def test_a_channel_that_goes_on_has_nothing_to_start() -> None:
    document = _document(_begun())
    assert start_again(document, ALLOWED, who="a", needed=1, now=NOW) is document


@pytest.mark.parametrize(
    "change",
    [halt_rollout, approve_step, finish_rollout],
)
def test_a_rollout_that_changed_since_somebody_looked_is_a_conflict(
    change: Callable[..., ChannelDocument],
) -> None:
    moved = next_step(_document(_begun()), ALLOWED, NEW, NOW)
    with pytest.raises(ConflictError, match=r"expected epoch 1; found epoch 2, active, .* 5%"):
        change(moved, ALLOWED, NEW, expected_epoch=1)


def _unreadable() -> ChannelDocument:
    document = _document(_begun())
    offers = tuple(
        offer.with_rollout(replace(offer.rollout, progress={"plan": {"newer": True}}))
        if offer.version == NEW
        else offer
        for offer in document.offers
    )
    return replace(document, offers=offers)


def test_a_plan_that_cannot_be_read_keeps_no_channel_from_starting_again() -> None:
    stopped = stop_channel(_unreadable(), ALLOWED, reason="fire", now=NOW)
    started = start_again(stopped, ALLOWED, who="a", needed=1, now=LATER)
    assert started.stop is None
    assert _rollout(started).state is RolloutState.PAUSED
    freed = set_exposure(started, ALLOWED, NEW, 200, anyway=True)
    assert _states(freed)[0] == (NEW, 200, "paused")
    again = resume_rollout(freed, ALLOWED, NEW, now=LATER)
    assert _states(again)[0] == (NEW, 200, "active")


def test_a_plan_that_cannot_be_read_keeps_nobody_from_stopping_it() -> None:
    strange = _unreadable()
    assert _rollout(pause_rollout(strange, ALLOWED, NEW)).state is RolloutState.PAUSED
    assert _rollout(halt_rollout(strange, ALLOWED, NEW)).state is RolloutState.HALTED
    stopped = stop_channel(strange, ALLOWED, reason="fire", now=NOW)
    assert _rollout(stopped).state is RolloutState.PAUSED
    with pytest.raises(DocumentError):
        finish_rollout(strange, ALLOWED, NEW)
    assert _rollout(finish_rollout(strange, ALLOWED, NEW, anyway=True)).is_full
