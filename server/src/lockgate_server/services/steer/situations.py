"""Where a rollout stands: its progress from the signed document, its counts from what was reported.

1. Only what was counted since the plan began counts: under another plan, or before a person set
   evidence aside, it proves nothing here.
2. The first canaries are those of the release. Where they came before the plan they are no opening.
3. Silence is counted from the last report, and not from before the stage began or a person let the
   rollout go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from lockgate_release.gate import Arm
from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.rollout.controller import OPENING_CANARIES
from lockgate_release.rollout.counts import Opening
from lockgate_release.rollout.progress import Progress
from lockgate_release.rollout.situation import Situation
from lockgate_server.ports.reports import ReportLedger

__all__ = ["find_situation"]


def find_situation(
    reports: ReportLedger,
    app: AppName,
    channel: ChannelName,
    version: str,
    progress: Progress,
    platforms: Iterable[Platform],
) -> Situation:
    """Return where a rollout stands that has begun.

    Args:
        reports: What was reported.
        app: The app.
        channel: The channel.
        version: The release.
        progress: How far it has got; in some stage.
        platforms: What the release is made for.

    Raises:
        LocalError: The counts cannot be read.
    """
    known = reports.cohorts(app, channel, version)
    first_epoch = progress.stage_epochs[0]
    is_opening = not any(
        cohort.arm is Arm.OFFERED and cohort.epoch < first_epoch for cohort in known
    )
    opening = reports.opening(app, channel, version, first=OPENING_CANARIES)
    return Situation(
        plan=progress.plan,
        stage_epochs=progress.stage_epochs,
        stage_since=progress.stage_since,
        platforms=tuple(sorted(set(platforms))),
        cohorts=tuple(cohort for cohort in known if cohort.epoch >= first_epoch),
        opening=opening if is_opening else Opening(),
        last_report_at=_last_heard(reports.last_report_at(app, channel, version), progress),
        approved=progress.approved,
    )


def _last_heard(last_report_at: datetime | None, progress: Progress) -> datetime | None:
    if last_report_at is None:
        return None
    moments = (last_report_at, progress.stage_since, progress.resumed_at)
    return max(moment for moment in moments if moment is not None)
