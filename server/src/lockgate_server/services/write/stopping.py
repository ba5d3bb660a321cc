"""The emergency stop: one person stops an app or a channel; starting it again may need two."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import ChannelDocument
from lockgate_release.names import AppName, ChannelName
from lockgate_release.steering_requests import StartRequest, StopRequest
from lockgate_release.strict_json import Json, JsonObject
from lockgate_server.errors import NotFoundError
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.changing import Outcome, Plan, change_app
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.publish import allowed_for
from lockgate_server.services.write.stops import start_again, stop_channel

__all__ = ["Stopped", "describe_stopped", "start", "stop"]

_WHO_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """How the channels stand that were meant, or, after a dry run, would stand.

    Attributes:
        channels: Their documents.
        needed: How many people it takes to start.
        differs: Whether that is something else than before.
    """

    channels: tuple[ChannelDocument, ...]
    needed: int
    differs: bool


def stop(
    deps: WriteDeps, app: AppName, request: StopRequest, caller: Caller, *, needed: int
) -> Outcome[Stopped]:
    """Let nothing reach further clients, in one channel or in the whole app.

    Raises:
        NotFoundError: There is no such app or channel, or no channel to stop.
        RepositoryError: The store holds no state that may be built upon.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """

    def plan(base: Base) -> Plan[Stopped]:
        before = _choose(base, request.channel)
        after = tuple(
            stop_channel(
                document,
                allowed_for(deps, base, document.channel),
                reason=request.reason,
                now=deps.now(),
                is_whole_app=request.channel is None,
            )
            for document in before
        )
        details: dict[str, Json] = {"why": request.reason, "whole_app": request.channel is None}
        return _plan("stop", details, before, after, needed=needed, dry_run=request.dry_run)

    return change_app(deps, app, caller, plan)


def start(
    deps: WriteDeps, app: AppName, request: StartRequest, caller: Caller, *, needed: int
) -> Outcome[Stopped]:
    """Say yes to going on; with the last yes that it needs, what was stopped goes on.

    Args:
        deps: What a change needs.
        app: The app.
        request: Where, and why.
        caller: Who says so: another token is another person.
        needed: How many people it takes, > 0.

    Raises:
        NotFoundError: There is no such app or channel, or no channel to start.
        RepositoryError: The store holds no state that may be built upon.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """
    # What stands in the signed document is read by everybody: no name, and no token's id.
    who = digest_bytes(f"{app}\n{caller.actor}".encode())[:_WHO_DIGITS]

    def plan(base: Base) -> Plan[Stopped]:
        before = _choose(base, request.channel)
        after = tuple(
            start_again(
                document,
                allowed_for(deps, base, document.channel),
                who=who,
                needed=needed,
                now=deps.now(),
            )
            for document in before
        )
        details: dict[str, Json] = {"why": request.reason}
        return _plan("start", details, before, after, needed=needed, dry_run=request.dry_run)

    return change_app(deps, app, caller, plan)


def _choose(base: Base, channel: ChannelName | None) -> tuple[ChannelDocument, ...]:
    known = [base.channels[name] for name in sorted(base.channels)]
    chosen = tuple(item for item in known if channel is None or item.channel == channel)
    if not chosen:
        raise NotFoundError(
            "no such channel",
            subject=f"{base.app}: {channel or 'any'}",
            expected=", ".join(sorted(base.channels)) or "none yet",
        )
    return chosen


def _plan(
    action: str,
    details: dict[str, Json],
    before: tuple[ChannelDocument, ...],
    after: tuple[ChannelDocument, ...],
    *,
    needed: int,
    dry_run: bool,
) -> Plan[Stopped]:
    changed = tuple(new for old, new in zip(before, after, strict=True) if new is not old)
    answer = Stopped(channels=after, needed=needed, differs=bool(changed))
    if not changed or dry_run:
        return Plan(change=None, answer=answer)
    names: list[Json] = [document.channel for document in changed]
    change = Change(action=action, details={**details, "channels": names}, channels=changed)
    return Plan(change=change, answer=answer)


def describe_stopped(outcome: Outcome[Stopped]) -> JsonObject:
    """Return how the channels stand, as a client reads it."""
    stopped = outcome.answer
    return {
        "channels": [_describe(document, stopped.needed) for document in stopped.channels],
        "changed": outcome.changed,
        "would_change": stopped.differs,
    }


def _describe(document: ChannelDocument, needed: int) -> JsonObject:
    stop = document.stop
    if stop is None:
        return {"channel": document.channel, "stopped": False}
    return {
        "channel": document.channel,
        "stopped": True,
        "stop": stop.to_json(),
        "starts_missing": max(0, needed - len(stop.approvals)),
    }
