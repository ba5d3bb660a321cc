"""`lockgate-server gc`: remove what nothing valid names any more."""

from __future__ import annotations

import sys
from collections import defaultdict
from datetime import timedelta

import click

from lockgate_release.durations import format_duration
from lockgate_release.errors import LockgateError, UsageError
from lockgate_release.names import AppName
from lockgate_release.strict_json import Json, JsonObject
from lockgate_server.assembly import open_write_deps, refuse_unfit_store
from lockgate_server.command.apps import describe_refusal, each_app, named_apps
from lockgate_server.command.common import (
    Invocation,
    data_options,
    json_option,
    local_caller,
    print_json,
    say,
    show,
)
from lockgate_server.command.progress import Progress, format_bytes
from lockgate_server.services.collect.collecting import DEFAULT_GRACE, Collected, collect, look_over
from lockgate_server.services.collect.reachability import Verdict, Why, order_of_removal
from lockgate_server.settings import parse_grace

__all__ = ["gc"]

_GRACE = format_duration(int(DEFAULT_GRACE.total_seconds()))


@click.command()
@click.option("--app", "names", multiple=True, help="Only this app. Can be repeated.")
@click.option("--dry-run", is_flag=True, help="Say what would go and what stays; remove nothing.")
@click.option(
    "--grace",
    metavar="TIME",
    help=f"What is not older stays, such as 24h or 30d. Default: {_GRACE}.",
)
@click.option("--verbose", is_flag=True, help="Name every object that stays, too.")
@data_options
@json_option
def gc(
    names: tuple[str, ...],
    grace: str | None,
    data: str | None,
    storage: str | None,
    *,
    dry_run: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Remove what nothing that is still valid names, whether the server runs or not.

    Each object that goes is named with the reason, and so is why the others stay. A publish at the
    same time either finds what it needs or is told to run again.
    """
    here = Invocation.here()
    settings = here.existing_server(data, storage)
    kept_for = _parse_grace(grace) if grace else settings.gc_grace
    with (
        open_write_deps(settings, here.environ) as deps,
        Progress() as tell,
    ):
        if not dry_run:
            refuse_unfit_store(settings, deps.store)

        def run(app: AppName) -> list[Collected]:
            if dry_run:
                return [look_over(deps, app, grace=kept_for, tell=tell)]
            caller = local_caller(here.environ)
            rounds = [collect(deps, app, caller, grace=kept_for, tell=tell)]
            while rounds[-1].more:
                rounds.append(collect(deps, app, caller, grace=kept_for, tell=tell))
            return rounds

        answers, code = each_app(named_apps(deps.ledger, names), run)
    if as_json:
        apps = [
            _describe(app, answer, dry_run=dry_run, verbose=verbose)
            for app, answer in answers.items()
        ]
        print_json({"dry_run": dry_run, "grace_s": int(kept_for.total_seconds()), "apps": apps})
    else:
        for answer in answers.values():
            if not isinstance(answer, LockgateError):
                _show(answer, dry_run=dry_run, verbose=verbose)
    if code:
        sys.exit(code)


def _parse_grace(text: str) -> timedelta:
    try:
        return parse_grace(text)
    except UsageError as exc:
        raise UsageError(
            exc.what, subject="--grace", expected=exc.expected, found=exc.found
        ) from exc


def _removed(rounds: list[Collected], *, dry_run: bool) -> list[Verdict]:
    """Return what is gone, or what would go."""
    if dry_run:
        return order_of_removal(rounds[-1].verdicts)
    return [verdict for one in rounds for verdict in one.removed]


def _show(rounds: list[Collected], *, dry_run: bool, verbose: bool) -> None:
    removed = _removed(rounds, dry_run=dry_run)
    for verdict in removed:
        show(f"- {verdict.info.key}  {format_bytes(verdict.info.size_bytes)}: {verdict.why}")
    for why, verdicts in _staying(rounds).items():
        size = format_bytes(sum(verdict.info.size_bytes for verdict in verdicts))
        show(f"  {_count(verdicts)}, {size}: {why}")
        for verdict in verdicts if verbose or why is Why.UNKNOWN else ():
            show(f"    {verdict.info.key}{f'  ({verdict.by})' if verdict.by else ''}")
    freed = format_bytes(sum(verdict.info.size_bytes for verdict in removed))
    verb = "would go" if dry_run else "removed"
    show(f"{rounds[-1].app}: {len(removed)} {verb}, {freed}")
    if dry_run:
        say("Nothing was done: this was --dry-run.")


def _count(verdicts: list[Verdict]) -> str:
    return f"{len(verdicts)} {'stays' if len(verdicts) == 1 else 'stay'}"


def _staying(rounds: list[Collected]) -> dict[Why, list[Verdict]]:
    staying: dict[Why, list[Verdict]] = defaultdict(list)
    for verdict in rounds[-1].verdicts:
        if not verdict.goes:
            staying[verdict.why].append(verdict)
    return dict(sorted(staying.items()))


def _describe(
    app: AppName, answer: list[Collected] | LockgateError, *, dry_run: bool, verbose: bool
) -> JsonObject:
    if isinstance(answer, LockgateError):
        return describe_refusal(app, answer)
    removed = _removed(answer, dry_run=dry_run)
    staying: list[Json] = []
    for why, verdicts in _staying(answer).items():
        size_bytes = sum(verdict.info.size_bytes for verdict in verdicts)
        told: dict[str, Json] = {"why": why, "objects": len(verdicts), "bytes": size_bytes}
        if verbose or why is Why.UNKNOWN:
            told["keys"] = [{"key": verdict.info.key, "by": verdict.by} for verdict in verdicts]
        staying.append(told)
    return {
        "app": app,
        "timestamp_version": answer[-1].timestamp_version,
        "removed": [{"key": v.info.key, "bytes": v.info.size_bytes, "why": v.why} for v in removed],
        "freed_bytes": sum(verdict.info.size_bytes for verdict in removed),
        "stays": staying,
    }
