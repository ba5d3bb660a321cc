"""What people ask about rollouts: change one, stop everything, start again.

Both sides use these values, as they use those in `requests`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lockgate_release.instants import format_instant
from lockgate_release.names import MAX_EXPOSURE_BP, ChannelName, is_channel_name
from lockgate_release.rollout.plan import Plan, read_plan
from lockgate_release.strict_json import Fields, Json, JsonObject, parse_json

__all__ = [
    "ChosenPlan",
    "RolloutAction",
    "RolloutRequest",
    "StartRequest",
    "StopRequest",
    "read_chosen_plan",
]

_SUBJECT = "request"
_REASON = r"(?s).*\S.*"
_MAX_REASON = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenPlan:
    """A plan that a rollout is to follow.

    Attributes:
        plan: It.
        name: What it is called, or "".
        start_at: When it starts, aware; None for at once.
    """

    plan: Plan
    name: str = ""
    start_at: datetime | None = None

    def to_json(self) -> JsonObject:
        """Return the plan as it stands in a request."""
        said: dict[str, Json] = {"plan": self.plan.to_json(), "name": self.name}
        if self.start_at is not None:
            said["start_at"] = format_instant(self.start_at)
        return said


def read_chosen_plan(fields: Fields) -> ChosenPlan:
    """Return the plan that a request names.

    Raises:
        DocumentError: It is none; the message names the field.
    """
    return ChosenPlan(
        plan=read_plan(fields.object("plan")),
        name=fields.text("name", max_length=64, default=""),
        start_at=fields.instant("start_at") if fields.has("start_at") else None,
    )


class RolloutAction(StrEnum):
    """What a person does to a rollout."""

    SET = "set"
    PAUSE = "pause"
    RESUME = "resume"
    HALT = "halt"
    APPROVE = "approve"
    FINISH = "finish"
    PLAN = "plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRequest:
    """Change one rollout by hand.

    Attributes:
        action: What to do.
        exposure_bp: The new share, 0 to 10000 basis points; only with `set`.
        expected_epoch: The epoch the person saw; another one in force is a conflict. 0 accepts any.
        chosen: The plan to follow; only with `plan`.
        reason: Why, for the audit log; at most 1000 characters.
        anyway: Whether to go on against the evidence that has stopped it; needs a reason.
        dry_run: Whether only to say what it would lead to.
    """

    action: RolloutAction
    exposure_bp: int = 0
    expected_epoch: int = 0
    chosen: ChosenPlan | None = None
    reason: str = ""
    anyway: bool = False
    dry_run: bool = False

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        body: dict[str, Json] = {
            "action": self.action.value,
            "exposure_bp": self.exposure_bp,
            "expected_epoch": self.expected_epoch,
            "reason": self.reason,
            "anyway": self.anyway,
            "dry_run": self.dry_run,
        }
        if self.chosen is not None:
            body["chosen"] = self.chosen.to_json()
        return body

    @classmethod
    def parse(cls, data: bytes) -> RolloutRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject=_SUBJECT)
        action = fields.choice("action", RolloutAction)
        is_set, is_plan = action is RolloutAction.SET, action is RolloutAction.PLAN
        anyway = fields.boolean("anyway", default=False)
        return cls(
            action=action,
            exposure_bp=fields.integer("exposure_bp", maximum=MAX_EXPOSURE_BP) if is_set else 0,
            expected_epoch=fields.integer("expected_epoch", default=0),
            chosen=read_chosen_plan(fields.object("chosen")) if is_plan else None,
            reason=_read_reason(fields, is_needed=anyway),
            anyway=anyway,
            dry_run=fields.boolean("dry_run", default=False),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest:
    """Let nothing reach further clients.

    Attributes:
        reason: Why, for people, 1 to 1000 characters.
        channel: Where; None: in every channel, those to come included.
        dry_run: Whether only to say what it would lead to.
    """

    reason: str
    channel: ChannelName | None = None
    dry_run: bool = False

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        return {"reason": self.reason, "channel": self.channel, "dry_run": self.dry_run}

    @classmethod
    def parse(cls, data: bytes) -> StopRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject=_SUBJECT)
        return cls(
            reason=_read_reason(fields, is_needed=True),
            channel=_read_channel(fields),
            dry_run=fields.boolean("dry_run", default=False),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """Let go on what was stopped: one person's yes to it.

    Attributes:
        channel: Where; None: in every channel.
        reason: Why, for the audit log; at most 1000 characters.
        dry_run: Whether only to say what it would lead to.
    """

    channel: ChannelName | None = None
    reason: str = ""
    dry_run: bool = False

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        return {"reason": self.reason, "channel": self.channel, "dry_run": self.dry_run}

    @classmethod
    def parse(cls, data: bytes) -> StartRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject=_SUBJECT)
        return cls(
            channel=_read_channel(fields),
            reason=_read_reason(fields, is_needed=False),
            dry_run=fields.boolean("dry_run", default=False),
        )


def _read_channel(fields: Fields) -> ChannelName | None:
    if not fields.has("channel"):
        return None
    return ChannelName(fields.checked("channel", is_channel_name, "a channel name"))


def _read_reason(fields: Fields, *, is_needed: bool) -> str:
    if is_needed:
        return fields.text("reason", pattern=_REASON, max_length=_MAX_REASON)
    return fields.text("reason", max_length=_MAX_REASON, default="")
