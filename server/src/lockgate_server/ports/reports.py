"""The port to what clients reported: counts, never clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.reports import Report
from lockgate_release.rollout.counts import Cohort, Opening

__all__ = [
    "ACTIVE_KEPT",
    "COUNTS_KEPT",
    "DROPPED_KEPT",
    "ActiveCount",
    "Added",
    "Admitted",
    "Drop",
    "ReportLedger",
]

COUNTS_KEPT = timedelta(days=180)
"""For how long the counts of a cohort are kept."""

ACTIVE_KEPT = timedelta(days=400)
"""For how long the counts of a day's clients are kept."""

DROPPED_KEPT = timedelta(days=30)
"""For how long is known what was dropped."""


class Drop(StrEnum):
    """Why a report was not counted."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    """Of an app, a channel, a release or an epoch that is not in force."""
    IMPOSSIBLE = "impossible"
    """Of an arm in which nobody is, or a platform that the release is not made for."""
    LATE = "late"
    """Of an hour whose window has closed."""
    FUTURE = "future"
    WEIGHT = "weight"
    """One more than one block of addresses may say."""
    REPEATED = "repeated"
    UNMATCHED = "unmatched"
    """An outcome of which no enrolment was counted."""
    RATE = "rate"
    """In a request of a block of addresses that sends too many: requests are counted."""
    FULL = "full"
    """In a request that came when too many reports were waiting: requests are counted. Or one of
    more clients than can be told apart."""


class Admitted(NamedTuple):
    """A report that may be counted, once.

    Attributes:
        app: The app.
        report: What was said.
        until: When the same would be too late to be admitted again: so long it is remembered.
    """

    app: AppName
    report: Report
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of admitted reports.

    Attributes:
        counted: How many were counted.
        repeated: How many had been already.
        unmatched: Outcomes of which no enrolment is known yet: it may be on its way through
            another process.
    """

    counted: int
    repeated: int
    unmatched: tuple[Admitted, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveCount:
    """How many clients said on one day that a version is in use."""

    channel: ChannelName
    version: str
    platform: Platform
    clients: int


class ReportLedger(Protocol):
    """What clients reported, counted. Losing it loses no release, and moves no rollout.

    Safe to share between threads and processes. Raises `LocalError` when its disk is in the way.
    """

    def add(
        self, admitted: Sequence[Admitted], dropped: Mapping[Drop, int], *, now: datetime
    ) -> Added:
        """Count reports, each nonce once, and what was dropped: one transaction, all or nothing.

        An outcome counts where its enrolment, with the same nonce and cohort, has been counted.
        What is found to be repeated is added to what was dropped.
        """
        ...

    def cohorts(self, app: AppName, channel: ChannelName, version: str) -> tuple[Cohort, ...]:
        """Return how every cohort of a release fares, oldest first."""
        ...

    def opening(self, app: AppName, channel: ChannelName, version: str, *, first: int) -> Opening:
        """Return how the very first `first` canaries fare, at most 100."""
        ...

    def last_report_at(self, app: AppName, channel: ChannelName, version: str) -> datetime | None:
        """Return when a report of either arm was last counted, or None before the first."""
        ...

    def active(self, app: AppName, day: date) -> tuple[ActiveCount, ...]:
        """Return the counts of a day, most clients first."""
        ...

    def dropped(self) -> Mapping[Drop, int]:
        """Return what was dropped in the days that are kept; what never was is left out."""
        ...

    def note_waiting(self, waiting: int, *, now: datetime) -> None:
        """Say how many reports wait in the memory of this process, also where none can be added."""
        ...

    def waiting(self, *, now: datetime) -> int | None:
        """Return how many reports wait in all processes, as they said in the last half minute.

        None where none has said anything: nobody takes reports in.
        """
        ...

    def prune(self, *, now: datetime) -> None:
        """Forget what is older than is kept."""
        ...

    def close(self) -> None:
        """Let go of every file."""
        ...
