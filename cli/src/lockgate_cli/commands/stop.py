"""`lockgate stop` and `lockgate start`: the emergency stop."""

from __future__ import annotations

import click

from lockgate_cli.answers import number_of, objects, table_of, text_of
from lockgate_cli.api import JsonDict
from lockgate_cli.context import Call, takes
from lockgate_cli.fields import parse_field
from lockgate_cli.output import say, show, show_json
from lockgate_release.errors import UsageError
from lockgate_release.names import ChannelName, parse_channel_name
from lockgate_release.steering_requests import StartRequest, StopRequest

__all__ = ["start", "stop"]

_CHANNEL = click.option("--channel", help="Only this channel. Default: every channel of the app.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what it would do, and do nothing.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")


@click.command()
@_CHANNEL
@click.option("--reason", required=True, help="Why, for everybody to read.")
@_DRY_RUN
@_JSON
@takes("app", "server")
def stop(call: Call, *, channel: str | None, reason: str, dry_run: bool, as_json: bool) -> None:
    """Let no release reach further clients, until `lockgate start`.

    Every unfinished rollout is paused, and nothing new is offered. What everybody is offered stays
    offered: `lockgate revoke` and `lockgate rollout halt` take it back.
    """
    if not reason.strip():
        raise UsageError("no reason", subject="--reason", expected="why, for everybody to read")
    request = StopRequest(reason=reason, channel=_parse(channel), dry_run=dry_run)
    with call.api() as api:
        _tell(api.stop(call.app, request), dry_run=dry_run, as_json=as_json)


@click.command()
@_CHANNEL
@click.option("--reason", default="", help="Why, for the audit log.")
@_DRY_RUN
@_JSON
@takes("app", "server")
def start(call: Call, *, channel: str | None, reason: str, dry_run: bool, as_json: bool) -> None:
    """Let go on what `lockgate stop` has stopped; the server may want two people to say so."""
    request = StartRequest(reason=reason, channel=_parse(channel), dry_run=dry_run)
    with call.api() as api:
        _tell(api.start(call.app, request), dry_run=dry_run, as_json=as_json)


def _parse(channel: str | None) -> ChannelName | None:
    return None if channel is None else parse_field("--channel", parse_channel_name, channel)


def _tell(answer: JsonDict, *, dry_run: bool, as_json: bool) -> None:
    if dry_run:
        say("Nothing was done: this was --dry-run.")
    if as_json:
        show_json(answer)
        return
    for item in objects(answer, "channels"):
        show(f"{text_of(item, 'channel')}: {_describe(item)}")


def _describe(item: JsonDict) -> str:
    if item.get("stopped") is not True:
        return "goes on"
    stop = table_of(item, "stop")
    paused = ", ".join(sorted(table_of(stop, "paused"))) or "no rollout"
    words = f"stopped, {paused} paused"
    if stop.get("approvals"):
        missing = number_of(item, "starts_missing")
        words += f"; {missing} more must say `lockgate start`, with another token"
    return words
