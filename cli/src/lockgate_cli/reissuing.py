"""Re-issuing extras: other deltas, attestations or notes for releases that are live already.

One signed list and one flip for all releases that change. What is pinned stays as it is: a
release's document is never written again, its extras are. Where somebody else moves first, the
changes are made anew on what is live by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from lockgate_cli.api import Api
from lockgate_cli.context import Call
from lockgate_cli.extras import describe_change
from lockgate_cli.listing import finish_list, listing_of
from lockgate_cli.output import say
from lockgate_cli.plan import channel_floors
from lockgate_cli.remembering import load_newest_base
from lockgate_cli.repository import Base, FileReader, load_stored
from lockgate_cli.roles import choose_role
from lockgate_cli.submitting import Outcome, Plan, load_publishers, submit_plan
from lockgate_cli.uploading.session import Outgoing
from lockgate_release.documents import ExtrasDocument
from lockgate_release.errors import UsageError
from lockgate_release.layout import extras_path
from lockgate_release.names import AppName

__all__ = ["ExtrasChange", "plan_reissue", "reissue", "send_beside"]

ExtrasChange = Callable[[ExtrasDocument], ExtrasDocument]
"""From the extras as they are live to what they are to be. May be called more than once."""


def plan_reissue(
    base: Base, api: FileReader, changes: Mapping[str, ExtrasChange], *, title: str
) -> Plan:
    """Return the list in which these releases have other extras.

    Args:
        base: The state in force.
        api: Where documents are read.
        changes: What becomes of each version's extras.
        title: What it is, for those who are to sign it.

    Raises:
        UsageError: A version is not live, or they stand in the lists of several roles.
        RepositoryError: What is live cannot be verified.
        TransportError: It could not be fetched.
    """
    role = _role_of(base, changes)
    listing = listing_of(base, role)
    documents: dict[str, bytes] = {}
    said: list[str] = []
    for version, change in changes.items():
        stored = load_stored(api, base, version)
        if stored is None:
            raise UsageError("not a live release", subject=version)
        live = stored.extras or ExtrasDocument(app=base.app, version=version)
        after = change(live)
        lines = describe_change(live, after)
        if lines:
            said += lines
            documents[extras_path(version, folder=role)] = after.to_bytes()
    following = finish_list(listing, listing.entries, channel_floors(listing))
    following = replace(following, changes=(*following.changes, *said))
    return Plan(base=base, following=following, documents=documents, title=title)


def _role_of(base: Base, changes: Mapping[str, ExtrasChange]) -> str:
    roles = sorted({choose_role(base, version) for version in changes})
    if len(roles) != 1:
        raise UsageError(
            "in the lists of several roles" if roles else "no release",
            subject=", ".join(changes) or "extras",
            found=", ".join(roles),
            hint="Change those of each role by themselves.",
        )
    return roles[0]


def reissue(
    call: Call,
    api: Api,
    app: AppName,
    changes: Mapping[str, ExtrasChange],
    *,
    title: str,
    beside: Sequence[Outgoing] = (),
    agree: Callable[[Plan], bool] = lambda _plan: True,
) -> Outcome:
    """Leave these releases with other extras, if `agree` says so, and return what came of it.

    Args:
        call: This run.
        api: The server.
        app: The app.
        changes: What becomes of each version's extras; all in the list of one role.
        title: What it is, for those who are to sign it.
        beside: The files that the new extras name; those that the server has are not sent again.
        agree: Is shown the plan before anything is sent.

    Raises:
        UsageError: A version is not live, or there is no key to sign with.
        PendingError: Another change waits for signatures.
        ConflictError: Others kept publishing first.
        LockgateError: The server refused, or could not be reached.
    """
    pinned = call.pinned_root()

    def make_plan() -> Plan:
        base = load_newest_base(call, api, app, pinned)
        return plan_reissue(base, api, changes, title=title)

    plan = make_plan()
    if not plan.changed or not agree(plan):
        return Outcome(plan=plan)
    # Keys first: an upload is for nothing when nobody can sign.
    load_publishers(call, plan)
    send_beside(call, api, app, beside)
    return submit_plan(call, api, plan, make_plan)


def send_beside(call: Call, api: Api, app: AppName, beside: Sequence[Outgoing]) -> None:
    """Leave files on the server that are no artifacts: deltas and attestations.

    Raises:
        LockgateError: One cannot be read, or the server did not take it.
    """
    if not beside:
        return
    with call.uploads(api, app) as uploads:
        sent = uploads.complete(beside)
    for file in beside:
        say(f"{file.name}: {'uploaded' if sent[file.sha256] else 'already on the server'}")
