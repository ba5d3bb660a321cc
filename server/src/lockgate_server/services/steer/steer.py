"""The worker's job: each rollout with a plan is judged, and takes at most one step.

1. Only an active rollout that has a plan is steered. To hold writes nothing.
2. A step is an ordinary change, with the verdict and its evidence in the audit log. It is taken
   only while the rollout is at the epoch it was judged at: of two workers, one takes it.
3. A rollout that waits for its time starts then.
4. Once everybody is offered the release, harm still halts it for as long as the last stage is
   watched: its dwell time, and at least until the first of its canaries have had theirs.
5. What cannot be steered is told of, and keeps no other rollout from being steered.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from lockgate_release.documents import ChannelDocument, ChannelOffer, RolloutState
from lockgate_release.errors import LockgateError
from lockgate_release.log.server_events import (
    ROLLOUT_NOT_STEERED,
    ROLLOUT_STANDS_STILL,
    ROLLOUT_STEPPED,
    ROLLOUT_STOPPED,
)
from lockgate_release.log.telling import tell
from lockgate_release.names import AppName, ChannelName
from lockgate_release.rollout.controller import judge
from lockgate_release.rollout.counts import COHORT
from lockgate_release.rollout.progress import Progress, read_progress
from lockgate_release.rollout.situation import Action, Verdict
from lockgate_release.strict_json import Json, JsonObject
from lockgate_server.services.steer.alarms import is_parked
from lockgate_server.services.steer.describing import describe_verdict, plan_digest
from lockgate_server.services.steer.situations import find_situation
from lockgate_server.services.write import steering
from lockgate_server.services.write.base import Base, read_release
from lockgate_server.services.write.changing import Plan, change_app
from lockgate_server.services.write.channels import Allowed
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.publish import allowed_for
from lockgate_server.services.write.status import read_current

__all__ = ["Steering", "Step", "judge_offer"]

_log = logging.getLogger(__name__)

START = "start"
"""What is done to a rollout that has waited for its time; the rest are the controller's actions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is to be done to one rollout, or was done.

    Attributes:
        channel: Where.
        version: The release.
        epoch: The rollout's epoch when it was judged.
        action: `start`, `widen`, `pause` or `halt`.
        reason: Why, as `situation.Reason`; "" for a start.
        details: The verdict with its evidence, and the plan's digest.
    """

    channel: ChannelName
    version: str
    epoch: int
    action: str
    reason: str = ""
    details: JsonObject = field(default_factory=dict)


@dataclass(kw_only=True)
class Steering:
    """The job. It remembers nothing but which alarms it has told of today.

    Attributes:
        caller: Who the audit log says it was.
    """

    caller: Caller
    _told: dict[tuple[str, ...], date] = field(default_factory=dict)

    def __call__(self, deps: WriteDeps, app: AppName) -> tuple[Step, ...]:
        """Judge every rollout of an app, and return the steps that were taken.

        Raises:
            LockgateError: As `steer_as` does.
        """
        return self.steer_as(deps, app, self.caller)

    def steer_as(self, deps: WriteDeps, app: AppName, caller: Caller) -> tuple[Step, ...]:
        """Judge every rollout of an app, and take steps in the name of `caller`.

        Raises:
            RepositoryError: The store holds no state that may be built upon.
            TransportError: The store cannot be reached.
            LocalError: The ledger, the counts or the online key cannot be used.
        """
        base = read_current(deps, app)
        taken = []
        for document, offer in _active_offers(base):
            try:
                step = self._decide(deps, base, document, offer)
                if step is not None and _take(deps, app, step, caller):
                    taken.append(step)
                    _tell_step(app, step)
            except LockgateError as exc:
                tell(
                    _log,
                    ROLLOUT_NOT_STEERED,
                    app=app,
                    channel=document.channel,
                    version=offer.version,
                    code=exc.code,
                    reason=str(exc),
                )
        return tuple(taken)

    def _decide(
        self, deps: WriteDeps, base: Base, document: ChannelDocument, offer: ChannelOffer
    ) -> Step | None:
        progress, now = read_progress(offer.rollout), deps.now()
        if progress is None:
            return None
        if progress.here is None:
            return _start(document.channel, offer, progress, now)
        if _is_over(progress, now):
            return None
        verdict = judge_offer(deps, base, document.channel, offer, progress)
        if is_parked(offer.rollout, progress, now):
            self._tell_parked(base.app, document.channel, offer.version, verdict, now)
        if verdict.action is Action.HOLD:
            return None
        return Step(
            channel=document.channel,
            version=offer.version,
            epoch=offer.rollout.epoch,
            action=verdict.action.value,
            reason=verdict.reason.value,
            details=describe_verdict(verdict, progress.plan),
        )

    def _tell_parked(
        self, app: AppName, channel: ChannelName, version: str, verdict: Verdict, now: datetime
    ) -> None:
        key = (app, channel, version)
        if self._told.get(key) == now.date():
            return
        self._told[key] = now.date()
        tell(
            _log,
            ROLLOUT_STANDS_STILL,
            app=app,
            channel=channel,
            version=version,
            reason=verdict.text,
        )


def judge_offer(
    deps: WriteDeps,
    base: Base,
    channel: ChannelName,
    offer: ChannelOffer,
    progress: Progress,
) -> Verdict:
    """Return what is to be done with a rollout that has begun, and why.

    Raises:
        RepositoryError: The release's document is missing or not the one that was signed.
        TransportError: The store cannot be reached.
        LocalError: The counts cannot be read.
    """
    release = read_release(deps.store, base, offer.path)
    platforms = (artifact.platform for artifact in release.artifacts)
    situation = find_situation(deps.reports, base.app, channel, offer.version, progress, platforms)
    return judge(situation, deps.now())


def _active_offers(base: Base) -> Iterator[tuple[ChannelDocument, ChannelOffer]]:
    for name in sorted(base.channels):
        for offer in base.channels[name].offers:
            if offer.rollout.progress is not None and offer.rollout.state is RolloutState.ACTIVE:
                yield base.channels[name], offer


def _start(
    channel: ChannelName, offer: ChannelOffer, progress: Progress, now: datetime
) -> Step | None:
    if progress.start_at is not None and now < progress.start_at:
        return None
    return Step(
        channel=channel,
        version=offer.version,
        epoch=offer.rollout.epoch,
        action=START,
        details={"plan_sha256": plan_digest(progress.plan)},
    )


def _is_over(progress: Progress, now: datetime) -> bool:
    """Whether everybody is offered the release, and has been for long enough (rule 4)."""
    if progress.next_stage is not None or progress.here is None:
        return False
    closing_s = int(COHORT.total_seconds()) + progress.plan.window_s
    watched = timedelta(seconds=max(progress.here.dwell_s, closing_s))
    return now - progress.stage_since > watched


def _take(deps: WriteDeps, app: AppName, step: Step, caller: Caller) -> bool:
    """Put a step in force; return whether it was this call that did (rule 2).

    Raises:
        LockgateError: As `change_app` does.
    """

    def plan(base: Base) -> Plan[None]:
        before = base.channels.get(step.channel)
        offer = before.offer_of(step.version) if before is not None else None
        if (
            before is None
            or offer is None
            or (offer.rollout.epoch, offer.rollout.state) != (step.epoch, RolloutState.ACTIVE)
        ):
            return Plan(change=None, answer=None)
        after = _apply(before, allowed_for(deps, base, step.channel), step, deps.now())
        change = Change(
            action=f"rollout.{step.action}",
            details=_details(step, offer, after),
            channels=(after,),
        )
        return Plan(change=change, answer=None)

    return change_app(deps, app, caller, plan).changed


def _apply(before: ChannelDocument, allowed: Allowed, step: Step, now: datetime) -> ChannelDocument:
    if step.action == Action.HALT:
        return steering.halt_rollout(before, allowed, step.version, reason=step.reason)
    if step.action == Action.PAUSE:
        return steering.pause_rollout(before, allowed, step.version, reason=step.reason)
    return steering.next_step(before, allowed, step.version, now)


def _details(step: Step, offer: ChannelOffer, after: ChannelDocument) -> JsonObject:
    now_offered = after.offer_of(step.version)
    said: dict[str, Json] = {
        "channel": step.channel,
        "version": step.version,
        "from_exposure_bp": offer.rollout.exposure_bp,
        **step.details,
    }
    if now_offered is not None:
        rollout = now_offered.rollout
        said.update(exposure_bp=rollout.exposure_bp, epoch=rollout.epoch, state=rollout.state.value)
    return said


def _tell_step(app: AppName, step: Step) -> None:
    is_alarm = step.action in {Action.HALT, Action.PAUSE}
    tell(
        _log,
        ROLLOUT_STOPPED if is_alarm else ROLLOUT_STEPPED,
        app=app,
        channel=step.channel,
        version=step.version,
        action=step.action,
        verdict=step.reason,
        text=str(step.details.get("text", "")),
    )
