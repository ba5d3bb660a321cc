"""Changing one rollout by a person's hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lockgate_release.documents import ChannelDocument, Rollout, RolloutState
from lockgate_release.errors import UsageError
from lockgate_release.names import AppName, ChannelName, format_percentage
from lockgate_release.rollout.progress import begin, read_progress
from lockgate_release.steering_requests import ChosenPlan, RolloutAction, RolloutRequest
from lockgate_release.strict_json import Json, JsonObject
from lockgate_server.errors import NotFoundError
from lockgate_server.services.write import steering
from lockgate_server.services.write.bars import bars_of, check_bar, offered_in
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.changing import Outcome, Plan, change_app
from lockgate_server.services.write.channels import Allowed
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.publish import allowed_for

__all__ = ["ChangedRollout", "change_rollout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedRollout:
    """A rollout as it stands now, or, after a dry run, as it would.

    Attributes:
        rollout: It.
        warnings: What the person should know about it.
        differs: Whether that is something else than before.
    """

    rollout: Rollout
    warnings: tuple[str, ...] = ()
    differs: bool = False


def change_rollout(
    deps: WriteDeps,
    app: AppName,
    channel: ChannelName,
    version: str,
    request: RolloutRequest,
    caller: Caller,
) -> Outcome[ChangedRollout]:
    """Change the rollout of `version` in `channel`, or leave it where it is so already.

    Raises:
        NotFoundError: There is no such app, channel or offer.
        ConflictError: The rollout is at another epoch than the person saw.
        UsageError: It breaks a rule of `steering`.
        RepositoryError: The store holds no state that may be built upon.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """

    def plan(base: Base) -> Plan[ChangedRollout]:
        before = base.channels.get(channel)
        if before is None:
            raise NotFoundError("no such channel", subject=f"{app}: {channel}")
        after = _apply(before, allowed_for(deps, base, channel), version, request, deps.now())
        answer = _describe(before, after, version, request)
        _check_still_meets_bar(deps, base, before, after, version)
        if after is before or request.dry_run:
            return Plan(change=None, answer=answer)
        change = Change(
            action=f"rollout.{request.action}",
            details=_details(channel, version, answer.rollout, request),
            channels=(after,),
        )
        return Plan(change=change, answer=answer)

    return change_app(deps, app, caller, plan)


def _check_still_meets_bar(
    deps: WriteDeps, base: Base, before: ChannelDocument, after: ChannelDocument, version: str
) -> None:
    """Refuse to let a release reach further clients that would all refuse it."""
    old, new = before.offer_of(version), after.offer_of(version)
    if old is None or new is None:
        return
    is_wider = new.rollout.exposure_bp > old.rollout.exposure_bp
    if is_wider or (old.rollout.state is not new.rollout.state is RolloutState.ACTIVE):
        bars = bars_of(deps, base, waived=offered_in((before,)))
        check_bar(bars, after, new)


def _details(
    channel: ChannelName, version: str, rollout: Rollout, request: RolloutRequest
) -> JsonObject:
    details: dict[str, Json] = {"channel": channel, "version": version, **rollout.to_json()}
    if request.reason:
        details["why"] = request.reason
    if request.anyway:
        details["anyway"] = True
    return details


def _apply(
    before: ChannelDocument,
    allowed: Allowed,
    version: str,
    request: RolloutRequest,
    now: datetime,
) -> ChannelDocument:
    epoch = request.expected_epoch
    match request.action:
        case RolloutAction.PAUSE:
            return steering.pause_rollout(before, allowed, version, expected_epoch=epoch)
        case RolloutAction.HALT:
            return steering.halt_rollout(before, allowed, version, expected_epoch=epoch)
        case RolloutAction.APPROVE:
            return steering.approve_step(before, allowed, version, expected_epoch=epoch)
        case _:
            return _move_on(before, allowed, version, request, now)


def _move_on(
    before: ChannelDocument,
    allowed: Allowed,
    version: str,
    request: RolloutRequest,
    now: datetime,
) -> ChannelDocument:
    """Do what evidence or a stop may stand against."""
    epoch, anyway = request.expected_epoch, request.anyway
    if request.action is RolloutAction.SET:
        return steering.set_exposure(
            before, allowed, version, request.exposure_bp, expected_epoch=epoch, anyway=anyway
        )
    if request.action is RolloutAction.RESUME:
        return steering.resume_rollout(
            before, allowed, version, now=now, expected_epoch=epoch, anyway=anyway
        )
    if request.action is RolloutAction.FINISH:
        return steering.finish_rollout(
            before, allowed, version, expected_epoch=epoch, anyway=anyway
        )
    wanted = _need_plan(request.chosen)
    return steering.set_plan(
        before,
        allowed,
        version,
        begin(wanted.plan, name=wanted.name, now=now, start_at=wanted.start_at),
        now=now,
        expected_epoch=epoch,
        anyway=anyway,
    )


def _need_plan(chosen: ChosenPlan | None) -> ChosenPlan:
    if chosen is None:
        raise UsageError("no plan", subject="chosen", expected="the plan to follow")
    return chosen


def _describe(
    before: ChannelDocument, after: ChannelDocument, version: str, request: RolloutRequest
) -> ChangedRollout:
    old, new = before.offer_of(version), after.offer_of(version)
    assert old is not None and new is not None  # noqa: PT018 (changing a rollout keeps its offer)
    return ChangedRollout(
        rollout=new.rollout,
        warnings=tuple(_find_warnings(old.rollout, new.rollout, request)),
        differs=after is not before,
    )


def _find_warnings(old: Rollout, new: Rollout, request: RolloutRequest) -> list[str]:
    warnings = []
    if new.exposure_bp < old.exposure_bp:
        warnings.append(
            f"narrowed from {format_percentage(old.exposure_bp)} to "
            f"{format_percentage(new.exposure_bp)}: clients that have installed it keep it"
        )
    if old.progress is not None and new.progress is None and not new.is_full:
        warnings.append("it follows no plan any more: a person steers it from now on")
    progress = read_progress(new)
    if request.action is RolloutAction.APPROVE and progress is not None:
        stage = len(progress.stage_epochs) - 1
        if stage < 0 or not progress.plan.waits_for_person(stage):
            warnings.append("this step waits for no person: the evidence decides it")
    return warnings
