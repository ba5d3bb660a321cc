"""A verdict and its evidence as JSON: for the audit log, for the API, and for whoever checks it.

JSON holds no floats here, so e-values and ratios are decimal text.
"""

from __future__ import annotations

import math
from datetime import datetime

from lockgate_release.digests import digest_bytes
from lockgate_release.instants import format_instant
from lockgate_release.names import Sha256Hex
from lockgate_release.rollout.counts import Totals
from lockgate_release.rollout.plan import Plan
from lockgate_release.rollout.progress import Progress
from lockgate_release.rollout.situation import Evidence, Verdict
from lockgate_release.strict_json import JsonObject, dump_json

__all__ = ["decimal_text", "describe_progress", "describe_verdict", "plan_digest"]


_WHOLE = 100


def plan_digest(plan: Plan) -> Sha256Hex:
    """Return the SHA-256 by which a plan is known: of its JSON with every field."""
    return digest_bytes(dump_json(plan.to_json()))


def decimal_text(log_value: float) -> str:
    """Return the number whose natural logarithm is given, however large, in three digits or so."""
    if math.isinf(log_value):
        return "0" if log_value < 0 else "inf"
    power = log_value / math.log(10)
    if -5 < power < 9:
        value = math.exp(log_value)
        return f"{value:.0f}" if value >= _WHOLE else f"{value:.3g}"
    exponent = math.floor(power)
    return f"{10 ** (power - exponent):.2f}e{exponent:+03d}"


def describe_verdict(verdict: Verdict, plan: Plan) -> JsonObject:
    """Return what is to be done, why, and the numbers behind it."""
    return {
        "action": verdict.action.value,
        "reason": verdict.reason.value,
        "text": verdict.text,
        "parked": verdict.is_parked,
        "plan_sha256": plan_digest(plan),
        "evidence": _describe_evidence(verdict.evidence),
    }


def _describe_evidence(evidence: Evidence) -> JsonObject:
    return {
        "canary": _describe_totals(evidence.canary),
        "control": _describe_totals(evidence.control),
        "harm": _describe_rule(evidence.log_harm, evidence.log_harm_limit),
        "ceiling": _describe_rule(evidence.log_ceiling, evidence.log_ceiling_limit),
        "safety": _describe_rule(evidence.log_safety, evidence.log_safety_limit),
        "ratio": {
            "low": f"{evidence.ratio.low:.3g}",
            "high": None if math.isinf(evidence.ratio.high) else f"{evidence.ratio.high:.3g}",
        },
        "canaries_closed": evidence.canaries_closed,
        "canaries_needed": evidence.canaries_needed,
    }


def _describe_rule(log_value: float, log_limit: float) -> JsonObject:
    return {"e_value": decimal_text(log_value), "limit": decimal_text(log_limit)}


def _describe_totals(totals: Totals) -> JsonObject:
    return {
        "enrolled": totals.enrolled,
        "closed": totals.closed,
        "bad": totals.bad,
        "crash_loops": totals.crash_loops,
        "failed_already": totals.failed_already,
        "answered": totals.answered,
    }


def describe_progress(progress: Progress, now: datetime) -> JsonObject:
    """Return how far a rollout has got in its plan: stages count from 1, 0 before the start."""
    here, following = progress.here, progress.next_stage
    stood_s = int((now - progress.stage_since).total_seconds())
    starts_at = progress.start_at if here is None else None
    return {
        "name": progress.name,
        "plan_sha256": plan_digest(progress.plan),
        "stage": len(progress.stage_epochs),
        "stages": len(progress.plan.stages),
        "stage_since": format_instant(progress.stage_since),
        "stood_s": max(0, stood_s),
        "dwell_left_s": 0 if here is None else max(0, here.dwell_s - stood_s),
        "next_exposure_bp": None if following is None else following.exposure_bp,
        "starts_at": None if starts_at is None else format_instant(starts_at),
        "waits_for_person": here is not None
        and following is not None
        and progress.plan.waits_for_person(len(progress.stage_epochs) - 1),
        "approved": progress.approved,
        "reason": progress.reason,
    }
