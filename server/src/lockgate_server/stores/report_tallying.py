"""From admitted reports to what is added to the counts: pure, and the same for every adapter.

1. A nonce counts once for an enrolment and once for an outcome.
2. An outcome counts where its enrolment has been counted, before or earlier in the same batch: so
   no cohort has more outcomes than clients, and who was refused as a client is refused as a voice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from lockgate_release.gate import Arm
from lockgate_release.names import AppName, ChannelName
from lockgate_release.reports import (
    Active,
    CohortKey,
    Enrolled,
    Failure,
    Fared,
    Outcome,
)
from lockgate_release.rollout.counts import Cohort
from lockgate_server.ports.reports import Admitted
from lockgate_server.stores.fingerprints import enrolment_of, fared_after

__all__ = ["ENROLLED", "OPENING_KEPT", "Line", "ReleaseKey", "Tally", "cohort_of", "tally"]

ENROLLED = "enrolled"
"""How an enrolment is called among the counts; an outcome by its failure, or `healthy`."""

OPENING_KEPT = 100
"""Of how many of the very first canaries is known how they fare."""

_NOT_INSTALLED = (Failure.DOWNLOAD, Failure.VERIFY, Failure.INSTALL)
_BAD = (Failure.CRASH_LOOP, Failure.HEALTH, Failure.TIMEOUT, Failure.EXIT)


class ReleaseKey(NamedTuple):
    """A release in a channel."""

    app: AppName
    channel: ChannelName
    version: str


class Line(NamedTuple):
    """One count: of the clients of a cohort of which one thing is known."""

    app: AppName
    cohort: CohortKey
    what: str


@dataclass(slots=True)
class Tally:
    """What a batch adds.

    Attributes:
        lines: How much to add to which count.
        active: How many clients of which app said that which version is in use.
        fresh: The fingerprints that were not known.
        until: The last moment at which any of them is needed.
        canaries: Those of the canaries that enrolled, in order.
        crashed: Those of the canaries' enrolments that failed at every start.
        counted: How many reports count.
        repeated: How many did already.
        unmatched: Outcomes without an enrolment.
    """

    lines: Counter[Line] = field(default_factory=Counter)
    active: Counter[tuple[AppName, Active]] = field(default_factory=Counter)
    fresh: set[int] = field(default_factory=set)
    until: datetime | None = None
    canaries: list[tuple[ReleaseKey, int]] = field(default_factory=list)
    crashed: list[tuple[ReleaseKey, int]] = field(default_factory=list)
    counted: int = 0
    repeated: int = 0
    unmatched: list[Admitted] = field(default_factory=list)

    @property
    def heard(self) -> set[ReleaseKey]:
        """The releases of which something was counted."""
        return {
            ReleaseKey(app, cohort.channel, cohort.version) for app, cohort, _what in self.lines
        }


def tally(admitted: Sequence[Admitted], seen: Container[int]) -> Tally:
    """Return what reports add, given the fingerprints that were seen before."""
    result = Tally()
    for one in admitted:
        if isinstance(one.report, Active):
            result.active[one.app, _without_echo(one.report)] += 1
            result.counted += 1
        else:
            _add(result, one, one.report, seen)
    return result


def _without_echo(report: Active) -> Active:
    return Active(
        channel=report.channel,
        version=report.version,
        platform=report.platform,
        last_counted=None,
    )


def _add(result: Tally, one: Admitted, report: Enrolled | Fared, seen: Container[int]) -> None:
    enrolment = enrolment_of(one.app, report)
    mark = enrolment if isinstance(report, Enrolled) else fared_after(enrolment)
    if mark in seen or mark in result.fresh:
        result.repeated += 1
        return
    release = ReleaseKey(one.app, report.cohort.channel, report.cohort.version)
    is_canary = report.cohort.arm is Arm.OFFERED
    if isinstance(report, Enrolled):
        if is_canary:
            result.canaries.append((release, mark))
        what = ENROLLED
    else:
        if enrolment not in seen and enrolment not in result.fresh:
            result.unmatched.append(one)
            return
        if is_canary and report.failure is Failure.CRASH_LOOP:
            result.crashed.append((release, enrolment))
        what = report.failure.value or Outcome.HEALTHY.value
    result.fresh.add(mark)
    result.until = one.until if result.until is None else max(result.until, one.until)
    result.lines[Line(one.app, report.cohort, what)] += 1
    result.counted += 1


def cohort_of(key: CohortKey, counts: Iterable[tuple[str, int]]) -> Cohort:
    """Return how a cohort fares, from its counts by name."""
    by_name = dict(counts)
    return Cohort(
        arm=key.arm,
        epoch=key.epoch,
        platform=key.platform,
        from_version=key.from_version,
        began_at=key.hour,
        enrolled=by_name.get(ENROLLED, 0),
        healthy=by_name.get(Outcome.HEALTHY.value, 0),
        bad=sum(by_name.get(failure.value, 0) for failure in _BAD),
        crash_loops=by_name.get(Failure.CRASH_LOOP.value, 0),
        not_installed=sum(by_name.get(failure.value, 0) for failure in _NOT_INSTALLED),
    )
