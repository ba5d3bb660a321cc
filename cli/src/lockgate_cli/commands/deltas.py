"""`lockgate deltas`: what clients fetch in the place of whole archives."""

from __future__ import annotations

import click

from lockgate_cli.context import Call, takes
from lockgate_cli.defaults import parse_options
from lockgate_cli.deltas.adding import describe_pairs
from lockgate_cli.deltas.editing import Added, Listed, Which, add, drop, list_deltas
from lockgate_cli.deltas.options import DEFAULT_DELTAS, DeltaOptions, takes_deltas
from lockgate_cli.deltas.sources import Pair
from lockgate_cli.fields import parse_channels
from lockgate_cli.listing import describe_list
from lockgate_cli.output import format_size, say, show, show_json, show_table
from lockgate_cli.pending_words import say_waiting
from lockgate_cli.remembering import load_newest_base
from lockgate_cli.submitting import Outcome, Plan
from lockgate_release.documents import Delta
from lockgate_release.errors import UsageError

__all__ = ["deltas"]


@click.group()
def deltas() -> None:
    """List, add and drop what clients fetch in the place of whole archives."""


@deltas.command("list")
@click.argument("version", required=False)
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "root", "server")
def list_all(call: Call, *, version: str | None, as_json: bool) -> None:
    """List the deltas of VERSION, or of every live release, newest first."""
    app = call.app
    with call.api() as api:
        base = load_newest_base(call, api, app, call.pinned_root())
        found = list(list_deltas(api, base, version))
    if as_json:
        show_json({"app": app, "deltas": [_json(item) for item in found]})
        return
    if not found:
        say(f"{version or app}: no deltas")
        return
    heads = ("release", "from", "platform", "algorithm", "size", "of archive", "memory")
    show_table(heads, [_row(item) for item in found])


def _row(item: Listed) -> tuple[str, ...]:
    delta = item.delta
    share = f"{-(-100 * delta.size // item.archive_bytes)} %" if item.archive_bytes else ""
    return (
        item.version,
        delta.from_version if item.is_live else f"{delta.from_version} (retired)",
        delta.platform,
        delta.algorithm,
        format_size(delta.size),
        share,
        format_size(delta.memory_bytes),
    )


def _json(item: Listed) -> dict[str, object]:
    return {
        "version": item.version,
        "archive_bytes": item.archive_bytes,
        "from_is_live": item.is_live,
        **item.delta.to_json(),
    }


@deltas.command("add")
@click.argument("version")
@click.option(
    "--from",
    "named",
    multiple=True,
    metavar="VERSION",
    help="The release it begins at; repeatable. Default: those that save clients most.",
)
@click.option(
    "--for",
    "wanted",
    multiple=True,
    metavar="CHANNEL",
    help="Count its clients too: VERSION will be promoted there. Repeatable.",
)
@takes_deltas(f"From how many releases, where none is named. Default: {DEFAULT_DELTAS}.")
@click.option("--dry-run", is_flag=True, help="Show what would be made, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "root", "keys", "server", "sending", "waiting")
def add_to(
    call: Call,
    *,
    version: str,
    named: tuple[str, ...],
    wanted: tuple[str, ...],
    delta_options: DeltaOptions,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make deltas to VERSION, a live release, and put them in force.

    Nothing is published anew: its artifacts stay as they are. What it has already is not made
    again.
    """
    if named and delta_options.deltas is not None:
        raise click.UsageError("Say either --from or --deltas.")
    if named and wanted:
        raise click.UsageError("Say either --from or --for.")
    channels = parse_channels("--for", wanted)
    planned: list[Pair] = []

    def agree(pairs: tuple[Pair, ...]) -> bool:
        planned.extend(pairs)
        for line in describe_pairs(pairs):
            show(line) if dry_run and not as_json else say(line)
        return not dry_run

    wish = delta_options.over(parse_options(call.settings))
    with call.api() as api:
        added = add(
            call, api, call.app, version, named=named, wanted=channels, wish=wish, agree=agree
        )
    if dry_run:
        say("Nothing was done: this was --dry-run.")
    elif not planned:
        say(f"Nothing to do: {version} has every delta that is worth one.")
    _say_outcome(call, version, added.outcome)
    if as_json:
        head = {"app": call.app, "version": version, "dry_run": dry_run}
        show_json({**head, **_added_json(planned, added)})


def _added_json(planned: list[Pair], added: Added) -> dict[str, object]:
    return {
        "planned": [pair.to_json() for pair in planned],
        "deltas": [dict(delta.to_json()) for delta in added.deltas],
        "left_out": list(added.reasons),
        "warnings": list(added.useless),
        "pending": added.outcome.pending if added.outcome else None,
    }


@deltas.command("drop")
@click.argument("version")
@click.option("--from", "named", multiple=True, metavar="VERSION", help="Only those from there.")
@click.option("--platform", "platforms", multiple=True, help="Only those for it; repeatable.")
@click.option("--algorithm", "algorithms", multiple=True, help="Only those made so; repeatable.")
@click.option("--dry-run", is_flag=True, help="Show the plan and do nothing.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "root", "keys", "server", "waiting")
def drop_from(
    call: Call,
    *,
    version: str,
    named: tuple[str, ...],
    platforms: tuple[str, ...],
    algorithms: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Take deltas of VERSION out of the signed list: clients fetch the archive then."""

    def agree(_dropped: tuple[Delta, ...], plan: Plan) -> bool:
        for line in describe_list(plan.following):
            show(line) if dry_run and not as_json else say(line)
        if not dry_run and not yes and call.around.watched:
            answer = call.around.ask(f"Drop {len(_dropped)} of the deltas of {version}? [y/N]")
            if answer.strip().lower() not in {"y", "yes"}:
                raise UsageError("not confirmed, so nothing was done", subject="dropping")
        return not dry_run

    which = Which(
        from_versions=frozenset(named),
        platforms=frozenset(platforms),
        algorithms=frozenset(algorithms),
    )
    with call.api() as api:
        dropped, outcome = drop(call, api, call.app, version, which, agree=agree)
    if dry_run:
        say("Nothing was done: this was --dry-run.")
    else:
        _say_outcome(call, version, outcome)
    if as_json:
        show_json(
            {
                "app": call.app,
                "version": version,
                "dry_run": dry_run,
                "dropped": [dict(delta.to_json()) for delta in dropped],
                "pending": outcome.pending,
            }
        )


def _say_outcome(call: Call, version: str, outcome: Outcome | None) -> None:
    if outcome is None or not outcome.plan.changed:
        return
    if outcome.pending is not None:
        say_waiting(call.app, outcome.pending)
    else:
        say(f"{call.app} {version} has other deltas now.")
