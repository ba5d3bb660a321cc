"""`lockgate rollout`: how far a release has got, and a person's hand on it."""

from __future__ import annotations

import click

from lockgate_cli.answers import number_of, objects, table_of, text_of, texts_of
from lockgate_cli.api import JsonDict
from lockgate_cli.context import Call, takes
from lockgate_cli.fields import parse_field
from lockgate_cli.output import say, show, show_json, show_table, warn
from lockgate_release.errors import UsageError
from lockgate_release.names import format_percentage, parse_channel_name, parse_percentage
from lockgate_release.steering_requests import RolloutAction, RolloutRequest

__all__ = ["rollout"]

_EPOCH = click.option(
    "--expect-epoch",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Do it only if the rollout is still at this epoch.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
_CHANNEL = click.option("--channel", required=True, help="Where the release is offered.")


@click.group()
def rollout() -> None:
    """Show, widen, pause and resume rollouts."""


@rollout.command("show")
@click.argument("app")
@click.argument("version", required=False)
@click.option("--channel", help="Only this channel.")
@_JSON
@takes("server")
def show_rollouts(call: Call, *, version: str | None, channel: str | None, as_json: bool) -> None:
    """Show how far the releases of APP have got."""
    with call.api() as api:
        answer = api.status(call.app)
    found = [
        {"channel": text_of(item, "channel"), **offer}
        for item in objects(answer, "channels")
        for offer in objects(item, "offers")
        if (channel is None or item.get("channel") == channel)
        and (version is None or offer.get("version") == version)
    ]
    if as_json:
        show_json({"rollouts": found})
        return
    if not found:
        say("no such rollout")
        return
    rows = [(text_of(item, "channel"), text_of(item, "version"), *_cells(item)) for item in found]
    show_table(("channel", "version", "exposure", "control", "state", "epoch"), rows)


def _cells(offer: JsonDict) -> tuple[str, str, str, str]:
    stage = table_of(offer, "rollout")
    return (
        format_percentage(number_of(stage, "exposure_bp")),
        format_percentage(number_of(stage, "control_bp")),
        text_of(stage, "state"),
        text_of(stage, "epoch"),
    )


@rollout.command("set")
@click.argument("app")
@click.argument("version")
@_CHANNEL
@click.option("--exposure", required=True, help="To what share of clients, such as 50%.")
@_EPOCH
@_JSON
@takes("server")
def set_rollout(
    call: Call, *, version: str, channel: str, exposure: str, expect_epoch: int, as_json: bool
) -> None:
    """Offer VERSION of APP to this share of the channel's clients."""
    request = RolloutRequest(
        action=RolloutAction.SET,
        exposure_bp=parse_field("--exposure", parse_percentage, exposure),
        expected_epoch=expect_epoch,
    )
    _change(call, version, channel, request, as_json=as_json)


@rollout.command("pause")
@click.argument("app")
@click.argument("version")
@_CHANNEL
@_EPOCH
@_JSON
@takes("server")
def pause_rollout(
    call: Call, *, version: str, channel: str, expect_epoch: int, as_json: bool
) -> None:
    """Let VERSION of APP reach no further client."""
    request = RolloutRequest(action=RolloutAction.PAUSE, expected_epoch=expect_epoch)
    _change(call, version, channel, request, as_json=as_json)


@rollout.command("resume")
@click.argument("app")
@click.argument("version")
@_CHANNEL
@_EPOCH
@_JSON
@takes("server")
def resume_rollout(
    call: Call, *, version: str, channel: str, expect_epoch: int, as_json: bool
) -> None:
    """Let a paused or halted rollout go on."""
    request = RolloutRequest(action=RolloutAction.RESUME, expected_epoch=expect_epoch)
    _change(call, version, channel, request, as_json=as_json)


def _change(
    call: Call, version: str, channel: str, request: RolloutRequest, *, as_json: bool
) -> None:
    app, name = call.app, parse_field("--channel", parse_channel_name, channel)
    if not version:
        raise UsageError("no version", expected="a release that the channel offers")
    with call.api() as api:
        answer = api.change_rollout(app, name, version, request)
    for text in texts_of(answer, "warnings") + texts_of(answer, "warning"):
        warn(text)
    if as_json:
        show_json(answer)
        return
    exposure, _, state, epoch = _cells(answer)
    show(f"{app} {version} in {name}: {exposure}, {state}, epoch {epoch}")
