"""How an update ends, and what stands on this machine: values, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lockgate_release.decision import Decision
from lockgate_updater.install.patching.plan import FetchPlan
from lockgate_updater.watch.health import HealthReport

__all__ = ["Outcome", "QuarantineStatus", "ReportStatus", "Status", "UpdateResult"]


class Outcome(StrEnum):
    """What an update did."""

    UPDATED = "updated"
    ON_TRIAL = "on-trial"
    """The new release is switched to and waits for `confirm`."""
    UP_TO_DATE = "up-to-date"
    HELD = "held"
    ROLLED_BACK = "rolled-back"
    LEFT = "left"
    """The installed release was revoked, and the last good one runs again."""
    STAYS = "stays"
    """The installed release is revoked, and there is nowhere to go: it keeps running."""
    PLANNED = "planned"
    """Nothing was done: a dry run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateResult:
    """How an update ended.

    Attributes:
        outcome: What was done.
        version: What is installed now (on trial included), or "" for nothing.
        previous: What was installed before, or "".
        reason: Why, as a sentence.
        decision: The decision it acted on, where one was taken.
        plan: What was fetched of the release, or, of a dry run, would be; None where nothing is.
    """

    outcome: Outcome
    version: str
    previous: str
    reason: str
    decision: Decision | None = None
    plan: FetchPlan | None = None

    def __str__(self) -> str:
        """Return the outcome and the reason."""
        return f"{self.outcome}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineStatus:
    """A release that failed here."""

    version: str
    failures: int
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportStatus:
    """Whether this client reports, and how that went last.

    Attributes:
        to: The address, or "" if it reports nothing.
        waiting: How many reports wait to be sent.
        sent_at: When some were sent last, or None.
        answer: How that was answered, or "".
    """

    to: str
    waiting: int
    sent_at: datetime | None
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What stands on this machine, without asking anybody.

    Attributes:
        app: The app.
        channel: The channel.
        repository: Where releases come from.
        state: The journal's state.
        installed: The good version, or "".
        on_trial: The version on trial, or "".
        tries_left: Starts that are left to it.
        runs: The version that `current` points to, or "".
        updater: The version of the updater that says this.
        good: Good versions on the disk, newest first.
        quarantine: What failed here.
        revoked: Versions known as revoked in this channel.
        floor: The highest floor seen for this channel, or "".
        health: How the client is: healthy, degraded or offline, and why.
        reports: Whether it reports, and how that went last.
    """

    app: str
    channel: str
    repository: str
    state: str
    installed: str
    on_trial: str
    tries_left: int
    runs: str
    updater: str
    good: tuple[str, ...]
    quarantine: tuple[QuarantineStatus, ...]
    revoked: tuple[str, ...]
    floor: str
    health: HealthReport
    reports: ReportStatus
