"""`lockgate publish`: put a release in force and offer it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from lockgate_cli.artifacts import parse_source
from lockgate_cli.attesting.options import AttestOptions, takes_attestations
from lockgate_cli.carry_out import carry_out
from lockgate_cli.commands.attest_options import ALLOW_UNATTESTED
from lockgate_cli.context import Call, takes
from lockgate_cli.defaults import DEFAULT_KEEP, PublishOptions, parse_options, split_command
from lockgate_cli.deltas.options import DEFAULT_DELTAS, DeltaOptions, takes_deltas
from lockgate_cli.fields import parse_channels, parse_share
from lockgate_cli.lifetimes import parse_lifetime
from lockgate_cli.noting.wish import NotesWish, takes_notes
from lockgate_cli.plan_files import PlanWish, check_one_reach, choose_plans, takes_plan
from lockgate_cli.publishing import Publication

__all__ = ["publish"]

_INSTALLING = (
    "entrypoint",
    "wheels",
    "python_requires",
    "health_timeout_s",
    "tries",
    "reaches_server",
    "requires_from",
    "capabilities",
    "keep",
)


_INSTALLING_OPTIONS = (
    click.option("--entrypoint", metavar="PATH", help="The program to start."),
    click.option("--wheels", metavar="FOLDER", help="It is a Python application: its wheels."),
    click.option(
        "--python-requires", metavar="SPECIFIER", help="Which Python they need, such as '>=3.11'."
    ),
    click.option("--health", metavar="COMMAND", help="Proves an installation by ending with 0."),
    click.option(
        "--health-timeout",
        "health_timeout_s",
        type=int,
        metavar="SECONDS",
        help="How long it may take.",
    ),
    click.option("--tries", type=int, metavar="N", help="How many starts a release on trial gets."),
    click.option(
        "--reaches-server/--no-reaches-server",
        default=None,
        help="It is left where it cuts a machine off from the update server.",
    ),
    click.option("--requires-from", metavar="VERSION", help="The lowest version that may update."),
    click.option("--capability", "capabilities", multiple=True, help="What an updater must know."),
    click.option(
        "--keep",
        type=click.IntRange(min=1),
        help=f"How many stay live. Default: {DEFAULT_KEEP}.",
    ),
)


def _describes_installing(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that `[publish]` in the settings can speak for, as one value."""

    @functools.wraps(function)
    def run(*arguments: Any, health: str | None, **options: Any) -> None:  # noqa: ANN401 (as click has it)
        own = {name: options.pop(name) for name in _INSTALLING}
        own["capabilities"] = own["capabilities"] or None
        command = None if health is None else split_command(health)
        said = PublishOptions(health=command, **own)
        function(*arguments, said=said, **options)

    for option in reversed(_INSTALLING_OPTIONS):
        run = option(run)
    return run


@click.command()
@click.option("--version", "version", required=True, help="The release, such as 1.4.2.")
@click.option(
    "--channel", "channels", multiple=True, required=True, help="Where to offer it; repeatable."
)
@click.option(
    "--artifact",
    "artifacts",
    multiple=True,
    required=True,
    metavar="PLATFORM=FILE",
    help="A file, or sha256:HEX[@NAME] of one sent by `lockgate upload`; repeatable.",
)
@click.option("--exposure", help="To what share of clients, such as 10%. Default: all.")
@takes_plan
@click.option("--expires", metavar="SPAN", help="The channel is a preview and ends after 14d, say.")
@takes_notes
@click.option("--floor", metavar="VERSION", help="Nothing below it may be installed any more.")
@_describes_installing
@takes_attestations()
@takes_deltas(f"From how many releases deltas lead to it; 0: none. Default: {DEFAULT_DELTAS}.")
@ALLOW_UNATTESTED
@click.option("--dry-run", is_flag=True, help="Show the plan and do nothing.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "root", "keys", "server", "sending", "waiting", "joining")
def publish(  # noqa: PLR0913 (one argument for each option)
    call: Call,
    *,
    version: str,
    channels: tuple[str, ...],
    artifacts: tuple[str, ...],
    exposure: str | None,
    planned: PlanWish,
    expires: str | None,
    noted: NotesWish,
    floor: str | None,
    said: PublishOptions,
    attesting: AttestOptions,
    delta_options: DeltaOptions,
    allow_unattested: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Publish a release and offer it.

    Doing the same again is harmless: what is in force stays as it is, and a run that was cut off
    is finished. The same bytes in another channel are a promotion. With fewer signatures than it
    takes, it waits: `lockgate sign` adds one.
    """
    check_one_reach(planned, exposure)
    settings = parse_options(call.settings)
    noted, said = noted.over(settings), said.over(settings)
    names = parse_channels("--channel", channels)
    wish = Publication(
        app=call.app,
        version=version,
        channels=names,
        sources=tuple(parse_source(text, call.around.folder) for text in artifacts),
        exposure_bp=parse_share(exposure),
        chosen=choose_plans(call, planned, names),
        lifetime_s=parse_lifetime(expires),
        keep=DEFAULT_KEEP if said.keep is None else said.keep,
        floors={} if floor is None else dict.fromkeys(names, floor),
        install=said.install(),
        requires=said.requires(),
        deltas=delta_options.over(said),
        attest=attesting.read(call, said),
        allow_unattested=allow_unattested,
    )
    with call.api() as api:
        carry_out(call, api, wish, noted=noted, dry_run=dry_run, yes=yes, as_json=as_json)
