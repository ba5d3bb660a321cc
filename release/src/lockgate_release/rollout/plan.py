"""What a rollout may do, and when: stages of exposure, error rates, hours, and who approves.

A plan is written by a person, as TOML or JSON with the same fields, and kept beside the rollout in
the channel's signed document. Shares are percentages in text (`"0.5%"`), spans are `"24h"`, so
that nothing is a float and a unit is never guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum
from itertools import pairwise
from typing import TypeVar
from zoneinfo import ZoneInfo

from lockgate_release.durations import format_duration, parse_duration
from lockgate_release.errors import UsageError
from lockgate_release.names import MAX_EXPOSURE_BP, format_percentage, parse_percentage
from lockgate_release.strict_json import Fields, JsonObject

__all__ = [
    "DEFAULT_PLAN",
    "MAX_WINDOW_S",
    "Approval",
    "Plan",
    "Stage",
    "WeekDay",
    "Window",
    "read_plan",
]

T = TypeVar("T")

MAX_WINDOW_S = 30 * 86400
"""For how long a client may be silent at most, in seconds: so long its nonce is remembered."""

_MOST_STAGES = 20
_MOST_WINDOWS = 21
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_MIDNIGHT = time(0, 0)


class Approval(StrEnum):
    """Which steps wait for a person, whatever the evidence says."""

    NONE = "none"
    LAST = "last"
    """The step to everybody."""
    EACH = "each"


class WeekDay(StrEnum):
    """A day of the week, Monday first."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of exposure.

    Attributes:
        exposure_bp: The share of clients that are offered the release, 1 to 10000 basis points.
        control_bp: The share that only reports; what is left by default.
        dwell_s: How long the stage lasts at least, in seconds.
        reports: How many canaries' windows must have closed before the next step, >= 0.
    """

    exposure_bp: int
    control_bp: int
    dwell_s: int
    reports: int

    def to_json(self) -> JsonObject:
        """Return the stage as it stands in a plan."""
        return {
            "exposure": format_percentage(self.exposure_bp),
            "control": format_percentage(self.control_bp),
            "dwell": format_duration(self.dwell_s),
            "reports": self.reports,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a step may be taken, in the plan's time zone.

    Attributes:
        days: On which days it opens.
        opens: At what time of the day.
        closes: At what time, later on the same day; midnight is the day's end.
    """

    days: frozenset[WeekDay]
    opens: time
    closes: time

    def holds(self, local: datetime) -> bool:
        """Whether the window is open at a moment of the plan's own time zone."""
        day = list(WeekDay)[local.weekday()]
        moment = local.time().replace(tzinfo=None)
        return (
            day in self.days
            and self.opens <= moment
            and (self.closes == _MIDNIGHT or moment < self.closes)
        )

    def overlaps(self, other: Window) -> bool:
        """Whether some moment is in both."""
        if not self.days & other.days:
            return False
        ends = [
            window.closes if window.closes != _MIDNIGHT else time.max for window in (self, other)
        ]
        return self.opens < ends[1] and other.opens < ends[0]

    def to_json(self) -> JsonObject:
        """Return the window as it stands in a plan."""
        return {
            "days": [day.value for day in WeekDay if day in self.days],
            "opens": self.opens.isoformat("minutes"),
            "closes": self.closes.isoformat("minutes"),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How far a rollout may go on which evidence.

    Attributes:
        stages: In order; each reaches further than the one before, the last one everybody.
        window_s: How long a client may be silent before that is a bad outcome, the same in both
            arms.
        alpha_bp: The chance, in basis points, that a harmless release is halted; all rules share
            it.
        beta_bp: The chance that a release as bad as `worst_ratio_percent` is widened; all stages
            share it.
        worst_ratio_percent: How many times as badly canaries may fare, times 100, > 100.
        ceiling_bp: The share of canaries that may fare badly, whatever control does.
        negligible_bp: The share of canaries that may fare badly however control fares. It is what
            must be ruled out where nobody in either arm fares badly, and no ratio can be known.
        approval: Which steps wait for a person.
        windows: When steps may be taken; none means at any time.
        zone: The IANA time zone the windows are in.
        outage_s: For how long no report at all may come before the rollout pauses.
        parked_s: After how long without a step an alarm is raised.
    """

    stages: tuple[Stage, ...]
    window_s: int = 24 * 3600
    alpha_bp: int = 100
    beta_bp: int = 100
    worst_ratio_percent: int = 200
    ceiling_bp: int = 1000
    negligible_bp: int = 100
    approval: Approval = Approval.NONE
    windows: tuple[Window, ...] = ()
    zone: str = "UTC"
    outage_s: int = 12 * 3600
    parked_s: int = 7 * 86400

    def is_open(self, now: datetime) -> bool:
        """Whether a step may be taken at this moment, which is aware."""
        local = now.astimezone(_find_zone(self.zone))
        return not self.windows or any(window.holds(local) for window in self.windows)

    def opens_at(self, now: datetime) -> datetime:
        """Return the first full minute from `now` on at which a step may be taken.

        Where no window opens within eight days, which no plan that was read can say, it is then.
        """
        moment = now if now.second == 0 else now.replace(second=0) + timedelta(minutes=1)
        if self.is_open(now):
            return now
        for _ in range(8 * 24 * 60):
            if self.is_open(moment):
                return moment
            moment += timedelta(minutes=1)
        return moment

    def waits_for_person(self, stage: int) -> bool:
        """Whether the step out of a stage, by its index, waits for a person."""
        is_last_step = stage + 2 >= len(self.stages)
        return self.approval is Approval.EACH or (self.approval is Approval.LAST and is_last_step)

    def to_json(self) -> JsonObject:
        """Return the plan with every field, as `read_plan` reads it."""
        return {
            "stages": [stage.to_json() for stage in self.stages],
            "window": format_duration(self.window_s),
            "alpha": format_percentage(self.alpha_bp),
            "beta": format_percentage(self.beta_bp),
            "worst_ratio_percent": self.worst_ratio_percent,
            "ceiling": format_percentage(self.ceiling_bp),
            "negligible": format_percentage(self.negligible_bp),
            "approval": self.approval.value,
            "windows": [window.to_json() for window in self.windows],
            "zone": self.zone,
            "outage": format_duration(self.outage_s),
            "parked": format_duration(self.parked_s),
        }


def _stage(exposure_bp: int, *, dwell_s: int = 86400, reports: int = 50) -> Stage:
    return Stage(
        exposure_bp=exposure_bp,
        control_bp=MAX_EXPOSURE_BP - exposure_bp,
        dwell_s=dwell_s,
        reports=reports,
    )


DEFAULT_PLAN = Plan(
    stages=(_stage(100), _stage(500), _stage(2500), _stage(MAX_EXPOSURE_BP, dwell_s=0, reports=0))
)
"""1 %, 5 %, 25 %, everybody; a day in each."""


def read_plan(fields: Fields) -> Plan:
    """Return the plan in an object; what it leaves out is as in `DEFAULT_PLAN`.

    Raises:
        DocumentError: It is not a plan; the message names the field.
    """
    default = DEFAULT_PLAN
    plan = Plan(
        stages=_read_stages(fields) if fields.has("stages") else default.stages,
        window_s=_span(fields, "window", default.window_s, least_s=60, most_s=MAX_WINDOW_S),
        alpha_bp=_share(fields, "alpha", default.alpha_bp, 1, 2000),
        beta_bp=_share(fields, "beta", default.beta_bp, 1, 2000),
        worst_ratio_percent=fields.integer(
            "worst_ratio_percent", minimum=110, maximum=2000, default=default.worst_ratio_percent
        ),
        ceiling_bp=_share(fields, "ceiling", default.ceiling_bp, 1, 9000),
        negligible_bp=_share(fields, "negligible", default.negligible_bp, 1, 9000),
        approval=fields.choice("approval", Approval, default=default.approval),
        windows=_read_windows(fields),
        zone=_read_zone(fields, default.zone),
        outage_s=_span(fields, "outage", default.outage_s, least_s=600),
        parked_s=_span(fields, "parked", default.parked_s, least_s=3600),
    )
    unknown = fields.unknown()
    if unknown:
        # A misspelt limit that counts for nothing would be worse than a refusal.
        fields.fail(min(unknown), "no such field of a plan", expected=", ".join(plan.to_json()))
    return plan


def _read_stages(fields: Fields) -> tuple[Stage, ...]:
    stages = tuple(_read_stage(item) for item in fields.objects("stages", most=_MOST_STAGES))
    for index, (before, after) in enumerate(pairwise(stages)):
        if after.exposure_bp <= before.exposure_bp:
            fields.fail(
                f"stages[{index + 1}].exposure",
                "a rollout never narrows",
                expected=f"more than {format_percentage(before.exposure_bp)}",
                found=format_percentage(after.exposure_bp),
            )
    if not stages or stages[-1].exposure_bp != MAX_EXPOSURE_BP:
        fields.fail("stages", "the last stage must reach everybody", expected="exposure 100%")
    return stages


def _read_stage(fields: Fields) -> Stage:
    exposure_bp = _share(fields, "exposure", None, 1, MAX_EXPOSURE_BP)
    is_last = exposure_bp == MAX_EXPOSURE_BP
    rest_bp = MAX_EXPOSURE_BP - exposure_bp
    stage = _stage(exposure_bp, dwell_s=0, reports=0) if is_last else _stage(exposure_bp)
    read = Stage(
        exposure_bp=exposure_bp,
        control_bp=_share(fields, "control", rest_bp, 0, rest_bp),
        dwell_s=_span(fields, "dwell", stage.dwell_s, least_s=0),
        reports=fields.integer("reports", maximum=10_000_000, default=stage.reports),
    )
    unknown = fields.unknown()
    if unknown:
        fields.fail(min(unknown), "no such field of a stage", expected=", ".join(read.to_json()))
    return read


def _read_windows(fields: Fields) -> tuple[Window, ...]:
    items = fields.objects("windows", most=_MOST_WINDOWS, optional=True)
    windows = tuple(_read_window(item) for item in items)
    for index, window in enumerate(windows):
        if any(window.overlaps(other) for other in windows[:index]):
            fields.fail(f"windows[{index}]", "overlaps another window", expected="disjoint windows")
    return windows


def _read_window(fields: Fields) -> Window:
    names = fields.texts("days", most=7, optional=True) or tuple(WeekDay)
    for index, name in enumerate(names):
        if name not in set(WeekDay):
            fields.fail(
                f"days[{index}]", "no such day", expected=", ".join(WeekDay), found=repr(name[:20])
            )
    opens = time.fromisoformat(fields.text("opens", pattern=_CLOCK))
    closes = time.fromisoformat(fields.text("closes", pattern=_CLOCK))
    if closes != _MIDNIGHT and closes <= opens:
        fields.fail(
            "closes",
            "closes before it opens",
            expected=f"later than {opens:%H:%M}; a night is two windows, to 00:00 and from 00:00",
            found=f"{closes:%H:%M}",
        )
    return Window(days=frozenset(WeekDay(name) for name in names), opens=opens, closes=closes)


def _read_zone(fields: Fields, default: str) -> str:
    name = fields.text("zone", max_length=64, default=default)
    try:
        _find_zone(name)
    except (KeyError, ValueError, OSError):
        fields.fail("zone", "no such time zone", expected="such as Europe/Berlin", found=repr(name))
    return name


def _find_zone(name: str) -> tzinfo:
    # A small container has no time zones at all; the default must not need any.
    return UTC if name == "UTC" else ZoneInfo(name)


def _share(fields: Fields, name: str, default: int | None, least_bp: int, most_bp: int) -> int:
    share_bp = _read(fields, name, default, parse_percentage, format_percentage)
    if not least_bp <= share_bp <= most_bp:
        fields.fail(
            name,
            "out of range",
            expected=f"{format_percentage(least_bp)} to {format_percentage(most_bp)}",
            found=format_percentage(share_bp),
        )
    return share_bp


def _span(
    fields: Fields, name: str, default: int, *, least_s: int, most_s: int | None = None
) -> int:
    seconds = _read(fields, name, default, parse_duration, format_duration)
    if seconds < least_s or (most_s is not None and seconds > most_s):
        least = f"at least {format_duration(least_s)}"
        most = "" if most_s is None else f", at most {format_duration(most_s)}"
        fields.fail(name, "out of range", expected=least + most, found=format_duration(seconds))
    return seconds


def _read(
    fields: Fields,
    name: str,
    default: int | None,
    parse: Callable[[str], int],
    show: Callable[[int], str],
) -> int:
    text = fields.text(name, max_length=40, default=None if default is None else show(default))
    try:
        return parse(text)
    except UsageError as exc:
        fields.fail(name, exc.what, expected=exc.expected, found=exc.found)
