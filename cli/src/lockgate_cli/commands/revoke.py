"""`lockgate revoke`: take a release back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import click

from lockgate_cli.answers import number_of, table_of, text_of, texts_of
from lockgate_cli.api import JsonDict
from lockgate_cli.context import Call, takes
from lockgate_cli.fields import parse_channels
from lockgate_cli.naming import names_release
from lockgate_cli.output import say, show_json, warn
from lockgate_release.documents import Remedy
from lockgate_release.errors import UsageError
from lockgate_release.instants import format_instant
from lockgate_release.names import AppName, format_percentage
from lockgate_release.requests import RevokeRequest
from lockgate_release.versions import is_version_text

__all__ = ["check_words", "confirm_version", "revoke"]


@click.command()
@names_release
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
        if dry_run or (call.around.watched and not yes):
            preview = api.revoke(app, replace(request, dry_run=True))
            _show_preview(call, app, request, preview)
            if dry_run:
                say("Nothing was done: this was --dry-run.")
                if as_json:
                    show_json({**preview, "dry_run": True})
                return
        meaning = f"Every client of {app} that has {version} will leave it."
        if request.remedy is Remedy.BLOCK_NEW:
            meaning = f"No client of {app} will install {version} any more."
        confirm_version(call, version, "revoke", meaning, yes=yes)
        answer = api.revoke(app, request)
    for text in texts_of(answer, "warnings"):
        warn(text)
    if as_json:
        show_json(answer)
    _say_what_follows(call, app, request, answer)


def _show_preview(call: Call, app: AppName, request: RevokeRequest, answer: JsonDict) -> None:
    where = ", ".join(texts_of(answer, "revoked_in")) or "no channel"
    say(f"{app} {request.version} would be revoked in {where}, remedy {request.remedy}.")
    if not answer.get("would_change"):
        say("  it is already, just so")
    offered = table_of(answer, "offered_in")
    for name in offered:
        share = format_percentage(number_of(offered, name))
        say(f"  {name} offers it now, to {share} of its clients")
    if not offered:
        say("  no channel offers it now; clients that have it would leave it")
    for line in _clients_lines(answer):
        say(f"  {line}")
    _say_where_to(call, request, answer)
    for text in texts_of(answer, "warnings"):
        warn(text)


def _clients_lines(answer: JsonDict) -> list[str]:
    """Return how many clients sit on the release, by what was reported."""
    if answer.get("clients") is None:
        return ["how many clients have it is not known: this server has no reports"]
    clients = table_of(answer, "clients")
    on_it, of = table_of(clients, "on_it"), table_of(clients, "of")
    day = text_of(clients, "day")
    return [
        f"{name}: {number_of(on_it, name)} of {number_of(of, name)} clients "
        f"that reported on {day} have it"
        for name in of
    ]


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
    _say_where_to(call, request, answer)
    say(f"To seal it for good: lockgate releases retire --app {app} {request.version}")


def _say_where_to(call: Call, request: RevokeRequest, answer: JsonDict) -> None:
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
    intervals = table_of(answer, "check_interval_s")
    for every_s in sorted({number_of(intervals, name) for name in intervals}):
        heard = format_instant(call.around.now() + _heard_after(every_s, answer))
        say(f"Clients that check {_often(every_s)} have heard by {heard}.")


def _heard_after(every_s: int, answer: JsonDict) -> timedelta:
    """By when a client has heard that checks so often, give or take a fifth, through a cache."""
    return timedelta(seconds=every_s) * 1.2 + timedelta(seconds=number_of(answer, "cached_s"))


def _often(every_s: int) -> str:
    return "hourly" if every_s == 3600 else f"every {every_s // 60} minutes"
