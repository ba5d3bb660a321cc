"""`lockgate promote`: the same bytes in another channel."""

from __future__ import annotations

import click

from lockgate_cli.carry_out import carry_out
from lockgate_cli.commands.attest_options import ALLOW_UNATTESTED
from lockgate_cli.context import Call, takes
from lockgate_cli.defaults import parse_options
from lockgate_cli.fields import parse_channels, parse_field, parse_share
from lockgate_cli.naming import names_release
from lockgate_cli.noting.wish import ALLOW_PRERELEASE, NotesWish
from lockgate_cli.plan_files import PlanWish, check_one_reach, choose_plans, takes_plan
from lockgate_cli.publishing import Promotion
from lockgate_release.names import parse_channel_name

__all__ = ["promote"]


@click.command()
@names_release
@click.option("--from", "source", required=True, help="The channel that has it now.")
@click.option("--to", "targets", multiple=True, required=True, help="Where to; repeatable.")
@click.option("--exposure", help="To what share of clients, such as 10%. Default: all.")
@takes_plan
@click.option("--floor", metavar="VERSION", help="Nothing below it may be installed any more.")
@ALLOW_PRERELEASE
@ALLOW_UNATTESTED
@click.option("--dry-run", is_flag=True, help="Show the plan and do nothing.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("root", "keys", "server", "waiting", "joining")
def promote(  # noqa: PLR0913 (one argument for each option)
    call: Call,
    *,
    version: str,
    source: str,
    targets: tuple[str, ...],
    exposure: str | None,
    planned: PlanWish,
    floor: str | None,
    allow_prerelease: bool,
    allow_unattested: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Offer VERSION of APP in further channels.

    Takes the publishers' signatures and no bytes, and retires nothing.
    """
    check_one_reach(planned, exposure)
    names = parse_channels("--to", targets)
    wish = Promotion(
        app=call.app,
        version=version,
        source=parse_field("--from", parse_channel_name, source),
        channels=names,
        exposure_bp=parse_share(exposure),
        chosen=choose_plans(call, planned, names),
        floors={} if floor is None else dict.fromkeys(names, floor),
        allow_unattested=allow_unattested,
    )
    noted = NotesWish(allow_prerelease=allow_prerelease).over(parse_options(call.settings))
    with call.api() as api:
        carry_out(call, api, wish, noted=noted, dry_run=dry_run, yes=yes, as_json=as_json)
