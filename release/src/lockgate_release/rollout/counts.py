"""What clients reported about one rollout, counted by cohort: nobody is in here, only numbers.

A cohort is the clients of one arm that enrolled in the same hour, under the same epoch, on the same
platform and coming from the same version. Its window closes when its hour and the plan's window
are over; until then it proves nothing about a ratio, because an arm that fails sooner than the
other one would look worse than it is. Who has said nothing by then has fared badly. Arms are
compared only inside a cell: two cohorts that differ in nothing but the arm, each with the size it
really had, so that neither stragglers nor who reports at all can tilt the comparison.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lockgate_release.gate import Arm
from lockgate_release.names import Platform
from lockgate_release.rollout.evidence import Cell

__all__ = ["COHORT", "Cohort", "Comparison", "Opening", "Totals", "compare", "total"]

COHORT = timedelta(hours=1)
"""How long a cohort enrols."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """How the clients fared that enrolled together.

    Attributes:
        arm: `OFFERED` or `CONTROL`.
        epoch: The rollout's epoch they saw.
        platform: Their platform.
        from_version: What they had before, or have.
        began_at: When their hour began, aware.
        enrolled: How many they are.
        healthy: How many said that all is well.
        bad: How many said that it is not, crash loops among them.
        crash_loops: How many of those failed at every start.
        not_installed: How many could not fetch or install the release: no fault of the program,
            so they are in no comparison, only under the ceiling.
    """

    arm: Arm
    epoch: int
    platform: Platform
    from_version: str
    began_at: datetime
    enrolled: int
    healthy: int = 0
    bad: int = 0
    crash_loops: int = 0
    not_installed: int = 0

    @property
    def compared(self) -> int:
        """How many of them say something about the program."""
        return max(0, self.enrolled - self.not_installed)

    @property
    def bad_or_silent(self) -> int:
        """How many fared badly if no more word comes."""
        return max(0, min(self.compared, self.compared - self.healthy))

    def has_closed(self, now: datetime, window_s: int) -> bool:
        """Whether nothing that comes from now on counts."""
        return self.began_at + COHORT + timedelta(seconds=window_s) <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How the very first canaries fare, known as it happens.

    Attributes:
        canaries: How many of the first ones have enrolled.
        crash_loops: How many of those failed at every start.
    """

    canaries: int = 0
    crash_loops: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """One arm in all.

    Attributes:
        enrolled: How many enrolled.
        closed: How many of them are compared and have had their time.
        bad: How many of the closed fared badly, silence included.
        crash_loops: How many reported a crash loop, closed or not.
        failed_already: How many reported anything bad, or could not install, closed or not.
        answered: How many said how they fare, closed or not.
    """

    enrolled: int = 0
    closed: int = 0
    bad: int = 0
    crash_loops: int = 0
    failed_already: int = 0
    answered: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The closed cells, for those who compare.

    Attributes:
        cells: Every cell in which both arms have somebody.
        by_platform: The same, parted by platform.
    """

    cells: tuple[Cell, ...]
    by_platform: Mapping[Platform, tuple[Cell, ...]]


def total(cohorts: Iterable[Cohort], arm: Arm, *, now: datetime, window_s: int) -> Totals:
    """Return how an arm fares in all."""
    mine = [cohort for cohort in cohorts if cohort.arm is arm]
    closed = [cohort for cohort in mine if cohort.has_closed(now, window_s)]
    return Totals(
        enrolled=sum(cohort.enrolled for cohort in mine),
        closed=sum(cohort.compared for cohort in closed),
        bad=sum(cohort.bad_or_silent for cohort in closed),
        crash_loops=sum(cohort.crash_loops for cohort in mine),
        failed_already=sum(cohort.bad + cohort.not_installed for cohort in mine),
        answered=sum(cohort.healthy + cohort.bad + cohort.not_installed for cohort in mine),
    )


def compare(cohorts: Iterable[Cohort], *, now: datetime, window_s: int) -> Comparison:
    """Return the cells that have closed and have somebody in both arms."""
    arms: dict[tuple[object, ...], dict[Arm, list[Cohort]]] = {}
    for cohort in cohorts:
        if cohort.has_closed(now, window_s):
            key = (cohort.platform, cohort.from_version, cohort.epoch, cohort.began_at)
            arms.setdefault(key, {}).setdefault(cohort.arm, []).append(cohort)
    by_platform: dict[Platform, list[Cell]] = {}
    for sides in arms.values():
        canary, control = sides.get(Arm.OFFERED, []), sides.get(Arm.CONTROL, [])
        cell = _cell(canary, control)
        if cell is not None:
            by_platform.setdefault(canary[0].platform, []).append(cell)
    return Comparison(
        cells=tuple(cell for cells in by_platform.values() for cell in cells),
        by_platform={platform: tuple(cells) for platform, cells in by_platform.items()},
    )


def _cell(canary: list[Cohort], control: list[Cohort]) -> Cell | None:
    canaries = sum(cohort.compared for cohort in canary)
    controls = sum(cohort.compared for cohort in control)
    if not canaries or not controls:
        return None
    return Cell(
        bad_canary=sum(cohort.bad_or_silent for cohort in canary),
        bad_control=sum(cohort.bad_or_silent for cohort in control),
        canary_share=canaries / (canaries + controls),
    )
