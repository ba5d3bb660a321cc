"""`lockgate releases`: what is live, and what need not be any more."""

from __future__ import annotations

import click

from lockgate_cli.answers import number_of, objects, table_of, text_of, texts_of
from lockgate_cli.carry_out import confirm_vanishing
from lockgate_cli.context import Call, takes
from lockgate_cli.defaults import DEFAULT_KEEP, parse_options
from lockgate_cli.listing import describe_list
from lockgate_cli.output import format_size, say, show, show_json, show_table
from lockgate_cli.pending_words import say_waiting
from lockgate_cli.retiring import retire
from lockgate_cli.submitting import Plan
from lockgate_release.names import format_percentage

__all__ = ["releases"]


@click.group()
def releases() -> None:
    """List, show and retire releases."""


@releases.command("list")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "server")
def list_releases(call: Call, *, as_json: bool) -> None:
    """List the live releases, newest first."""
    app = call.app
    with call.api() as api:
        answer = api.releases(app)
    if as_json:
        show_json(answer)
        return
    found = objects(answer, "releases")
    if not found:
        say(f"{app}: nothing is published yet")
        return
    rows = [
        (
            text_of(item, "version"),
            ", ".join(texts_of(item, "channels")),
            _shares(table_of(item, "offered_in")),
            ", ".join(texts_of(item, "revoked_in")),
        )
        for item in found
    ]
    show_table(("version", "allowed in", "offered in", "revoked in"), rows)


def _shares(offered: dict[str, object]) -> str:
    return ", ".join(
        f"{channel} {format_percentage(number_of(offered, channel))}" for channel in offered
    )


@releases.command("show")
@click.argument("version")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "server")
def show_release(call: Call, *, version: str, as_json: bool) -> None:
    """Show one release: where it is offered, its artifacts, deltas, attestations and notes."""
    app = call.app
    with call.api() as api:
        answer = api.release(app, version)
    if as_json:
        show_json(answer)
        return
    document = table_of(answer, "document")
    show(f"{app} {text_of(answer, 'version')}, released {text_of(document, 'released_at')}")
    show(f"allowed in  {', '.join(texts_of(answer, 'channels')) or 'no channel'}")
    show(f"offered in  {_shares(table_of(answer, 'offered_in')) or 'no channel'}")
    if texts_of(answer, "revoked_in"):
        show(f"revoked in  {', '.join(texts_of(answer, 'revoked_in'))}")
    for name, floor in table_of(answer, "floor").items():
        show(f"floor       {name} {floor}")
    show("")
    rows = [
        (
            text_of(item, "platform"),
            text_of(item, "name"),
            format_size(number_of(item, "size")),
            text_of(item, "sha256"),
        )
        for item in objects(document, "artifacts")
    ]
    show_table(("platform", "file", "size", "sha256"), rows)
    _show_extras(table_of(answer, "extras"))


def _show_extras(extras: dict[str, object]) -> None:
    """Show deltas, attestations and notes, those of them that there are."""
    deltas = [
        (
            text_of(item, "from_version"),
            text_of(item, "platform"),
            format_size(number_of(item, "size")),
        )
        for item in objects(extras, "deltas")
    ]
    if deltas:
        show("")
        show_table(("delta from", "platform", "size"), deltas)
    proofs = [
        (text_of(item, "kind"), text_of(item, "predicate_type"), text_of(item, "sha256"))
        for item in objects(extras, "attestations")
    ]
    if proofs:
        show("")
        show_table(("attestation", "says", "sha256"), proofs)
    if notes := text_of(extras, "notes"):
        show("")
        show(notes)


@releases.command("retire")
@click.argument("versions", nargs=-1)
@click.option("--keep", type=click.IntRange(min=1), help="Keep the newest so many. Default: 50.")
@click.option("--dry-run", is_flag=True, help="Show the plan and do nothing.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "root", "keys", "server", "waiting")
def retire_releases(
    call: Call,
    *,
    versions: tuple[str, ...],
    keep: int | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Take releases out of the signed list: VERSIONS, or what lies beyond --keep.

    What a channel offers stays. Retired is not revoked: who has a retired release keeps it.
    A revoked release that is retired is revoked for good: the publishers have sealed it.
    """
    if versions and keep is not None:
        raise click.UsageError("Say either versions or --keep.")

    number = keep or parse_options(call.settings).keep or DEFAULT_KEEP

    def agree(plan: Plan) -> bool:
        for line in describe_list(plan.following):
            say(line)
        if dry_run:
            say("Nothing was done: this was --dry-run.")
            return False
        confirm_vanishing(call, plan.following, yes=yes)
        return True

    with call.api() as api:
        outcome = retire(call, api, call.app, versions=versions, keep=number, agree=agree)
    following = outcome.plan.following
    if not following.changed:
        say("Nothing to do: every release in the list is new enough, or offered.")
    if outcome.pending is not None:
        say_waiting(call.app, outcome.pending)
    if as_json:
        vanishes = list(following.vanishes)
        show_json({"vanishes": vanishes, "dry_run": dry_run, "pending": outcome.pending})
