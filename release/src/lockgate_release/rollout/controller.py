"""What to do with a rollout now: halt, pause, hold, or widen, and the evidence for it.

1. Harm halts. Three rules share the plan's alpha: the comparison with control (8/10 of it), the
   ceiling (1/10), and the catastrophe rule (1/10), in force only where chance alone would set it
   off no more often. The comparison bets half on the whole fleet and all that was ever counted;
   3/10 on the platforms, so that a break on one is not diluted by the others; 2/10 on the stages,
   so that a break that comes late is not diluted by what was well before, as does the ceiling.
2. The ceiling takes a canary at its word at once; who has not answered yet counts as well. The
   comparison and the proof of safety wait until a cohort's window has closed in both arms.
3. A stage is left when its dwell time is over, enough canaries have closed, safety is proven to
   beta divided by the number of steps with what was counted in this stage alone, the plan's hours
   allow it, and whoever must approve has. Evidence never makes a rollout faster than its plan.
4. Safety is proven by the comparison, on which nine tenths of beta are bet. Where nobody in either
   arm fared badly no ratio can be known: one tenth is bet on no canary ever faring badly, against
   the share that the plan calls negligible. Where the plan draws no control no ratio exists: there
   the share that fares badly must be proven to be below the ceiling.
5. No report for too long, or arms of another size than drawn, pause: what cannot be seen cannot be
   judged. Once everybody is offered the release there is nothing left to pause: nobody enrols any
   more when all have it.
6. A verdict writes nothing. Whoever acts on it records it with its evidence.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from lockgate_release.durations import format_duration
from lockgate_release.gate import Arm
from lockgate_release.instants import format_instant
from lockgate_release.names import format_percentage
from lockgate_release.rollout.counts import Totals, compare, total
from lockgate_release.rollout.evidence import (
    combine,
    log_above_ceiling,
    log_below_ceiling,
    log_harm,
    log_mismatch,
    log_never,
    log_safety,
    ratio_interval,
)
from lockgate_release.rollout.plan import Plan, Stage
from lockgate_release.rollout.situation import Action, Evidence, Reason, Situation, Verdict

__all__ = ["OPENING_CANARIES", "by_chance", "canaries_needed", "judge", "safety_limit"]

RELATIVE, ABSOLUTE, CATASTROPHE = 0.8, 0.1, 0.1
"""What part of alpha each rule has."""

ON_ALL, ON_PLATFORMS, ON_STAGES = 0.5, 0.3, 0.2
"""What part of the first rule's wealth is bet on what."""

ON_RATIO, ON_NEVER = 0.9, 0.1
"""What part of beta is bet on the comparison, and what on no canary ever faring badly."""

OPENING_CANARIES, OPENING_CRASH_LOOPS = 20, 3
MISMATCH_ALPHA = 0.001


def judge(situation: Situation, now: datetime) -> Verdict:
    """Return what to do with an active rollout now (rules 1 to 5).

    Args:
        situation: Where it stands.
        now: The present, aware.
    """
    evidence = _weigh(situation, now)
    action, reason, text = (
        _look_for_harm(situation, evidence)
        or _look_for_blindness(situation, now)
        or _look_ahead(situation, evidence, now)
    )
    stood_s = (now - situation.stage_since).total_seconds()
    return Verdict(
        action=action,
        reason=reason,
        text=text,
        evidence=evidence,
        is_parked=reason is not Reason.FINISHED and stood_s > situation.plan.parked_s,
    )


_Finding = tuple[Action, Reason, str]


def _weigh(situation: Situation, now: datetime) -> Evidence:
    plan = situation.plan
    canary = total(situation.cohorts, Arm.OFFERED, now=now, window_s=plan.window_s)
    control = total(situation.cohorts, Arm.CONTROL, now=now, window_s=plan.window_s)
    staged = situation.by_stage[-1]
    cells = compare(situation.cohorts, now=now, window_s=plan.window_s).cells
    alpha = plan.alpha_bp / 10_000
    return Evidence(
        canary=canary,
        control=control,
        log_harm=_log_harm_in_all(situation, now),
        log_harm_limit=-math.log(alpha * RELATIVE),
        log_ceiling=_log_ceiling_in_all(situation, now),
        log_ceiling_limit=-math.log(alpha * ABSOLUTE),
        log_safety=_log_safety_here(situation, now),
        log_safety_limit=safety_limit(plan),
        ratio=ratio_interval(cells, alpha),
        canaries_closed=total(staged, Arm.OFFERED, now=now, window_s=plan.window_s).closed,
        canaries_needed=canaries_needed(plan, situation.here, control),
    )


def _log_harm_in_all(situation: Situation, now: datetime) -> float:
    """Return the evidence of harm, its bets spread as rule 1 says."""
    window_s = situation.plan.window_s
    compared = compare(situation.cohorts, now=now, window_s=window_s)
    on_all, platforms = ON_ALL, situation.platforms
    if len(platforms) < 2:
        on_all, platforms = ON_ALL + ON_PLATFORMS, ()
    bets = [(on_all, log_harm(compared.cells))]
    for platform in platforms:
        cells = compared.by_platform.get(platform, ())
        bets.append((ON_PLATFORMS / len(platforms), log_harm(cells)))
    for cohorts in situation.by_stage:
        cells = compare(cohorts, now=now, window_s=window_s).cells
        bets.append((ON_STAGES / len(situation.plan.stages), log_harm(cells)))
    return combine(bets)


def _log_ceiling_in_all(situation: Situation, now: datetime) -> float:
    """Return the evidence of each stage that the ceiling is broken, as one e-value."""
    plan = situation.plan
    bets = []
    for cohorts in situation.by_stage:
        canary = total(cohorts, Arm.OFFERED, now=now, window_s=plan.window_s)
        failed = min(canary.failed_already, canary.enrolled)
        log_value = log_above_ceiling(failed, canary.enrolled, plan.ceiling_bp / 10_000)
        bets.append((1 / len(plan.stages), log_value))
    return combine(bets)


def safety_limit(plan: Plan) -> float:
    """Return where the evidence of safety allows a step: each has its part of beta."""
    steps = max(1, len(plan.stages) - 1)
    return -math.log(plan.beta_bp / 10_000 / steps)


def _log_safety_here(situation: Situation, now: datetime) -> float:
    """Return the evidence of safety of what was counted in this stage alone (rule 4)."""
    plan, staged = situation.plan, situation.by_stage[-1]
    canary = total(staged, Arm.OFFERED, now=now, window_s=plan.window_s)
    if not situation.here.control_bp:
        return log_below_ceiling(canary.bad, canary.closed, plan.ceiling_bp / 10_000)
    control = total(staged, Arm.CONTROL, now=now, window_s=plan.window_s)
    if not canary.bad and not control.bad:
        never = log_never(canary.closed, plan.negligible_bp / 10_000)
        return combine([(ON_RATIO, 0.0), (ON_NEVER, never)])
    cells = compare(staged, now=now, window_s=plan.window_s).cells
    return math.log(ON_RATIO) + log_safety(cells, plan.worst_ratio_percent / 100)


def _look_for_harm(situation: Situation, evidence: Evidence) -> _Finding | None:
    canary, control = evidence.canary, evidence.control
    if _has_crashed_at_once(situation, control):
        return (
            Action.HALT,
            Reason.CRASH_LOOPS,
            f"{situation.opening.crash_loops} of the first {situation.opening.canaries} canaries "
            "failed at every start",
        )
    if evidence.log_harm >= evidence.log_harm_limit:
        return (
            Action.HALT,
            Reason.WORSE_THAN_CONTROL,
            f"{canary.bad} of {canary.closed} canaries fared badly, "
            f"{control.bad} of {control.closed} in control",
        )
    if evidence.log_ceiling >= evidence.log_ceiling_limit:
        return (
            Action.HALT,
            Reason.ABOVE_CEILING,
            f"{canary.failed_already} of {canary.enrolled} canaries failed already; "
            f"the plan bears {format_percentage(situation.plan.ceiling_bp)}",
        )
    return None


def _has_crashed_at_once(situation: Situation, control: Totals) -> bool:
    if situation.opening.crash_loops < OPENING_CRASH_LOOPS:
        return False
    # Whatever is bad in control counts: its launcher may see no crash loop. Laplace's rule: with
    # few answers chance could do much, and the rule stays out of force.
    rate = (control.failed_already + 1) / (control.answered + 2)
    return by_chance(rate) <= situation.plan.alpha_bp / 10_000 * CATASTROPHE


def by_chance(rate: float) -> float:
    """Return the chance of a catastrophe's crash loops in an opening at control's rate."""
    fewer = (
        math.comb(OPENING_CANARIES, hits) * rate**hits * (1 - rate) ** (OPENING_CANARIES - hits)
        for hits in range(OPENING_CRASH_LOOPS)
    )
    return 1 - math.fsum(fewer)


def _look_for_blindness(situation: Situation, now: datetime) -> _Finding | None:
    """Return whether to pause for want of sight (rule 5)."""
    plan = situation.plan
    if situation.is_last:
        return None
    heard = situation.last_report_at
    if heard is not None and now - heard > timedelta(seconds=plan.outage_s):
        silence = format_duration(int((now - heard).total_seconds()) // 60 * 60)
        return Action.PAUSE, Reason.NO_REPORTS, f"nothing was heard from any client for {silence}"
    first = [item for item in situation.cohorts if item.epoch == situation.stage_epochs[0]]
    stage = plan.stages[0]
    if not stage.control_bp or not first:
        return None
    canaries = sum(item.enrolled for item in first if item.arm is Arm.OFFERED)
    controls = sum(item.enrolled for item in first if item.arm is Arm.CONTROL)
    share = stage.exposure_bp / (stage.exposure_bp + stage.control_bp)
    if log_mismatch(canaries, controls, share) >= -math.log(MISMATCH_ALPHA):
        return (
            Action.PAUSE,
            Reason.UNEQUAL_ARMS,
            f"{canaries} canaries enrolled and {controls} in control, where {share:.1%} canaries "
            "were drawn: reports of one arm are lost or forged",
        )
    return None


def _look_ahead(situation: Situation, evidence: Evidence, now: datetime) -> _Finding:
    """Return whether to widen, or what is still missing (rule 3)."""
    if situation.is_last:
        return Action.HOLD, Reason.FINISHED, "everybody is offered the release"
    missing = _look_for_proof(situation, evidence, now) or _look_for_leave(situation, now)
    if missing is not None:
        return Action.HOLD, *missing
    canary, control = evidence.canary, evidence.control
    return (
        Action.WIDEN,
        Reason.PROVEN,
        f"{canary.bad} of {canary.closed} canaries fared badly, "
        f"{control.bad} of {control.closed} in control",
    )


def _look_for_proof(
    situation: Situation, evidence: Evidence, now: datetime
) -> tuple[Reason, str] | None:
    stage = situation.here
    ends_at = situation.stage_since + timedelta(seconds=stage.dwell_s)
    if now < ends_at:
        left = format_duration(max(60, int((ends_at - now).total_seconds()) // 60 * 60))
        return Reason.DWELL, f"the stage lasts for another {left}"
    if evidence.canaries_closed < stage.reports:
        return (
            Reason.FEW_REPORTS,
            f"{evidence.canaries_closed} canaries of this stage have had their time; "
            f"the plan wants {stage.reports}",
        )
    if evidence.log_safety < evidence.log_safety_limit:
        return Reason.NOT_PROVEN, _explain_lack(situation.plan, evidence)
    return None


def _look_for_leave(situation: Situation, now: datetime) -> tuple[Reason, str] | None:
    plan = situation.plan
    if plan.waits_for_person(situation.stage) and not situation.approved:
        return Reason.NEEDS_APPROVAL, "safe by the evidence; a person must approve"
    if not plan.is_open(now):
        opens_at = format_instant(plan.opens_at(now))
        return Reason.OUTSIDE_HOURS, f"the plan's hours allow the next step at {opens_at}"
    return None


def _explain_lack(plan: Plan, evidence: Evidence) -> str:
    worst = plan.worst_ratio_percent / 100
    return (
        f"{evidence.canaries_closed} canaries of this stage have had their time; to rule out that "
        f"they fare {worst:g} times as badly takes about {evidence.canaries_needed}. If there are "
        "not so many, a person must decide."
    )


def canaries_needed(plan: Plan, stage: Stage, control: Totals) -> int:
    """Return about how many canaries it takes to prove a harmless release safe in a stage.

    The wealth of `log_safety` grows, for each bad outcome, by the divergence of what is true from
    what must be ruled out; bad outcomes come at control's rate.

    Args:
        plan: What must be ruled out, and how surely.
        stage: How large the arms are.
        control: How control fares.
    """
    limit = safety_limit(plan)
    if not stage.control_bp:
        return _canaries_below(plan.ceiling_bp / 10_000, limit)
    if not control.closed or not control.bad:
        return _canaries_below(plan.negligible_bp / 10_000, limit - math.log(ON_NEVER))
    limit -= math.log(ON_RATIO)
    rate = control.bad / control.closed
    share = stage.exposure_bp / (stage.exposure_bp + stage.control_bp)
    worst = plan.worst_ratio_percent / 100
    shifted = worst * share / (worst * share + 1 - share)
    divergence = share * math.log(share / shifted) + (1 - share) * math.log(
        (1 - share) / (1 - shifted)
    )
    return math.ceil(limit / (divergence * rate / share))


def _canaries_below(share: float, limit: float) -> int:
    """Return about how many canaries, all of them well, prove that fewer than a share are not."""
    return math.ceil(limit / log_never(1, share))
