"""`lockgate rollout`: how far a release has got, and a person's hand on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import click

from lockgate_cli.answers import number_of, objects, table_of, text_of, texts_of
from lockgate_cli.api import Api, JsonDict
from lockgate_cli.context import Call, takes
from lockgate_cli.fields import parse_field
from lockgate_cli.naming import names_app_and_version, names_release
from lockgate_cli.output import say, show, show_json, show_table, warn
from lockgate_cli.plan_files import PlanWish, choose_plans
from lockgate_cli.rollout_words import describe_rollout, describe_stage
from lockgate_release.errors import UsageError
from lockgate_release.names import (
    ChannelName,
    format_percentage,
    parse_channel_name,
    parse_percentage,
)
from lockgate_release.steering_requests import RolloutAction, RolloutRequest

__all__ = ["rollout"]

_JSON = click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
_ANYWAY = click.option(
    "--anyway", is_flag=True, help="Go on against the evidence that has stopped it. Needs --reason."
)
_ACTING = (
    names_release,
    click.option("--channel", required=True, help="Where the release is offered."),
    click.option(
        "--expect-epoch",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="Do it only if the rollout is still at this epoch.",
    ),
    click.option("--reason", default="", help="Why, for the audit log."),
    click.option("--dry-run", is_flag=True, help="Say what it would lead to, and do nothing."),
    _JSON,
)


def _acts(function: Callable[..., None]) -> Callable[..., None]:
    """Add what every command takes that changes one rollout."""
    run = takes("server")(function)
    for option in reversed(_ACTING):
        run = option(run)
    return run


@click.group()
def rollout() -> None:
    """Show rollouts, and steer them by hand."""


@rollout.command("show")
@names_app_and_version
@click.option("--channel", help="Only this channel.")
@_JSON
@takes("server")
def show_rollouts(call: Call, *, version: str | None, channel: str | None, as_json: bool) -> None:
    """Show how far the releases of APP have got; with VERSION, the evidence too."""
    with call.api() as api:
        answer = api.status(call.app)
        found = [
            {"channel": text_of(item, "channel"), **offer}
            for item in objects(answer, "channels")
            for offer in objects(item, "offers")
            if (channel is None or item.get("channel") == channel)
            and (version is None or offer.get("version") == version)
        ]
        if version is not None:
            found = [_look_closer(api, call, item) for item in found]
    if as_json:
        show_json({"rollouts": found})
    elif not found:
        say("no such rollout")
    elif version is not None:
        for line in (line for item in found for line in describe_rollout(item)):
            show(line)
    else:
        rows = [
            (text_of(item, "channel"), text_of(item, "version"), *_cells(item)) for item in found
        ]
        show_table(("channel", "version", "exposure", "control", "state", "epoch", "plan"), rows)


def _look_closer(api: Api, call: Call, item: JsonDict) -> JsonDict:
    detail = api.rollout(call.app, ChannelName(text_of(item, "channel")), text_of(item, "version"))
    return {**item, **detail}


def _cells(offer: JsonDict) -> tuple[str, str, str, str, str]:
    stage = table_of(offer, "rollout")
    progress = table_of(stage, "progress")
    name = text_of(progress, "name") or "unnamed"
    return (
        format_percentage(number_of(stage, "exposure_bp")),
        format_percentage(number_of(stage, "control_bp")),
        text_of(stage, "state"),
        text_of(stage, "epoch"),
        name if progress else "",
    )


@rollout.command("set")
@_acts
@click.option("--exposure", required=True, help="To what share of clients, such as 50%.")
@_ANYWAY
def set_rollout(call: Call, *, exposure: str, anyway: bool, **said: object) -> None:
    """Offer VERSION of APP to this share of the channel's clients; a plan ends with that."""
    share_bp = parse_field("--exposure", parse_percentage, exposure)
    _change(
        call, RolloutRequest(action=RolloutAction.SET, exposure_bp=share_bp, anyway=anyway), said
    )


@rollout.command("pause")
@_acts
def pause_rollout(call: Call, **said: object) -> None:
    """Let VERSION of APP reach no further client."""
    _change(call, RolloutRequest(action=RolloutAction.PAUSE), said)


@rollout.command("resume")
@_acts
@_ANYWAY
def resume_rollout(call: Call, *, anyway: bool, **said: object) -> None:
    """Let a paused or halted rollout go on."""
    _change(call, RolloutRequest(action=RolloutAction.RESUME, anyway=anyway), said)


@rollout.command("halt")
@_acts
def halt_rollout(call: Call, **said: object) -> None:
    """Stop VERSION of APP, for good unless somebody resumes it."""
    _change(call, RolloutRequest(action=RolloutAction.HALT), said)


@rollout.command("approve")
@_acts
def approve_step(call: Call, **said: object) -> None:
    """Say yes to the next step of the plan; it is taken when the evidence allows it too."""
    _change(call, RolloutRequest(action=RolloutAction.APPROVE), said)


@rollout.command("finish")
@_acts
@_ANYWAY
def finish_rollout(call: Call, *, anyway: bool, **said: object) -> None:
    """Offer VERSION of APP to everybody now, whatever its plan says; the plan ends with that."""
    _change(call, RolloutRequest(action=RolloutAction.FINISH, anyway=anyway), said)


@rollout.command("plan")
@_acts
@click.option("--rollout", "name", metavar="NAME", help="A plan by its name, such as canary.")
@click.option("--plan", "file", metavar="FILE", help="A plan's file, TOML or JSON.")
@click.option("--start-at", metavar="INSTANT", help="When the plan starts. Default: at once.")
@_ANYWAY
def plan_rollout(
    call: Call,
    *,
    name: str | None,
    file: str | None,
    start_at: str | None,
    anyway: bool,
    **said: object,
) -> None:
    """Let VERSION of APP follow a plan from now on, from the stage it has reached.

    With --start-at the rollout stays where it is until then.
    """
    wish = PlanWish(name, file, start_at)
    if not wish.is_said:
        raise UsageError("no plan", expected="--rollout NAME or --plan FILE")
    channel = parse_field("--channel", parse_channel_name, str(said["channel"]))
    chosen = choose_plans(call, wish, [channel])[channel]
    _change(call, RolloutRequest(action=RolloutAction.PLAN, chosen=chosen, anyway=anyway), said)


def _change(call: Call, wanted: RolloutRequest, said: dict[str, object]) -> None:
    """Ask for a change, with what every such command takes, and show what came of it."""
    version, reason = str(said["version"]), str(said["reason"])
    name = parse_field("--channel", parse_channel_name, str(said["channel"]))
    epoch = said["expect_epoch"]
    if not version:
        raise UsageError("no version", expected="a release that the channel offers")
    if wanted.anyway and not reason.strip():
        raise UsageError("no reason", subject="--anyway", expected="--reason too")
    request = replace(
        wanted,
        expected_epoch=epoch if isinstance(epoch, int) else 0,
        reason=reason,
        dry_run=bool(said["dry_run"]),
    )
    with call.api() as api:
        answer = api.change_rollout(call.app, name, version, request)
    for text in texts_of(answer, "warnings"):
        warn(text)
    if request.dry_run:
        say("Nothing was done: this was --dry-run.")
    if said["as_json"]:
        show_json(answer)
        return
    show(f"{call.app} {version} in {name}: {describe_stage(table_of(answer, 'rollout'))}")
