"""`lockgate pending` and `lockgate withdraw`: what waits for signatures, and dropping it."""

from __future__ import annotations

import click

from lockgate_cli.answers import text_of
from lockgate_cli.context import Call, takes
from lockgate_cli.naming import names_app, names_release
from lockgate_cli.output import say, show_json
from lockgate_cli.pending_api import PendingApi
from lockgate_cli.pending_words import show_waiting
from lockgate_cli.waiting import find_waiting
from lockgate_release.errors import UsageError
from lockgate_release.pending_requests import WithdrawRequest

__all__ = ["pending", "withdraw"]


@click.command()
@names_app
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("server")
def pending(call: Call, *, as_json: bool) -> None:
    """Show what waits for signatures: who began it, who has signed, what is missing.

    These are the server's words. `lockgate sign APP VERSION --dry-run` looks through the change
    itself, and verifies everything.
    """
    app = call.app
    with call.api() as api:
        found = PendingApi.of(api).waiting(app)
    if as_json:
        show_json({"app": app, "pending": found})
        return
    if not found:
        say(f"{app}: nothing waits for signatures")
    for item in found:
        show_waiting(app, item)


@click.command()
@names_release
@click.option("--change", metavar="ID", help="Only this change, as `lockgate pending` shows it.")
@click.option("--reason", default="", help="Why, for people: it stands in the audit log.")
@click.option("--dry-run", is_flag=True, help="Say what would be dropped and do nothing.")
@click.option("--yes", is_flag=True, help="Ask nothing; needed where there is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("server")
def withdraw(
    call: Call,
    *,
    version: str,
    change: str | None,
    reason: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Drop what waits for signatures: VERSION of APP, or `renewal`.

    It takes the token that began it, or one of scope admin. The signatures that were given are
    lost. What is live already is not dropped: revoke it.
    """
    app = call.app
    with call.api() as api:
        api_here = PendingApi.of(api)
        found = find_waiting(api_here, app, version, change)
        if found is None:
            raise UsageError(
                "nothing of that name waits for signatures",
                subject=f"{app} {version}",
                hint="`lockgate pending` shows what does.",
            )
        answer = {"change": text_of(found, "change"), "title": text_of(found, "title")}
        if dry_run:
            show_waiting(app, found)
            say("Nothing was done: this was --dry-run.")
        else:
            _confirm(call, answer["title"], yes=yes)
            api_here.withdraw(app, answer["change"], WithdrawRequest(reason=reason))
            say(f"{app}: {answer['title']!r} is withdrawn.")
    if as_json:
        show_json({"app": app, **answer, "changed": not dry_run, "dry_run": dry_run})


def _confirm(call: Call, title: str, *, yes: bool) -> None:
    if yes:
        return
    if not call.around.watched:
        raise UsageError("nobody is here to confirm", subject="withdraw", expected="--yes")
    answer = call.around.ask(f"Withdraw {title!r}? [y/N]")
    if answer.strip().lower() not in {"y", "yes"}:
        raise UsageError("not confirmed, so nothing was done", subject="withdraw")
