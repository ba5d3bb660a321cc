"""What moves one rollout on, by its plan or by a person's hand. Pure, like `channels`.

1. A plan takes one step at a time, and only an active rollout takes one.
2. Whoever sets the exposure by hand, or finishes, ends the plan: from then on a person steers.
3. Whoever stops something never needs to read its plan: that works whatever stands there.
4. What evidence has stopped goes on only if a person says that it should anyway. What was counted
   so far is set aside then, and the rest of the plan begins afresh, in the stage it is in. Until
   then no other channel begins to offer it.

Stopping a whole channel is in `stops`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from lockgate_release.documents import ChannelDocument, Rollout, RolloutState
from lockgate_release.errors import UsageError
from lockgate_release.names import MAX_EXPOSURE_BP, ChannelName, format_percentage
from lockgate_release.rollout.plan import Plan
from lockgate_release.rollout.progress import Progress, begin, read_progress
from lockgate_release.rollout.situation import Reason
from lockgate_server.services.write.channels import (
    Allowed,
    check_moving,
    find_rollout,
    replace_rollout,
)

__all__ = [
    "STOPPED_BY_EVIDENCE",
    "approve_step",
    "check_no_evidence_elsewhere",
    "finish_rollout",
    "go_on",
    "halt_rollout",
    "next_step",
    "pause_rollout",
    "resume_rollout",
    "set_exposure",
    "set_plan",
]

STOPPED_BY_EVIDENCE = frozenset(
    {
        Reason.WORSE_THAN_CONTROL,
        Reason.ABOVE_CEILING,
        Reason.CRASH_LOOPS,
        Reason.UNEQUAL_ARMS,
    }
)
"""Reasons that are still there when somebody looks again."""


def next_step(
    document: ChannelDocument, allowed: Allowed, version: str, now: datetime
) -> ChannelDocument:
    """Return the document with a rollout in the next stage of its plan, its first one included.

    Raises:
        NotFoundError: The version is not offered.
        UsageError: It has no plan, is in the last stage, stands still, or the channel is stopped.
    """
    check_moving(document)
    rollout = find_rollout(document, version, 0)
    progress = _need_progress(document, version, rollout)
    stage = progress.next_stage
    if stage is None or rollout.state is not RolloutState.ACTIVE:
        raise UsageError("there is no next step", subject=f"{document.channel}: {version}")
    changed = replace(
        rollout,
        exposure_bp=stage.exposure_bp,
        control_bp=stage.control_bp,
        epoch=rollout.epoch + 1,
        progress=progress.step(epoch=rollout.epoch + 1, now=now).to_json(),
    )
    return replace_rollout(document, allowed, version, changed)


def set_exposure(
    document: ChannelDocument,
    allowed: Allowed,
    version: str,
    exposure_bp: int,
    *,
    expected_epoch: int = 0,
    anyway: bool = False,
) -> ChannelDocument:
    """Return the document with a rollout at another exposure, or the same one if it is there.

    Raises:
        NotFoundError: The version is not offered.
        ConflictError: The rollout is at another epoch than the caller saw.
        UsageError: Evidence has stopped it, or the channel is stopped.
    """
    rollout = find_rollout(document, version, expected_epoch)
    if rollout.exposure_bp == exposure_bp and rollout.progress is None:
        return document
    wanted = replace(rollout, exposure_bp=exposure_bp)
    return _steer_by_hand(document, allowed, version, wanted, anyway=anyway)


def finish_rollout(
    document: ChannelDocument,
    allowed: Allowed,
    version: str,
    *,
    expected_epoch: int = 0,
    anyway: bool = False,
) -> ChannelDocument:
    """Return the document with a release offered to everybody, or the same one if it is.

    Raises:
        NotFoundError: The version is not offered.
        ConflictError: The rollout is at another epoch than the caller saw.
        UsageError: Evidence has stopped it, or the channel is stopped.
    """
    rollout = find_rollout(document, version, expected_epoch)
    if rollout.is_full:
        return document
    wanted = replace(rollout, exposure_bp=MAX_EXPOSURE_BP, state=RolloutState.ACTIVE)
    return _steer_by_hand(document, allowed, version, wanted, anyway=anyway)


def _steer_by_hand(
    document: ChannelDocument, allowed: Allowed, version: str, wanted: Rollout, *, anyway: bool
) -> ChannelDocument:
    """Return the document with a rollout at a person's exposure and state, without its plan."""
    rollout = find_rollout(document, version, 0)
    if wanted.exposure_bp >= rollout.exposure_bp:
        check_moving(document)  # whoever narrows need not wait
    _check_evidence(document, version, rollout, anyway=anyway)
    changed = replace(
        wanted,
        control_bp=MAX_EXPOSURE_BP - wanted.exposure_bp,
        epoch=rollout.epoch + 1,
        progress=None,
    )
    return replace_rollout(document, allowed, version, changed)


def pause_rollout(
    document: ChannelDocument,
    allowed: Allowed,
    version: str,
    *,
    expected_epoch: int = 0,
    reason: str = "",
) -> ChannelDocument:
    """Return the document with a rollout paused, or the same one if it stands still already.

    Raises:
        NotFoundError: The version is not offered.
        ConflictError: The rollout is at another epoch than the caller saw.
    """
    rollout = find_rollout(document, version, expected_epoch)
    if rollout.state is not RolloutState.ACTIVE:
        return document
    changed = _in_state(rollout, RolloutState.PAUSED)
    if reason:
        changed = _with_reason(changed, reason)
    return replace_rollout(document, allowed, version, changed)


def halt_rollout(
    document: ChannelDocument,
    allowed: Allowed,
    version: str,
    *,
    expected_epoch: int = 0,
    reason: str = "",
) -> ChannelDocument:
    """Return the document with a rollout halted, or the same one if it is.

    Args:
        document: What the channel offers.
        allowed: What may be offered.
        version: The release.
        expected_epoch: The epoch the caller saw; 0 accepts any.
        reason: Why, as `situation.Reason`; "" by a person.

    Raises:
        NotFoundError: The version is not offered.
        ConflictError: The rollout is at another epoch than the caller saw.
    """
    rollout = find_rollout(document, version, expected_epoch)
    if rollout.state is RolloutState.HALTED:
        return document
    changed = _in_state(rollout, RolloutState.HALTED)
    if reason:
        changed = _with_reason(changed, reason)
    return replace_rollout(document, allowed, version, changed)


def resume_rollout(
    document: ChannelDocument,
    allowed: Allowed,
    version: str,
    *,
    now: datetime,
    expected_epoch: int = 0,
    anyway: bool = False,
) -> ChannelDocument:
    """Return the document with a paused or halted rollout going on, or the same one if it does.

    Raises:
        NotFoundError: The version is not offered.
        ConflictError: The rollout is at another epoch than the caller saw.
        UsageError: Evidence has stopped it (rule 4), or the channel is stopped.
    """
    rollout = find_rollout(document, version, expected_epoch)
    if rollout.state is RolloutState.ACTIVE:
        return document
    check_moving(document)
    _check_evidence(document, version, rollout, anyway=anyway)
    return replace_rollout(document, allowed, version, go_on(rollout, now))


def go_on(rollout: Rollout, now: datetime) -> Rollout:
    """Return a rollout that stands still as it goes on: after evidence has stopped it, afresh."""
    changed = _in_state(rollout, RolloutState.ACTIVE)
    progress = read_progress(rollout)
    if progress is None:
        return changed
    if progress.reason in STOPPED_BY_EVIDENCE:
        progress = progress.afresh(epoch=changed.epoch, now=now)
    else:
        progress = replace(progress, reason="", resumed_at=now)
    return replace(changed, progress=progress.to_json())


def approve_step(
    document: ChannelDocument, allowed: Allowed, version: str, *, expected_epoch: int = 0
) -> ChannelDocument:
    """Return the document with a person's yes to the next step, or the same one if it is there.

    The step is taken when the evidence allows it too.

    Raises:
        NotFoundError: The version is not offered.
        ConflictError: The rollout is at another epoch than the caller saw.
        UsageError: It follows no plan, or there is no further step.
    """
    rollout = find_rollout(document, version, expected_epoch)
    progress = _need_progress(document, version, rollout)
    if progress.approved:
        return document
    if progress.next_stage is None:
        raise UsageError(
            "there is no next step to approve", subject=f"{document.channel}: {version}"
        )
    approved = replace(progress, approved=True)
    return replace_rollout(
        document, allowed, version, replace(rollout, progress=approved.to_json())
    )


def set_plan(
    document: ChannelDocument,
    allowed: Allowed,
    version: str,
    wanted: Progress,
    *,
    now: datetime,
    expected_epoch: int = 0,
    anyway: bool = False,
) -> ChannelDocument:
    """Return the document with a rollout that follows a plan from now on.

    It begins with the first stage that is no narrower than what the rollout has reached, and with
    nothing counted; at its time, if it has one, and until then the rollout stays where it is. The
    same plan again changes nothing.

    Args:
        document: What the channel offers.
        allowed: What may be offered.
        version: The release.
        wanted: The plan, before its start.
        now: The present, aware.
        expected_epoch: The epoch the caller saw; 0 accepts any.
        anyway: Whether to set evidence aside that has stopped it.

    Raises:
        NotFoundError: The version is not offered.
        ConflictError: The rollout is at another epoch than the caller saw.
        UsageError: Everybody is offered it, evidence has stopped it, or the channel is stopped.
    """
    rollout = find_rollout(document, version, expected_epoch)
    plan = _cut_plan(document, version, rollout, wanted.plan)
    known = read_progress(rollout)
    if known is not None and _is_same_plan(known, plan, wanted) and not anyway:
        return document
    check_moving(document)
    _check_evidence(document, version, rollout, anyway=anyway)
    epoch, start_at = rollout.epoch + 1, wanted.start_at
    progress = begin(plan, name=wanted.name, now=now, start_at=start_at)
    if start_at is None or start_at <= now:
        first = plan.stages[0]
        progress = progress.step(epoch=epoch, now=now)
        rollout = replace(rollout, exposure_bp=first.exposure_bp, control_bp=first.control_bp)
    changed = replace(rollout, epoch=epoch, progress=progress.to_json())
    return replace_rollout(document, allowed, version, changed)


def _is_same_plan(known: Progress, plan: Plan, wanted: Progress) -> bool:
    """Whether a plan is followed already; one that has not begun may be given another time."""
    has_begun = known.here is not None
    return known.plan == plan and (has_begun or known.start_at == wanted.start_at)


def _cut_plan(document: ChannelDocument, version: str, rollout: Rollout, plan: Plan) -> Plan:
    if rollout.exposure_bp == MAX_EXPOSURE_BP:
        raise UsageError(
            "everybody is offered it: no plan has a step left",
            subject=f"{document.channel}: {version}",
            expected="an exposure below 100%",
            found=format_percentage(rollout.exposure_bp),
        )
    left = tuple(item for item in plan.stages if item.exposure_bp >= rollout.exposure_bp)
    return replace(plan, stages=left)


def _in_state(rollout: Rollout, state: RolloutState) -> Rollout:
    return replace(rollout, state=state, epoch=rollout.epoch + 1)


def _with_reason(rollout: Rollout, reason: str) -> Rollout:
    progress = read_progress(rollout)
    if progress is None:
        return rollout
    return replace(rollout, progress=replace(progress, reason=reason).to_json())


def _need_progress(document: ChannelDocument, version: str, rollout: Rollout) -> Progress:
    progress = read_progress(rollout)
    if progress is None:
        raise UsageError(
            "follows no plan: a person steers it",
            subject=f"{document.channel}: {version}",
            hint="`lockgate rollout set` moves it, `lockgate rollout plan` gives it a plan.",
        )
    return progress


def check_no_evidence_elsewhere(
    channel: ChannelName, version: str, documents: Iterable[ChannelDocument]
) -> None:
    """Refuse to begin to offer, in a channel, what evidence has stopped in another one (rule 4).

    Raises:
        UsageError: It has.
    """
    for document in documents:
        offer = document.offer_of(version)
        if offer is None or document.channel == channel:
            continue
        reason = (offer.rollout.progress or {}).get("reason")
        if offer.rollout.state is not RolloutState.ACTIVE and reason in STOPPED_BY_EVIDENCE:
            raise UsageError(
                "stopped by evidence in another channel",
                subject=f"{channel}: {version}",
                found=f"{reason} in {document.channel}",
                hint="`lockgate rollout show` shows it; `rollout resume --anyway` there sets it"
                " aside, and needs a --reason.",
            )


def _check_evidence(
    document: ChannelDocument, version: str, rollout: Rollout, *, anyway: bool
) -> None:
    # Whoever goes on anyway also gets out of a plan that this server cannot read.
    progress = None if anyway else read_progress(rollout)
    if progress is None or progress.reason not in STOPPED_BY_EVIDENCE:
        return
    raise UsageError(
        "stopped by evidence",
        subject=f"{document.channel}: {version}",
        found=progress.reason,
        hint="`lockgate rollout show` shows it. To go on against it, say --anyway and --reason.",
    )
