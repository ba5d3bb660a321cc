"""A rollout in words: how far it has got, what is known, and what is missing."""

from __future__ import annotations

from lockgate_cli.answers import number_of, table_of, text_of
from lockgate_cli.api import JsonDict
from lockgate_release.durations import format_duration
from lockgate_release.names import format_percentage

__all__ = ["describe_plan_steps", "describe_rollout", "describe_stage"]

_MINUTE_S = 60


def describe_stage(rollout: JsonDict) -> str:
    """Return where a rollout stands, in a few words."""
    share = format_percentage(number_of(rollout, "exposure_bp"))
    return f"{share}, {text_of(rollout, 'state')}, epoch {text_of(rollout, 'epoch')}"


def describe_plan_steps(plan: JsonDict) -> str:
    """Return the exposures of a plan's stages, in order."""
    stages = plan.get("stages")
    steps = stages if isinstance(stages, list) else []
    return " > ".join(text_of(step, "exposure") for step in steps if isinstance(step, dict))


def describe_rollout(detail: JsonDict) -> list[str]:
    """Return a rollout's lines, as the API tells of it."""
    head = f"{text_of(detail, 'version')} in {text_of(detail, 'channel')}"
    lines = [f"{head}: {describe_stage(table_of(detail, 'rollout'))}"]
    stop = table_of(detail, "stop")
    if stop:
        lines.append(_line("stopped", f"since {text_of(stop, 'at')}: {text_of(stop, 'reason')}"))
    steering = table_of(detail, "steering")
    if not steering:
        return [*lines, _line("plan", "none: a person steers it")]
    plan = table_of(table_of(table_of(detail, "rollout"), "progress"), "plan")
    lines += [
        _line("plan", f"{text_of(steering, 'name') or 'unnamed'}: {describe_plan_steps(plan)}"),
        _line("stage", _describe_where(steering, number_of(table_of(detail, "rollout"), "epoch"))),
    ]
    verdict = table_of(detail, "verdict")
    if verdict:
        lines += _describe_evidence(table_of(verdict, "evidence"))
        reason = f"{text_of(verdict, 'action')} ({text_of(verdict, 'reason')})"
        lines.append(_line("verdict", f"{reason}: {text_of(verdict, 'text')}"))
    if text_of(steering, "reason"):
        lines.append(_line("stopped by", f"its plan: {text_of(steering, 'reason')}"))
    return lines


def _line(head: str, words: str) -> str:
    return f"  {head:<11}{words}"


def _describe_where(steering: JsonDict, epoch: int) -> str:
    stage = number_of(steering, "stage")
    if stage == 0:
        return f"not begun; starts at {text_of(steering, 'starts_at') or 'the next look'}"
    words = [
        f"{stage} of {text_of(steering, 'stages')}",
        f"for {_span(number_of(steering, 'stood_s'))}",
    ]
    following = steering.get("next_exposure_bp")
    if not isinstance(following, int):
        return ", ".join([*words, "the last"])
    left_s = number_of(steering, "dwell_left_s")
    when = f"in {_span(left_s)} at the earliest" if left_s else "as soon as it may"
    words.append(f"then {format_percentage(following)} {when}")
    if steering.get("approved") is True:
        words.append("approved")
    elif steering.get("waits_for_person") is True:
        # Without it, who is late approves the step after the one that was meant.
        words.append(f"if a person approves with --expect-epoch {epoch}")
    return ", ".join(words)


def _span(seconds: int) -> str:
    """Return a span in at most two units: nobody reads seconds of days."""
    minutes = -(-seconds // _MINUTE_S)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, 86400), (hours, 3600), (minutes, 60)]
    said = [format_duration(count * unit_s) for count, unit_s in parts if count]
    return " ".join(said[:2]) or "0m"


def _describe_evidence(evidence: JsonDict) -> list[str]:
    ratio = table_of(evidence, "ratio")
    high = text_of(ratio, "high") or "any number of"
    lines = [_line(name, _describe_arm(table_of(evidence, name))) for name in ("canary", "control")]
    lines.append(
        _line("ratio", f"canaries fare {text_of(ratio, 'low')} to {high} times as badly as control")
    )
    for name, effect in (("harm", "halts"), ("ceiling", "halts"), ("safety", "may widen")):
        rule = table_of(evidence, name)
        words = f"e-value {text_of(rule, 'e_value')}; {effect} at {text_of(rule, 'limit')}"
        lines.append(_line(name, words))
    return lines


def _describe_arm(totals: JsonDict) -> str:
    closed, bad = number_of(totals, "closed"), number_of(totals, "bad")
    share = f" ({bad / closed:.2%})" if closed else ""
    return (
        f"{text_of(totals, 'enrolled')} enrolled, {closed} have had their time, "
        f"{bad} of these fared badly{share}"
    )
