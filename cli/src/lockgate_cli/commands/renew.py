"""`lockgate renew`: sign again before time runs out."""

from __future__ import annotations

import click

from lockgate_cli.api import JsonDict
from lockgate_cli.context import Call, read_file, takes
from lockgate_cli.output import say, show_json, warn
from lockgate_cli.pending_words import say_waiting
from lockgate_cli.renewing import due_roles, renew_role
from lockgate_cli.repository import expiry_warnings, read_chain
from lockgate_release.documents import parse_policy
from lockgate_release.errors import DocumentError, UsageError
from lockgate_release.names import AppName
from lockgate_release.trust.chain import Chain
from lockgate_release.trust.roles import Role

__all__ = ["renew"]


@click.command()
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="ROLE",
    help="Sign root, targets, releases, or another role of releases now; repeatable. "
    "Default: those of whose time a third or less is left.",
)
@click.option("--policy", metavar="FILE", help="Put these rules in force: signs targets again.")
@click.option("--dry-run", is_flag=True, help="Say what is due and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "root", "keys", "server", "waiting")
def renew(
    call: Call, *, roles: tuple[str, ...], policy: str | None, dry_run: bool, as_json: bool
) -> None:
    """Sign root, targets or releases again before they expire.

    Root and targets take the maintainers' keys (setting root_keys) and a token of scope admin;
    releases takes the publishers' keys (setting keys). --key speaks for both. A list of releases
    that has too few signatures waits for `lockgate sign APP renewal`.
    """
    app, pinned = call.app, call.pinned_root()
    rules = None if policy is None else _read_policy(call, app, policy)
    waiting: JsonDict | None = None
    with call.api() as api:
        chain = read_chain(api, app, pinned, now=None)
        now = call.around.now()
        for text in expiry_warnings(chain, now):
            warn(text)
        wanted = _asked(chain, roles) or list(due_roles(chain, now))
        if rules is not None and Role.TARGETS.value not in wanted:
            wanted.append(Role.TARGETS.value)
        done: dict[str, int] = {}
        for role in wanted:
            if dry_run:
                say(f"{role} would be signed again")
                continue
            own = rules if role == Role.TARGETS else None
            renewal = renew_role(call, api, app, role, pinned, policy=own)
            if renewal.pending is not None:
                waiting = renewal.pending
                say_waiting(app, waiting)
                continue
            done[role] = renewal.version
            say(f"{role} is signed again: number {renewal.version}")
    if not wanted:
        say("Nothing is due: say --role to sign one again all the same.")
    if as_json:
        show_json({"due": wanted, "renewed": done, "pending": waiting})


def _asked(chain: Chain, roles: tuple[str, ...]) -> list[str]:
    """Return the roles that were named, in the order in which they are renewed.

    Raises:
        UsageError: One is not a role that people sign.
    """
    known = (Role.ROOT.value, Role.TARGETS.value, *chain.release_roles)
    for role in roles:
        if role not in known:
            raise UsageError(
                "not a role that people sign",
                subject=f"--role {role}",
                expected=f"one of {', '.join(known)}",
            )
    return [role for role in known if role in roles]


def _read_policy(call: Call, app: AppName, name: str) -> bytes:
    """Return the bytes of a policy that has been read as one.

    Raises:
        UsageError: It is none, or another app's.
        LocalError: It cannot be read.
    """
    data = read_file(call.around.folder / name)
    try:
        policy = parse_policy(data, subject=name)
    except DocumentError as exc:
        raise UsageError(
            exc.what, subject=exc.subject, expected=exc.expected, found=exc.found
        ) from exc
    if policy.app != app:
        raise UsageError("another app's policy", subject=name, expected=app, found=policy.app)
    return data
