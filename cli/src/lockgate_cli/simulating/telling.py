"""A simulated rollout in words, in numbers for programs, and in pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockgate_cli.simulating.course import Course, Rates
from lockgate_cli.simulating.trials import Endings
from lockgate_cli.simulating.vector_controller import Says
from lockgate_release.errors import LocalError
from lockgate_release.names import format_percentage
from lockgate_release.rollout.situation import Action, Reason

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Told", "as_json", "as_rows", "in_words", "plot"]

_HOUR_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was simulated.

    Attributes:
        clients: How many there were.
        rates: How they fare.
        seed: What chance began with.
        course: How one rollout went.
        harmless: How others went with a release that fares no worse than what is there.
        others: How others went with this release, each with chances of its own.
    """

    clients: int
    rates: Rates
    seed: int
    course: Course
    harmless: Endings
    others: Endings

    @property
    def is_through(self) -> bool:
        """Whether everybody was offered the release in the end."""
        return self.course.verdict.reason is Reason.FINISHED

    @property
    def peak(self) -> float:
        """The most requests per second, as an hour's mean."""
        return max(hour.requests for hour in self.course.hours) / _HOUR_S

    @property
    def mean(self) -> float:
        """The mean of requests per second."""
        hours = self.course.hours
        return sum(hour.requests for hour in hours) / len(hours) / _HOUR_S


def as_rows(told: Told) -> list[tuple[str, ...]]:
    """Return a row for each stage: exposure, when it began, how long it took, how it ended."""
    return [
        (
            format_percentage(stage.exposure_bp),
            _span(stage.began),
            _span(stage.hours),
            f"{stage.verdict.action}: {stage.verdict.text}",
        )
        for stage in told.course.stages
    ]


def in_words(told: Told) -> Iterator[str]:
    """Yield what else there is to say, line by line."""
    course, last = told.course, told.course.hours[-1]
    updated = f"{last.hurt:,} of {last.updated:,} clients that had installed it"
    if course.verdict.action is Action.HALT:
        yield f"halted after {_span(len(course.hours))}; hurt until then: {updated}"
    elif told.is_through:
        yield f"offered to everybody after {_span(course.stages[-1].began)}; hurt: {updated}"
        full = next(
            (i for i, hour in enumerate(course.hours, 1) if hour.updated >= 0.99 * told.clients), 0
        )
        yield f"99% had it after {_span(full)}" if full else "99% did not have it in time"
    else:
        yield f"ended in {course.verdict.reason} after {_span(len(course.hours))}; hurt: {updated}"
    yield f"CDN: {told.peak:,.0f} requests/s in the busiest hour, {told.mean:,.0f} on average"
    runs = len(told.others.says)
    yield (
        f"of {runs} more rollouts of a harmless release, {_count(told.harmless)} were halted; "
        f"of {runs} of this one, {_count(told.others)}"
    )


def _count(endings: Endings) -> str:
    halted = endings.halted
    return f"{round(halted * len(endings.says))} ({halted:.2%})"


def _span(hours: int) -> str:
    return f"{hours // 24}d {hours % 24}h" if hours >= 24 else f"{hours}h"


def as_json(told: Told) -> dict[str, Any]:
    """Return everything, for programs."""
    course, last = told.course, told.course.hours[-1]
    return {
        "clients": told.clients,
        "seed": told.seed,
        "base_rate": told.rates.base,
        "bad_rate": told.rates.bad,
        "verdict": {"action": course.verdict.action, "reason": course.verdict.reason},
        "hours_to_everybody": course.stages[-1].began if told.is_through else None,
        "updated": last.updated,
        "hurt": last.hurt,
        "requests_per_s": {"peak": told.peak, "mean": told.mean},
        "stages": [
            {
                "exposure": format_percentage(stage.exposure_bp),
                "began_hour": stage.began,
                "hours": stage.hours,
                "action": stage.verdict.action,
                "reason": stage.verdict.reason,
                "text": stage.verdict.text,
            }
            for stage in course.stages
        ],
        "hours": {
            "exposure_bp": [hour.exposure_bp for hour in course.hours],
            "updated": [hour.updated for hour in course.hours],
            "hurt": [hour.hurt for hour in course.hours],
            "requests_per_s": [round(hour.requests / _HOUR_S, 3) for hour in course.hours],
        },
        "harmless": _ends(told.harmless),
        "others": _ends(told.others),
    }


def _ends(endings: Endings) -> dict[str, Any]:
    return {
        "runs": len(endings.says),
        "halted": endings.halted,
        "paused": endings.share_of(Says.UNEQUAL_ARMS),
        "reached_everybody": endings.share_of(Says.FINISHED),
    }


def plot(told: Told, path: Path) -> None:
    """Draw the rollout over its hours into a file, PNG or SVG by its name.

    Raises:
        LocalError: It cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 (slow to import, and only needed here)

    figure = Figure(figsize=(8, 8), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    hours = told.course.hours
    series = (
        ("offered to, % of clients", [hour.exposure_bp / 100 for hour in hours], "tab:blue"),
        ("clients hurt", [float(hour.hurt) for hour in hours], "tab:red"),
        ("requests per second", [hour.requests / _HOUR_S for hour in hours], "tab:gray"),
    )
    for panel, (name, values, colour) in zip(panels, series, strict=True):
        _draw(panel, name, values, colour)
    panels[-1].set_xlabel("days")
    verdict = told.course.verdict
    figure.suptitle(f"{told.clients:,} clients, {verdict.action}: {verdict.text}", wrap=True)
    try:
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    except OSError as exc:
        raise LocalError("cannot be written", subject=str(path), found=str(exc)) from exc


def _draw(panel: Axes, name: str, values: list[float], colour: str) -> None:
    days = [hour / 24 for hour in range(1, len(values) + 1)]
    panel.step(days, values, where="post", color=colour)
    panel.set_ylabel(name)
    panel.set_ylim(bottom=0)
    panel.grid(alpha=0.3)
