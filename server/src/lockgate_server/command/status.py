"""`lockgate-server status`: how the apps stand, read from the folder."""

from __future__ import annotations

import sys

import click

from lockgate_release.errors import LockgateError
from lockgate_release.names import AppName, parse_app_name
from lockgate_release.strict_json import Json, JsonObject
from lockgate_server.assembly import open_write_deps
from lockgate_server.command.apps import describe_refusal, each_app
from lockgate_server.command.common import Invocation, data_options, json_option, print_json, say
from lockgate_server.ports.reports import DROPPED_KEPT
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.pending_words import describe_with_pending
from lockgate_server.services.write.status import read_current

__all__ = ["status"]


@click.command()
@data_options
@click.option("--app", help="Only this app.")
@json_option
def status(data: str | None, storage: str | None, app: str | None, *, as_json: bool) -> None:
    """Say how the apps stand, whether the server runs or not.

    An app whose files are refused is named with the reason, and the others are still told of; then
    it ends with the code of the first refusal. Every link of the audit log is computed again.
    """
    here = Invocation.here()
    with open_write_deps(here.existing_server(data, storage), here.environ) as deps:
        names = (parse_app_name(app),) if app else deps.ledger.apps()
        answers, code = each_app(names, lambda name: _describe(deps, name))
        broken = deps.ledger.verify_audit()
        dropped = {why.value: count for why, count in deps.reports.dropped().items()}
        waiting = deps.reports.waiting(now=deps.now())
    if as_json:
        apps: list[Json] = [
            describe_refusal(name, one) if isinstance(one, LockgateError) else one
            for name, one in answers.items()
        ]
        print_json(
            {
                "apps": apps,
                "audit_broken_at": broken,
                "reports_dropped": dropped,
                "reports_waiting": waiting,
            }
        )
    else:
        for one in answers.values():
            if not isinstance(one, LockgateError):
                _print_app(one)
        if waiting is not None:
            click.echo(f"reports waiting to be counted: {waiting}")
        if dropped:
            counts = ", ".join(f"{count} {why}" for why, count in sorted(dropped.items()))
            click.echo(f"reports dropped in the last {DROPPED_KEPT.days} days: {counts}")
    if broken is not None:
        say(f"warning: the audit log was changed at entry {broken}")
    if code:
        sys.exit(code)


def _describe(deps: WriteDeps, app: AppName) -> JsonObject:
    return describe_with_pending(deps, read_current(deps, app))


def _print_app(one: JsonObject) -> None:
    click.echo(
        f"{one['app']}: state {one['timestamp_version']}, root {one['root_version']}, "
        f"{one['releases']} live releases"
    )
    channels, warnings = one["channels"], one["warnings"]
    assert isinstance(channels, list) and isinstance(warnings, list)  # noqa: PT018
    for channel in channels:
        offers = ", ".join(
            f"{offer['version']} at {offer['rollout']['exposure_bp'] / 100:g}% "
            f"({offer['rollout']['state']})"
            for offer in channel["offers"]
        )
        click.echo(f"  {channel['channel']}: {offers or 'nothing'}")
    waiting = one["pending"]
    assert isinstance(waiting, list)
    for change in waiting:
        click.echo(
            f"  {change['title']}: {change['state']}, "
            f"{len(change['signatures'])} of {change['threshold']} signatures"
        )
    awaited = one["awaited"]
    assert isinstance(awaited, list)
    for item in awaited:
        if item["missing"]:
            approved = item["threshold"] - item["missing"]
            click.echo(
                f"  {item['version']} for {item['channel']}: approved by {approved} of "
                f"{item['threshold']}"
            )
    for warning in warnings:
        say(f"warning: {warning}")
