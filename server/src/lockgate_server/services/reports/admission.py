"""Whether a report may be counted: held against what is in force, and against the clock. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from lockgate_release.gate import Arm
from lockgate_release.names import AppName, Platform
from lockgate_release.platforms import best_platform
from lockgate_release.reports import Active, CohortKey, Enrolled, Fared
from lockgate_release.rollout.counts import COHORT
from lockgate_server.ports.reports import Admitted, Drop
from lockgate_server.services.reports.in_force import InForce, Line

__all__ = ["CLOCK_SKEW", "OTHER", "Place", "admit_active", "find_place", "put"]

CLOCK_SKEW: Final = timedelta(minutes=5)
"""By how much a client's clock may be ahead."""

OTHER: Final = "other"
"""What stands for a version or a platform that is not among the live ones: strangers do not choose
the names of what is counted. A machine for which there is only an artifact for `any` is one too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the reports of a cohort are counted.

    Attributes:
        cohort: The cohort, in names that are known.
        until: When its window closes.
        line: The release.
    """

    cohort: CohortKey
    until: datetime
    line: Line


def find_place(cohort: CohortKey, there: InForce, now: datetime) -> Place | Drop:
    """Return where the reports of a cohort are counted, or why they are not.

    Args:
        cohort: As the client says.
        there: What is in force.
        now: The present, aware.
    """
    line = there.lines.get((cohort.channel, cohort.version))
    if line is None or cohort.epoch > line.epoch:
        return Drop.UNKNOWN
    platform = best_platform(cohort.platform, line.platforms)
    if platform is None or _is_empty(cohort, line):
        return Drop.IMPOSSIBLE
    if cohort.hour > now + CLOCK_SKEW:
        return Drop.FUTURE
    until = cohort.hour + COHORT + line.window
    if until <= now:
        return Drop.LATE
    from_version = cohort.from_version if cohort.from_version in there.versions else OTHER
    known = cohort
    if (platform, from_version) != (cohort.platform, cohort.from_version):
        known = replace(cohort, platform=platform, from_version=from_version)
    return Place(cohort=known, until=until, line=line)


def put(app: AppName, report: Enrolled | Fared, place: Place) -> Admitted:
    """Return a report as it is counted at a place."""
    said = report.cohort
    is_known = place.cohort is said or place.cohort == said
    known = report if is_known else replace(report, cohort=place.cohort)
    return Admitted(app, known, place.until)


def _is_empty(cohort: CohortKey, line: Line) -> bool:
    """Whether nobody can be in this arm: of earlier epochs it is not known who was."""
    if cohort.from_version == cohort.version:
        return True  # who has the release already is in no arm of it
    if cohort.epoch < line.epoch:
        return False
    return not (line.exposure_bp if cohort.arm is Arm.OFFERED else line.control_bp)


def admit_active(app: AppName, report: Active, there: InForce, now: datetime) -> Admitted | Drop:
    """Return a client in use as it may be counted, or why it may not.

    Args:
        app: The app.
        report: What was said.
        there: What is in force.
        now: The present, aware.
    """
    if report.channel not in there.channels:
        return Drop.UNKNOWN
    if report.last_counted is not None and report.last_counted >= now.date():
        return Drop.REPEATED if report.last_counted == now.date() else Drop.FUTURE
    known = replace(
        report,
        version=report.version if report.version in there.versions else OTHER,
        platform=best_platform(report.platform, there.platforms) or Platform(OTHER),
    )
    return Admitted(app=app, report=known, until=now)
