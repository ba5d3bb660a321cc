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
from lockgate_server.stores.fingerprints import enrolment_of, fared_after, hashed_cohort

__all__ = ["ENROLLED", "OPENING_KEPT", "Line", "ReleaseKey", "Tally", "cohort_of", "tally"]

ENROLLED = "enrolled"
"""How an enrolment is called among the counts; an outcome by its failure, or `healthy`."""

OPENING_KEPT = 100
"""Of how many of the very first canaries is known how they fare."""

_NOT_INSTALLED = (Failure.DOWNLOAD, Failure.VERIFY, Failure.INSTALL)
_CALLED = {failure: failure.value or Outcome.HEALTHY.value for failure in Failure}
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
    groups: dict[tuple[AppName, CohortKey], _Group] = {}
    for one in admitted:
        report = one.report
        if isinstance(report, Active):
            result.active[one.app, _without_echo(report)] += 1
            result.counted += 1
            continue
        key = (one.app, report.cohort)
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group(*key)
        _add(result, group, one, report, seen)
    for group in groups.values():
        result.lines.update(group.lines())
    return result


def _without_echo(report: Active) -> Active:
    return Active(
        channel=report.channel,
        version=report.version,
        platform=report.platform,
        last_counted=None,
    )


class _Group:
    """What is the same for every client of a cohort, and what they add."""

    __slots__ = ("app", "cohort", "counts", "hashed", "is_canary", "release")

    def __init__(self, app: AppName, cohort: CohortKey) -> None:
        self.app = app
        self.cohort = cohort
        self.hashed = hashed_cohort(app, cohort)
        self.release = ReleaseKey(app, cohort.channel, cohort.version)
        self.is_canary = cohort.arm is Arm.OFFERED
        self.counts: Counter[str] = Counter()

    def lines(self) -> dict[Line, int]:
        """Return how much is added to which count."""
        return {Line(self.app, self.cohort, what): n for what, n in self.counts.items()}


def _add(
    result: Tally, group: _Group, one: Admitted, report: Enrolled | Fared, seen: Container[int]
) -> None:
    enrolment = enrolment_of(group.hashed, report.nonce)
    mark = enrolment if isinstance(report, Enrolled) else fared_after(enrolment)
    fresh = result.fresh
    if mark in fresh or mark in seen:
        result.repeated += 1
        return
    if isinstance(report, Enrolled):
        if group.is_canary:
            result.canaries.append((group.release, mark))
        what = ENROLLED
    else:
        if enrolment not in fresh and enrolment not in seen:
            result.unmatched.append(one)
            return
        if group.is_canary and report.failure is Failure.CRASH_LOOP:
            result.crashed.append((group.release, enrolment))
        what = _CALLED[report.failure]
    fresh.add(mark)
    if result.until is None or one.until > result.until:
        result.until = one.until
    group.counts[what] += 1
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
