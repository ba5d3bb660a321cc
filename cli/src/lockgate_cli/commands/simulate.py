"""`lockgate simulate`: what a plan would do to a fleet, before it does."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from lockgate_cli.context import Call, takes
from lockgate_cli.fields import parse_field
from lockgate_cli.output import say, show, show_json, show_table
from lockgate_cli.plan_files import CANARY, find_plan, read_plan_file
from lockgate_release.errors import LocalError, UsageError
from lockgate_release.names import (
    format_percentage,
    parse_channel_name,
    parse_percentage,
)
from lockgate_release.rollout.plan import Plan

__all__ = ["simulate"]

_PICTURES = frozenset({".png", ".svg"})


@click.command()
@click.option("--clients", type=click.IntRange(1000, 100_000_000), default=1_000_000)
@click.option("--base-rate", default="0.5%", show_default=True, help="Who fares badly as it is.")
@click.option("--bad-rate", default=None, help="And with the release. Default: no more.")
@click.option("--plan", default=CANARY, metavar="FILE|NAME", show_default=True, help="The plan.")
@click.option("--channel", default="stable", show_default=True, help="Whose plan of that name.")
@click.option("--reporting", default="70%", show_default=True, help="How many clients report.")
@click.option("--slow", default="10%", show_default=True, help="How many are on one day in seven.")
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--runs", type=click.IntRange(1, 100_000), default=200, show_default=True)
@click.option("--plot", metavar="FILE", help="Draw it, as .png or .svg.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes()
def simulate(  # noqa: PLR0913 (one argument for each option)
    call: Call,
    *,
    clients: int,
    base_rate: str,
    bad_rate: str | None,
    plan: str,
    channel: str,
    reporting: str,
    slow: str,
    days: int,
    seed: int,
    runs: int,
    plot: str | None,
    as_json: bool,
) -> None:
    """Lead a rollout through a synthetic fleet, by the rules that clients and servers follow.

    Clients have time zones and minutes of their own; some are slow, some never report. Says how
    exposure grew, who was hurt before a halt, what a CDN was asked, and how --runs other rollouts
    ended. There whoever must approve does so at once, and the plan's hours are not kept.

    Needs the extra lockgate[simulate], and no server.
    """
    _check_extra()
    picture = _check_picture(call.around.folder / plot) if plot else None
    chosen = _find_plan(call, plan, channel)
    base_bp = parse_field("--base-rate", parse_percentage, base_rate)
    bad_bp = base_bp if bad_rate is None else parse_field("--bad-rate", parse_percentage, bad_rate)
    from lockgate_cli.simulating import simulation, telling  # noqa: PLC0415 (an extra)

    wish = simulation.Wish(
        clients=clients,
        base=base_bp / 10_000,
        bad=bad_bp / 10_000,
        reporting=parse_field("--reporting", parse_percentage, reporting) / 10_000,
        slow=parse_field("--slow", parse_percentage, slow) / 10_000,
        days=days,
        seed=seed,
        runs=runs,
    )
    say(
        f"{clients:,} clients; {format_percentage(base_bp)} fare badly as it is, "
        f"{format_percentage(bad_bp)} with the release; seed {seed}"
    )
    told = simulation.run_simulation(chosen, wish, tell=say)
    if as_json:
        show_json(telling.as_json(told))
    else:
        show_table(("exposure", "began", "lasted", "ended in"), telling.as_rows(told))
        for line in telling.in_words(told):
            show(line)
    if picture is not None:
        telling.plot(told, picture)


def _check_extra() -> None:
    for name in ("numpy", "matplotlib"):
        if importlib.util.find_spec(name) is None:
            raise LocalError(
                "not installed", subject=name, hint="pip install 'lockgate[simulate]' brings it."
            )


def _check_picture(path: Path) -> Path:
    if path.suffix not in _PICTURES:
        raise UsageError(
            "no such kind of picture", subject="--plot", expected=".png or .svg", found=path.name
        )
    return path


def _find_plan(call: Call, said: str, channel: str) -> Plan:
    path = call.around.folder / said
    if path.suffix in {".toml", ".json"} or path.is_file():
        return read_plan_file(path)
    name = parse_field("--channel", parse_channel_name, channel)
    return find_plan(call.settings, said, name)
