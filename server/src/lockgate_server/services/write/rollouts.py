"""Changing one rollout by a person's hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from lockgate_release.documents import ChannelDocument, Rollout
from lockgate_release.names import AppName, ChannelName
from lockgate_release.requests import RolloutAction, RolloutRequest
from lockgate_server.errors import NotFoundError
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.changing import Outcome, Plan, change_app
from lockgate_server.services.write.channels import (
    Allowed,
    pause_rollout,
    resume_rollout,
    set_exposure,
)
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.publish import allowed_for

__all__ = ["ChangedRollout", "change_rollout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedRollout:
    """A rollout as it stands now.

    Attributes:
        rollout: It.
        warnings: What the person should know about it.
    """

    rollout: Rollout
    warnings: tuple[str, ...] = ()


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
        RepositoryError: The store holds no state that may be built upon.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """

    def plan(base: Base) -> Plan[ChangedRollout]:
        before = base.channels.get(channel)
        if before is None:
            raise NotFoundError("no such channel", subject=f"{app}: {channel}")
        after = _apply(before, allowed_for(deps, base, channel), version, request)
        answer = _describe(before, after, version)
        if after is before:
            return Plan(change=None, answer=answer)
        change = Change(
            action=f"rollout.{request.action}",
            details={"channel": channel, "version": version, **answer.rollout.to_json()},
            channels=(after,),
        )
        return Plan(change=change, answer=answer)

    return change_app(deps, app, caller, plan)


def _apply(
    before: ChannelDocument, allowed: Allowed, version: str, request: RolloutRequest
) -> ChannelDocument:
    epoch = request.expected_epoch
    match request.action:
        case RolloutAction.SET:
            return set_exposure(before, allowed, version, request.exposure_bp, expected_epoch=epoch)
        case RolloutAction.PAUSE:
            return pause_rollout(before, allowed, version, expected_epoch=epoch)
        case RolloutAction.RESUME:
            return resume_rollout(before, allowed, version, expected_epoch=epoch)
        case _:
            assert_never(request.action)


def _describe(before: ChannelDocument, after: ChannelDocument, version: str) -> ChangedRollout:
    old, new = before.offer_of(version), after.offer_of(version)
    assert old is not None and new is not None  # noqa: PT018 (changing a rollout keeps its offer)
    warnings: tuple[str, ...] = ()
    if new.rollout.exposure_bp < old.rollout.exposure_bp:
        warnings = (
            f"narrowed from {old.rollout.exposure_bp} to {new.rollout.exposure_bp} basis points: "
            "clients that have installed it keep it",
        )
    return ChangedRollout(rollout=new.rollout, warnings=warnings)
