"""`lockgate unrevoke`: take a revocation back, with the publishers' signatures."""

from __future__ import annotations

import click

from lockgate_cli.answers import table_of, texts_of
from lockgate_cli.commands.revoke import check_words, confirm_version
from lockgate_cli.context import Call, takes
from lockgate_cli.fields import parse_channels
from lockgate_cli.lifting import Lift, lift
from lockgate_cli.listing import describe_list
from lockgate_cli.naming import names_release
from lockgate_cli.output import say, show_json
from lockgate_cli.pending_words import say_waiting
from lockgate_cli.submitting import Plan

__all__ = ["unrevoke"]


@click.command()
@names_release
@click.option("--reason", required=True, help="Why, for people: it stands in the audit log.")
@click.option("--channel", "channels", multiple=True, help="Only here; repeatable. Default: all.")
@click.option("--dry-run", is_flag=True, help="Show the plan and do nothing.")
@click.option("--yes", is_flag=True, help="Ask nothing; needed where there is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("root", "keys", "server", "waiting")
def unrevoke(
    call: Call,
    *,
    version: str,
    reason: str,
    channels: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Take back the revocation of VERSION of APP: its publishers sign that.

    Clients that remember the revocation believe nobody else. It offers nothing: publish or promote
    the version again, and say to whom. A revocation that was sealed is for good.
    """
    check_words(version, reason)
    app = call.app
    wish = Lift(version=version, reason=reason, channels=parse_channels("--channel", channels))

    def agree(plan: Plan) -> bool:
        for line in describe_list(plan.following):
            say(line)
        if dry_run:
            say("Nothing was done: this was --dry-run.")
            return False
        confirm_version(call, version, "unrevoke", "It may be installed again.", yes=yes)
        return True

    with call.api() as api:
        answer = lift(call, api, app, wish, agree)
    if answer is None:
        if not dry_run:
            say(f"Nothing to do: {app} {version} is not revoked there.")
        answer = {"lifted_in": [], "allowed_in": [], "changed": False}
    elif waiting := table_of(answer, "pending"):
        say_waiting(app, waiting)
    else:
        where = ", ".join(texts_of(answer, "lifted_in"))
        say(f"{app} {version} is not revoked any more in {where}.")
        for name in texts_of(answer, "allowed_in"):
            say(f"To offer it again: lockgate promote {app} {version} --from {name} --to {name}")
    if as_json:
        show_json({**answer, "dry_run": dry_run})
