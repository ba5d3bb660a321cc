"""The controller: each rule, in force and out of force, with the sentence a person reads."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from lockgate_release.gate import Arm
from lockgate_release.names import Platform
from lockgate_release.rollout.controller import canaries_needed, judge
from lockgate_release.rollout.counts import Cohort, Opening, Totals
from lockgate_release.rollout.plan import DEFAULT_PLAN, Approval, WeekDay, Window
from lockgate_release.rollout.situation import Action, Reason, Situation, Verdict

SINCE = datetime(2026, 1, 5, 8, tzinfo=UTC)
NOW = SINCE + timedelta(days=3)
LINUX, MAC = Platform("linux-x86_64"), Platform("macos-arm64")
PLAN = DEFAULT_PLAN


def _pair(
    canary: tuple[int, int],
    control: tuple[int, int],
    *,
    platform: Platform = LINUX,
    epoch: int = 1,
    hours: int = 1,
) -> tuple[Cohort, ...]:
    """Two cohorts of which so many enrolled and so many fared badly, each split over hours."""
    return tuple(
        Cohort(
            arm=arm,
            epoch=epoch,
            platform=platform,
            from_version="1.0.0",
            began_at=SINCE + timedelta(hours=hour),
            enrolled=_part(counts[0], hours, hour),
            healthy=_part(counts[0], hours, hour) - _part(counts[1], hours, hour),
            bad=_part(counts[1], hours, hour),
        )
        for hour in range(hours)
        for arm, counts in ((Arm.OFFERED, canary), (Arm.CONTROL, control))
    )


def _part(whole: int, parts: int, place: int) -> int:
    return whole * (place + 1) // parts - whole * place // parts


def _situation(*counted: Cohort, **changes: object) -> Situation:
    situation = Situation(
        plan=PLAN,
        stage_epochs=(1,),
        stage_since=SINCE,
        platforms=(LINUX,),
        cohorts=counted,
        last_report_at=NOW,
    )
    return replace(situation, **changes)  # type: ignore[arg-type]


def _said(verdict: Verdict) -> tuple[Action, Reason]:
    return verdict.action, verdict.reason


def test_a_release_that_is_much_worse_than_control_is_halted() -> None:
    verdict = judge(_situation(*_pair((300, 12), (29_700, 148))), NOW)
    assert _said(verdict) == (Action.HALT, Reason.WORSE_THAN_CONTROL)
    assert verdict.text == "12 of 300 canaries fared badly, 148 of 29700 in control"
    assert verdict.evidence.log_harm >= verdict.evidence.log_harm_limit
    assert verdict.evidence.ratio.low > 1


def test_an_outage_that_hits_both_arms_halts_nothing() -> None:
    verdict = judge(_situation(*_pair((300, 24), (29_700, 2400))), NOW)
    assert verdict.action is Action.WIDEN
    assert verdict.evidence.log_harm < 0


def test_a_break_on_one_platform_is_not_diluted_by_the_others() -> None:
    broken = _pair((100, 7), (9_900, 50), platform=MAC)
    fine = _pair((10_000, 50), (990_000, 4950))
    alone = _situation(*fine, *broken)
    assert judge(alone, NOW).action is not Action.HALT
    assert _said(judge(replace(alone, platforms=(LINUX, MAC)), NOW)) == (
        Action.HALT,
        Reason.WORSE_THAN_CONTROL,
    )


def test_the_ceiling_halts_at_once_before_any_window_has_closed() -> None:
    cohorts = _pair((60, 25), (5_940, 0))
    verdict = judge(_situation(*cohorts), SINCE + timedelta(minutes=30))
    assert _said(verdict) == (Action.HALT, Reason.ABOVE_CEILING)
    assert "25 of 60 canaries failed already; the plan bears 10%" in verdict.text


def test_failed_installations_count_for_the_ceiling_and_not_for_the_comparison() -> None:
    canary, control = _pair((200, 0), (19_800, 100))
    failing = replace(canary, healthy=140, not_installed=60)
    assert _said(judge(_situation(failing, control), NOW)) == (Action.HALT, Reason.ABOVE_CEILING)
    few = replace(canary, healthy=195, not_installed=5)
    assert judge(_situation(few, control), NOW).evidence.canary.bad == 0


def test_three_crash_loops_among_the_first_canaries_halt_at_once() -> None:
    crashed = Opening(canaries=9, crash_loops=3)
    cohorts = _pair((9, 3), (891, 0))
    verdict = judge(_situation(*cohorts, opening=crashed), SINCE + timedelta(minutes=10))
    assert _said(verdict) == (Action.HALT, Reason.CRASH_LOOPS)
    assert verdict.text == "3 of the first 9 canaries failed at every start"


@pytest.mark.parametrize("control", [(60, 0), (1980, 40)])
def test_crash_loops_that_chance_explains_set_no_rule_off(control: tuple[int, int]) -> None:
    """A small control arm knows too little; in a flaky one such things happen."""
    opening = Opening(canaries=20, crash_loops=3)
    later = tuple(replace(cohort, epoch=2) for cohort in _pair((20, 3), control))
    verdict = judge(_situation(*later, opening=opening), SINCE + timedelta(minutes=10))
    assert verdict.action is Action.HOLD


def test_what_control_has_not_said_yet_proves_no_crash_loop_to_be_rare() -> None:
    """Many enrol at once, and answer only when their trial is over."""
    canary, control = _pair((20, 3), (1980, 0))
    silent = replace(control, healthy=40)
    opening = Opening(canaries=20, crash_loops=3)
    soon = SINCE + timedelta(minutes=10)
    later = tuple(replace(cohort, epoch=2) for cohort in (canary, silent))
    assert judge(_situation(*later, opening=opening), soon).action is Action.HOLD
    answered = (later[0], replace(control, epoch=2))
    assert judge(_situation(*answered, opening=opening), soon).reason is Reason.CRASH_LOOPS


def test_two_crash_loops_are_no_catastrophe() -> None:
    opening = Opening(canaries=20, crash_loops=2)
    verdict = judge(_situation(*_pair((20, 2), (1980, 0)), opening=opening), SINCE)
    assert verdict.action is Action.HOLD


def test_harm_is_seen_before_silence_and_silence_before_safety() -> None:
    deaf = NOW - timedelta(hours=13)
    harmful = _situation(*_pair((300, 12), (29_700, 148)), last_report_at=deaf)
    assert judge(harmful, NOW).action is Action.HALT
    fine = _situation(*_pair((9_000, 45), (891_000, 4455)), last_report_at=deaf)
    verdict = judge(fine, NOW)
    assert _said(verdict) == (Action.PAUSE, Reason.NO_REPORTS)
    assert verdict.text == "nothing was heard from any client for 13h"


def test_before_the_first_report_nothing_is_an_outage() -> None:
    assert judge(_situation(last_report_at=None), NOW).reason is Reason.FEW_REPORTS


def test_arms_of_another_size_than_drawn_pause() -> None:
    verdict = judge(_situation(*_pair((900, 4), (29_700, 148))), NOW)
    assert _said(verdict) == (Action.PAUSE, Reason.UNEQUAL_ARMS)


def test_in_a_later_epoch_the_sizes_of_the_arms_prove_nothing() -> None:
    """Stragglers of an earlier slice enrol beside the new one."""
    cohorts = _pair((900, 4), (29_700, 148), epoch=2)
    assert judge(_situation(*cohorts), NOW).reason is not Reason.UNEQUAL_ARMS


SAFE = _pair((9_000, 40), (891_000, 4455), hours=8)


def test_a_break_that_comes_late_is_not_diluted_by_what_was_well_before() -> None:
    late = _pair((120, 8), (2_280, 11), epoch=2)
    verdict = judge(_situation(*SAFE, *late, stage_epochs=(1, 2)), NOW)
    assert _said(verdict) == (Action.HALT, Reason.WORSE_THAN_CONTROL)


def test_a_release_that_is_proven_safe_is_widened() -> None:
    verdict = judge(_situation(*SAFE), NOW)
    assert _said(verdict) == (Action.WIDEN, Reason.PROVEN)
    assert verdict.text == "40 of 9000 canaries fared badly, 4455 of 891000 in control"
    assert verdict.evidence.ratio.high < 2


MONDAYS = Window(days=frozenset({WeekDay.MON}), opens=time(8), closes=time(9))


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"stage_since": NOW - timedelta(hours=20)}, Reason.DWELL, "lasts for another 4h"),
        ({"cohorts": ()}, Reason.FEW_REPORTS, "0 canaries of this stage"),
        ({"plan": replace(PLAN, approval=Approval.EACH)}, Reason.NEEDS_APPROVAL, "a person"),
        ({"plan": replace(PLAN, windows=(MONDAYS,))}, Reason.OUTSIDE_HOURS, "2026-01-12T08:00:00Z"),
    ],
)
def test_what_is_missing_is_said(changes: dict[str, object], reason: Reason, words: str) -> None:
    verdict = judge(_situation(**{"cohorts": SAFE, **changes}), NOW)
    assert _said(verdict) == (Action.HOLD, reason)
    assert words in verdict.text


def test_an_approved_step_is_taken() -> None:
    plan = replace(PLAN, approval=Approval.EACH)
    assert judge(_situation(*SAFE, plan=plan, approved=True), NOW).action is Action.WIDEN


def test_approval_widens_nothing_that_is_not_proven() -> None:
    few = _pair((100, 0), (9_900, 50))
    verdict = judge(_situation(*few, approved=True), NOW)
    assert _said(verdict) == (Action.HOLD, Reason.NOT_PROVEN)


def test_safety_begins_afresh_in_each_stage() -> None:
    """What was proven of one percent says nothing of the next four."""
    before = _situation(*SAFE, stage_epochs=(1, 2))
    assert judge(before, NOW).reason is Reason.FEW_REPORTS
    after = replace(before, cohorts=(*SAFE, *_pair((9_000, 40), (171_000, 855), epoch=2)))
    assert judge(after, NOW).action is Action.WIDEN


def test_harm_is_remembered_from_stage_to_stage() -> None:
    first = _pair((150, 4), (14_850, 74))
    second = _pair((150, 5), (2_850, 14), epoch=2)
    assert judge(_situation(*first), NOW).action is Action.HOLD
    assert judge(_situation(*second, stage_epochs=(1, 2)), NOW).action is Action.HOLD
    both = _situation(*first, *second, stage_epochs=(1, 2))
    assert judge(both, NOW).action is Action.HALT


def test_where_nobody_fared_badly_it_is_proven_that_hardly_any_canary_does() -> None:
    few, enough = _pair((780, 0), (77_220, 0)), _pair((810, 0), (80_190, 0))
    held = judge(_situation(*few), NOW)
    assert _said(held) == (Action.HOLD, Reason.NOT_PROVEN)
    assert held.evidence.canaries_needed == 797
    assert judge(_situation(*enough), NOW).action is Action.WIDEN


def test_few_canaries_that_are_all_well_do_not_pass_for_safe_beside_a_small_control() -> None:
    """At a base rate of 0.5 % two arms of 80 see nothing at all in three runs of ten."""
    equal = _situation(*_pair((80, 0), (80, 0), epoch=2), stage_epochs=(1, 2))
    assert _said(judge(equal, NOW)) == (Action.HOLD, Reason.NOT_PROVEN)


def test_a_control_that_is_drawn_and_says_nothing_is_not_done_without() -> None:
    canaries = _pair((400, 3), (1, 0))[:1]
    later = tuple(replace(cohort, epoch=2) for cohort in canaries)
    silent = _situation(*later, stage_epochs=(1, 2))
    assert _said(judge(silent, NOW)) == (Action.HOLD, Reason.NOT_PROVEN)


def test_without_a_control_arm_only_the_ceiling_speaks() -> None:
    canary, _ = _pair((400, 3), (1, 0))
    alone = tuple(replace(stage, control_bp=0) for stage in PLAN.stages)
    plan = replace(PLAN, stages=alone)
    assert judge(_situation(canary, plan=plan), NOW).action is Action.WIDEN
    bad = replace(canary, healthy=300, bad=100)
    assert judge(_situation(bad, plan=plan), NOW).reason is Reason.ABOVE_CEILING


def test_a_fleet_that_is_too_small_is_told_how_large_it_would_have_to_be() -> None:
    verdict = judge(_situation(*_pair((60, 0), (5_940, 30))), NOW)
    assert _said(verdict) == (Action.HOLD, Reason.NOT_PROVEN)
    needed = verdict.evidence.canaries_needed
    assert 2_500 < needed < 5_500
    assert f"takes about {needed}" in verdict.text
    assert "a person must decide" in verdict.text


def test_the_number_needed_falls_as_the_base_rate_rises() -> None:
    stage = PLAN.stages[1]
    rates = [Totals(closed=10_000, bad=bad) for bad in (50, 100, 500)]
    needed = [canaries_needed(PLAN, stage, control) for control in rates]
    assert needed == sorted(needed, reverse=True)


def test_a_finished_rollout_is_held_and_still_watched() -> None:
    last = _situation(*SAFE, stage_epochs=(1, 2, 3, 4), stage_since=NOW - timedelta(days=30))
    assert _said(judge(last, NOW)) == (Action.HOLD, Reason.FINISHED)
    assert not judge(last, NOW).is_parked
    broken = _pair((2_000, 700), (1, 0), epoch=4)
    assert judge(replace(last, cohorts=(*SAFE, *broken)), NOW).action is Action.HALT


def test_a_rollout_that_nobody_moves_on_raises_an_alarm() -> None:
    stuck = _situation(*_pair((60, 0), (5_940, 30)), stage_since=NOW - timedelta(days=8))
    assert judge(stuck, NOW).is_parked
    assert not judge(replace(stuck, stage_since=NOW - timedelta(days=6)), NOW).is_parked
