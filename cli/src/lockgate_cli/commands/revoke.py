"""`lockgate revoke`: take a release back."""

from __future__ import annotations

from datetime import timedelta

import click

from lockgate_cli.answers import number_of, objects, table_of, text_of, texts_of
from lockgate_cli.api import JsonDict
from lockgate_cli.context import Call, takes
from lockgate_cli.fields import parse_channels
from lockgate_cli.output import say, show_json, warn
from lockgate_release.documents import Remedy
from lockgate_release.errors import UsageError
from lockgate_release.instants import format_instant
from lockgate_release.names import AppName, format_percentage
from lockgate_release.requests import RevokeRequest
from lockgate_release.versions import is_version_text

__all__ = ["check_words", "confirm_version", "revoke"]

_HEARD_AFTER = timedelta(hours=1) * 1.2 + timedelta(minutes=1)
"""By when a client that checks hourly, give or take a fifth, has heard through a minute's cache."""


@click.command()
@click.argument("app")
@click.argument("version")
@click.option("--reason", required=True, help="Why, for people: it is published.")
@click.option(
    "--remedy",
    type=click.Choice([remedy.value for remedy in Remedy]),
    default=Remedy.REPLACE.value,
    help="How clients that have it leave it.",
)
@click.option("--channel", "channels", multiple=True, help="Only here; repeatable. Default: all.")
@click.option("--dry-run", is_flag=True, help="Show who would be concerned and do nothing.")
@click.option("--yes", is_flag=True, help="Ask nothing; needed where there is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("server")
def revoke(
    call: Call,
    *,
    version: str,
    reason: str,
    remedy: str,
    channels: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Revoke VERSION of APP: it is installed nowhere any more, and left where it is.

    Clients remember it. To make it permanent, take the release out of the publishers' signed list
    afterwards: lockgate releases retire VERSION.
    """
    app = call.app
    check_words(version, reason)
    names = parse_channels("--channel", channels)
    request = RevokeRequest(version=version, reason=reason, remedy=Remedy(remedy), channels=names)
    with call.api() as api:
        if dry_run:
            concerned = _concerned(api.status(app), request)
            _show_concerned(app, request, concerned)
            if as_json:
                show_json({"dry_run": True, "offered_in": concerned})
            return
        meaning = f"Every client of {app} that has {version} will leave it."
        confirm_version(call, version, "revoke", meaning, yes=yes)
        answer = api.revoke(app, request)
    for text in texts_of(answer, "warnings"):
        warn(text)
    if as_json:
        show_json(answer)
    _say_what_follows(call, app, request, answer)


def _concerned(status: JsonDict, request: RevokeRequest) -> dict[str, int]:
    """Return the channels that offer the release now, and to what share."""
    found = {}
    for item in objects(status, "channels"):
        name = text_of(item, "channel")
        for offer in objects(item, "offers"):
            if offer.get("version") == request.version and (
                not request.channels or name in request.channels
            ):
                found[name] = number_of(table_of(offer, "rollout"), "exposure_bp")
    return found


def _show_concerned(app: AppName, request: RevokeRequest, concerned: dict[str, int]) -> None:
    where = ", ".join(request.channels) or "every channel"
    say(f"{app} {request.version} would be revoked in {where}, remedy {request.remedy}.")
    for name, share in concerned.items():
        say(f"  {name} offers it now, to {format_percentage(share)} of its clients")
    if not concerned:
        say("  no channel offers it now; clients that have it would leave it")
    say("Nothing was done: this was --dry-run.")


def check_words(version: str, reason: str) -> None:
    """Refuse what is no version, and a reason that says nothing.

    Raises:
        UsageError: It is so.
    """
    if not is_version_text(version):
        raise UsageError("not a version", subject="VERSION", found=repr(version[:80]))
    if not reason.strip():
        raise UsageError("no reason", subject="--reason", expected="words for people")


def confirm_version(call: Call, version: str, verb: str, meaning: str, *, yes: bool) -> None:
    """Return only when a person has typed the version, or --yes was said.

    Raises:
        UsageError: Neither is so.
    """
    if yes:
        return
    if not call.around.watched:
        raise UsageError("nobody is here to confirm", subject=f"{verb} {version}", expected="--yes")
    say(meaning)
    answer = call.around.ask("Type the version to confirm")
    if answer.strip() != version:
        raise UsageError(
            "not confirmed, so nothing was done",
            subject=f"{verb} {version}",
            expected=version,
            found=repr(answer),
        )


def _say_what_follows(call: Call, app: AppName, request: RevokeRequest, answer: JsonDict) -> None:
    where = ", ".join(texts_of(answer, "revoked_in")) or "no channel"
    if answer.get("changed") is False:
        say(f"Nothing to do: {app} {request.version} is revoked already, in {where}.")
    else:
        say(f"{app} {request.version} is revoked in {where}.")
    for name, version in table_of(answer, "goes_to").items():
        if version:
            show_line = f"{name}: clients go to {version}"
        else:
            show_line = (
                f"{name}: nothing is left for everybody; who has it goes back to what ran before"
            )
        say(f"  {show_line}")
    if request.remedy is Remedy.BLOCK_NEW:
        say("  remedy block-new: who has it keeps it")
    heard = format_instant(call.around.now() + _HEARD_AFTER)
    say(f"Clients that check hourly have heard by {heard}.")
    say(f"To seal it for good: lockgate releases retire --app {app} {request.version}")
