"""How far a rollout has got in its plan, as it stands in the channel's signed document.

It stands there, and not in a database, so that whoever has the bucket knows where every rollout
is, and a lost database loses none. What was reported is not in here: that is counted elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lockgate_release.documents import Rollout
from lockgate_release.errors import UsageError
from lockgate_release.instants import format_instant
from lockgate_release.rollout.plan import Plan, Stage, read_plan
from lockgate_release.strict_json import MAX_INTEGER, Fields, JsonObject

__all__ = ["Progress", "begin", "read_progress"]

_LATEST_START = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A plan, and how far it has got.

    Attributes:
        plan: What may happen.
        name: What the plan is called, or "".
        stage_epochs: The rollout's first epoch in each stage it has reached, in order; empty
            before it starts.
        stage_since: When the stage began, aware; before the start, when the plan was set.
        start_at: When it starts, aware; None for at once.
        approved: Whether a person has approved the step out of this stage.
        reason: Why it was paused or halted, as `situation.Reason`, or "" by a person.
        resumed_at: When a person last let it go on, aware: silence from before counts no more.
    """

    plan: Plan
    name: str = ""
    stage_epochs: tuple[int, ...] = ()
    stage_since: datetime
    start_at: datetime | None = None
    approved: bool = False
    reason: str = ""
    resumed_at: datetime | None = None

    @property
    def here(self) -> Stage | None:
        """The stage it is in, or None before it starts."""
        reached = len(self.stage_epochs)
        return self.plan.stages[reached - 1] if reached else None

    @property
    def next_stage(self) -> Stage | None:
        """The stage that comes next, or None after the last."""
        reached = len(self.stage_epochs)
        return self.plan.stages[reached] if reached < len(self.plan.stages) else None

    def step(self, *, epoch: int, now: datetime) -> Progress:
        """Return the progress after the next stage has begun.

        Args:
            epoch: The rollout's epoch from then on.
            now: When that is, aware.

        Raises:
            ValueError: There is no next stage.
        """
        if self.next_stage is None:
            raise ValueError("the plan has no further stage")
        return replace(
            self,
            stage_epochs=(*self.stage_epochs, epoch),
            stage_since=now,
            approved=False,
            reason="",
        )

    def afresh(self, *, epoch: int, now: datetime) -> Progress:
        """Return the rest of the plan, from the stage it is in, with nothing counted yet.

        Args:
            epoch: The first epoch whose reports count.
            now: When that begins, aware.
        """
        past = max(0, len(self.stage_epochs) - 1)
        rest = begin(replace(self.plan, stages=self.plan.stages[past:]), name=self.name, now=now)
        return rest.step(epoch=epoch, now=now)

    def to_json(self) -> JsonObject:
        """Return the progress as it stands in the document."""
        return {
            "plan": self.plan.to_json(),
            "name": self.name,
            "stage_epochs": list(self.stage_epochs),
            "stage_since": format_instant(self.stage_since),
            "start_at": None if self.start_at is None else format_instant(self.start_at),
            "approved": self.approved,
            "reason": self.reason,
            "resumed_at": None if self.resumed_at is None else format_instant(self.resumed_at),
        }


def begin(plan: Plan, *, name: str, now: datetime, start_at: datetime | None = None) -> Progress:
    """Return the progress of a plan that has reached no stage yet.

    Raises:
        UsageError: It would start in more than a year: a slip, of which nothing would ever remind.
    """
    if start_at is not None and start_at - now > _LATEST_START:
        raise UsageError(
            "starts too late",
            subject="start_at",
            expected=f"{format_instant(now + _LATEST_START)} at the latest",
            found=format_instant(start_at),
        )
    return Progress(plan=plan, name=name, stage_since=now, start_at=start_at)


def read_progress(rollout: Rollout, *, subject: str = "version.json") -> Progress | None:
    """Return how far a rollout has got in its plan, or None if it follows none.

    Raises:
        DocumentError: What stands there is no progress; the message names the field.
    """
    if rollout.progress is None:
        return None
    fields = Fields(rollout.progress, subject=subject, path="rollout.progress")
    plan = read_plan(fields.object("plan"))
    progress = Progress(
        plan=plan,
        name=fields.text("name", max_length=64, default=""),
        stage_epochs=_read_epochs(fields, plan),
        stage_since=fields.instant("stage_since"),
        start_at=fields.instant("start_at") if fields.has("start_at") else None,
        approved=fields.boolean("approved", default=False),
        reason=fields.text("reason", max_length=64, default=""),
        resumed_at=fields.instant("resumed_at") if fields.has("resumed_at") else None,
    )
    if progress.stage_epochs and progress.stage_epochs[-1] > rollout.epoch:
        fields.fail("stage_epochs", "later than the rollout", expected=f"at most {rollout.epoch}")
    return progress


def _read_epochs(fields: Fields, plan: Plan) -> tuple[int, ...]:
    epochs = fields.integers("stage_epochs", minimum=1, maximum=MAX_INTEGER, most=len(plan.stages))
    if list(epochs) != sorted(set(epochs)):
        fields.fail("stage_epochs", "not in order", expected="epochs that grow")
    return epochs
