"""`lockgate channels`: what each channel offers, until when it lasts, and its end."""

from __future__ import annotations

import click

from lockgate_cli.answers import number_of, objects, table_of, text_of
from lockgate_cli.api import JsonDict
from lockgate_cli.context import Call, takes
from lockgate_cli.fields import parse_field
from lockgate_cli.output import say, show_json, show_table
from lockgate_release.errors import UsageError
from lockgate_release.instants import parse_instant
from lockgate_release.names import format_percentage, parse_channel_name

__all__ = ["channels"]


@click.group()
def channels() -> None:
    """List channels, and remove those that are not needed any more."""


@channels.command("list")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "server")
def list_channels(call: Call, *, as_json: bool) -> None:
    """List the channels: what each offers, what it has revoked, and until when it lasts."""
    with call.api() as api:
        found = objects(api.status(call.app), "channels")
    if as_json:
        show_json({"channels": found})
        return
    if not found:
        say(f"{call.app}: there is no channel yet")
        return
    rows = [
        (
            text_of(item, "channel"),
            _offers(item),
            ", ".join(text_of(one, "version") for one in objects(item, "revoked")),
            _lasts(call, item),
        )
        for item in found
    ]
    show_table(("channel", "offers", "revoked", "lasts"), rows)


def _offers(item: JsonDict) -> str:
    return ", ".join(
        f"{text_of(offer, 'version')} "
        f"{format_percentage(number_of(table_of(offer, 'rollout'), 'exposure_bp'))}"
        for offer in objects(item, "offers")
    )


def _lasts(call: Call, item: JsonDict) -> str:
    end = text_of(item, "retire_at")
    if not end:
        return "for good"
    over = parse_instant(end) <= call.around.now()
    return f"ended {end}" if over else f"until {end}"


@channels.command("remove")
@click.argument("channel")
@click.option("--yes", is_flag=True, help="Ask nothing; needed where there is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "server")
def remove_channel(call: Call, *, channel: str, yes: bool, as_json: bool) -> None:
    """End CHANNEL now: it offers nothing any more, and clients that follow it are told.

    What was released for it alone is retired by the next publish. Its revocations stay, and so
    does its name: with `lockgate publish --expires` it can begin again.
    """
    name = parse_field("CHANNEL", parse_channel_name, channel)
    if not yes:
        _confirm(call, name)
    with call.api() as api:
        answer = api.end_channel(call.app, name)
    if as_json:
        show_json(answer)
    if answer.get("changed") is False:
        say(f"Nothing to do: {name} has ended already.")
    else:
        say(f"{name} has ended: it offers nothing any more.")


def _confirm(call: Call, name: str) -> None:
    if not call.around.watched:
        raise UsageError("nobody is here to confirm", subject=f"remove {name}", expected="--yes")
    say(f"Clients that follow {name} of {call.app} will be offered nothing any more.")
    answer = call.around.ask("Type the channel to confirm")
    if answer.strip() != name:
        raise UsageError(
            "not confirmed, so nothing was done",
            subject=f"remove {name}",
            expected=name,
            found=repr(answer),
        )
