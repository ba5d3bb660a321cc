"""Retiring: the next list of releases without some of them, signed and put in force."""

from __future__ import annotations

from collections.abc import Callable

from lockgate_cli.api import Api
from lockgate_cli.context import Call
from lockgate_cli.listing import listing_of
from lockgate_cli.plan import plan_retirement
from lockgate_cli.remembering import load_newest_base
from lockgate_cli.repository import Base
from lockgate_cli.roles import choose_role
from lockgate_cli.submitting import Outcome, Plan, submit_plan
from lockgate_release.errors import UsageError
from lockgate_release.names import AppName
from lockgate_release.trust.roles import Role

__all__ = ["retire"]


def retire(
    call: Call,
    api: Api,
    app: AppName,
    *,
    versions: tuple[str, ...],
    keep: int,
    agree: Callable[[Plan], bool],
) -> Outcome:
    """Leave a list in force without these releases, if `agree` says so, and return what came of it.

    Raises:
        UsageError: One is not live, or offered; or there is no key to sign with.
        PendingError: Another change waits for signatures.
        ConflictError: Others kept publishing first.
        LockgateError: The server refused, or could not be reached.
    """
    pinned = call.pinned_root()

    def make_plan() -> Plan:
        base = load_newest_base(call, api, app, pinned)
        listing = listing_of(base, _role_of(base, versions))
        following = plan_retirement(listing, versions=versions, keep=keep)
        title = f"retire {', '.join(following.vanishes)}"
        return Plan(base=base, following=following, title=title)

    plan = make_plan()
    if plan.changed and agree(plan):
        return submit_plan(call, api, plan, make_plan)
    return Outcome(plan=plan)


def _role_of(base: Base, versions: tuple[str, ...]) -> str:
    """Return the role in whose list all these versions stand; the main one where none is named.

    Raises:
        UsageError: They stand in several.
    """
    roles = {choose_role(base, version) for version in versions} or {Role.RELEASES.value}
    if len(roles) > 1:
        raise UsageError(
            "in the lists of several roles",
            subject=", ".join(versions),
            found=", ".join(sorted(roles)),
            hint="Retire those of each role by themselves.",
        )
    return roles.pop()
