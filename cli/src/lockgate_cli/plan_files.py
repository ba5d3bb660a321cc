"""Where a rollout's plan comes from: a file, or a name in `lockgate.toml`.

    [plans.careful]                       # for every channel
    approval = "last"

    [channels.stable.plans.canary]        # for one channel, before the one for every channel
    stages = [{ exposure = "1%" }, { exposure = "20%" }, { exposure = "100%" }]

What a plan leaves out is as in the default plan, and `canary` is the default plan where the file
does not say another.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from lockgate_cli.context import Call, read_file
from lockgate_release.errors import DocumentError, UsageError
from lockgate_release.instants import parse_instant
from lockgate_release.names import ChannelName
from lockgate_release.rollout.plan import DEFAULT_PLAN, Plan, read_plan
from lockgate_release.settings import Settings
from lockgate_release.steering_requests import ChosenPlan
from lockgate_release.strict_json import Fields, Json, parse_json

__all__ = [
    "CANARY",
    "PlanWish",
    "check_one_reach",
    "choose_plans",
    "find_plan",
    "parse_start",
    "read_plan_file",
    "takes_plan",
]

CANARY = "canary"
"""The name of the default plan."""

_MAX_NAME = 64


class PlanWish:
    """What a command line said about a plan: `--rollout NAME`, `--plan FILE`, `--start-at INSTANT`.

    Attributes:
        name: Of a plan in the settings, or None.
        file: A plan's file, or None.
        start_at: When it starts, aware, or None for at once.
    """

    def __init__(self, name: str | None, file: str | None, start_at: str | None) -> None:
        """Take what was typed.

        Raises:
            UsageError: It says two plans, or a time without one, or no time.
        """
        if name is not None and file is not None:
            raise UsageError("two plans", subject="--plan", expected="--rollout or --plan")
        if start_at is not None and name is None and file is None:
            raise UsageError(
                "only a plan starts at a time",
                subject="--start-at",
                expected="--rollout or --plan too",
            )
        self.name, self.file = name, file
        self.start_at = None if start_at is None else parse_start(start_at)

    @property
    def is_said(self) -> bool:
        """Whether there is a plan."""
        return self.name is not None or self.file is not None


_OPTIONS = (
    click.option("--rollout", "rollout", metavar="NAME", help="Follow a plan, such as canary."),
    click.option("--plan", "plan", metavar="FILE", help="Follow the plan in a file."),
    click.option("--start-at", metavar="INSTANT", help="When the plan starts. Default: at once."),
)


def takes_plan(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose a plan, as one value called `planned`."""

    @functools.wraps(function)
    def run(
        *arguments: Any,  # noqa: ANN401 (as click has it)
        rollout: str | None,
        plan: str | None,
        start_at: str | None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        function(*arguments, planned=PlanWish(rollout, plan, start_at), **options)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


def check_one_reach(wish: PlanWish, exposure: str | None) -> None:
    """Refuse a share of clients beside a plan, which says its own.

    Raises:
        UsageError: Both were said.
    """
    if wish.is_said and exposure is not None:
        raise UsageError(
            "a plan says its own exposures", subject="--exposure", expected="one of the two"
        )


def parse_start(text: str) -> datetime:
    """Return the instant that `--start-at` names.

    Raises:
        UsageError: It names none.
    """
    try:
        return parse_instant(text)
    except ValueError as exc:
        raise UsageError(
            "not an instant",
            subject="--start-at",
            expected="such as 2026-01-31T08:00:00Z, in UTC",
            found=repr(text[:40]),
        ) from exc


def choose_plans(
    call: Call, wish: PlanWish, channels: Iterable[ChannelName]
) -> Mapping[ChannelName, ChosenPlan]:
    """Return the plan that each channel's rollout is to follow; none where no plan was said.

    Raises:
        UsageError: There is no such plan, or it is none.
        LocalError: Its file cannot be read.
    """
    if wish.file is not None:
        path = call.around.folder / wish.file
        chosen = ChosenPlan(
            plan=read_plan_file(path), name=path.stem[:_MAX_NAME], start_at=wish.start_at
        )
        return dict.fromkeys(channels, chosen)
    if wish.name is None:
        return {}
    return {
        channel: ChosenPlan(
            plan=find_plan(call.settings, wish.name, channel),
            name=wish.name,
            start_at=wish.start_at,
        )
        for channel in channels
    }


def read_plan_file(path: Path) -> Plan:
    """Return the plan in a file: JSON if its name ends so, TOML otherwise.

    Raises:
        UsageError: It is no plan; the message names the field.
        LocalError: It cannot be read.
    """
    data = read_file(path)
    try:
        if path.suffix == ".json":
            return read_plan(parse_json(data, subject=path.name))
        table = tomllib.loads(data.decode("utf-8"))
    except DocumentError as exc:
        raise _as_usage(exc) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise UsageError("not TOML", subject=str(path), found=str(exc)[:80]) from exc
    return _read_table(table, path.name)


def find_plan(settings: Settings, name: str, channel: ChannelName) -> Plan:
    """Return the plan of this name for a channel.

    Raises:
        UsageError: There is none, or it is no plan.
    """
    own = _table(_table(_table(settings.table, "channels"), channel), "plans")
    common = _table(settings.table, "plans")
    for where, plans in ((f"channels.{channel}.plans", own), ("plans", common)):
        if name in plans:
            return _read_table(_table(plans, name), f"{settings.origin}: {where}.{name}")
    if name == CANARY:
        return DEFAULT_PLAN
    raise UsageError(
        "no such plan",
        subject=f"--rollout {name}",
        expected=f"one of {', '.join(sorted({CANARY, *own, *common}))}",
    )


def _table(table: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = table.get(name, {})
    if not isinstance(found, Mapping):
        raise UsageError("wrong type of setting", subject=name, expected="a table")
    return found


def _read_table(table: Mapping[str, object], subject: str) -> Plan:
    plain = {name: _plain(value, f"{subject}: {name}") for name, value in table.items()}
    try:
        return read_plan(Fields(plain, subject=subject, path=""))
    except DocumentError as exc:
        raise _as_usage(exc) from exc


def _plain(value: object, subject: str) -> Json:
    """Return a value of TOML as JSON has it; what JSON lacks belongs into quotes."""
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, list):
        return [_plain(item, f"{subject}[{place}]") for place, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {name: _plain(item, f"{subject}.{name}") for name, item in value.items()}
    raise UsageError(
        "write it in quotes",
        subject=subject,
        expected='a text, such as "0.5%", "24h" or "22:00"',
        found=str(value)[:40],
    )


def _as_usage(exc: DocumentError) -> UsageError:
    return UsageError(exc.what, subject=exc.subject, expected=exc.expected, found=exc.found)
