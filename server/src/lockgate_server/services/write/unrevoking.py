"""Taking a revocation back: the publishers sign the lift, and the server obeys it.

1. The lift stands in the release's entry and names the moment of the revocation that it takes back:
   a release that is revoked once more stays revoked until that is lifted too.
2. What is lifted is not offered by that: somebody publishes or promotes it again, and says to whom.
3. A release that its publishers have sealed has no entry any more: nothing lifts its revocation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuf.api.metadata import Targets

from lockgate_release.documents import ChannelDocument
from lockgate_release.errors import UsageError
from lockgate_release.instants import format_instant
from lockgate_release.names import AppName, ChannelName
from lockgate_release.pending_requests import LiftWish
from lockgate_release.requests import UnrevokeRequest
from lockgate_release.strict_json import Json, JsonObject
from lockgate_release.trust.chain import Verified
from lockgate_server.errors import NotFoundError
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.changing import Outcome, Plan, change_app
from lockgate_server.services.write.channels import without_revocation
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.lists import Live, all_live
from lockgate_server.services.write.publish import check_releases, verify_following
from lockgate_server.services.write.publishing import ReleaseList, read_verified
from lockgate_server.services.write.waiting import refuse_while_pending

__all__ = ["Unrevoked", "describe_unrevoked", "lift_revocations", "unrevoke"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrevoked:
    """What the lift has led to: the channels in which the release may be offered again."""

    allowed_in: tuple[ChannelName, ...]


def unrevoke(
    deps: WriteDeps, app: AppName, request: UnrevokeRequest, caller: Caller
) -> Outcome[Unrevoked]:
    """Take a revocation back; doing it again changes nothing.

    Raises:
        NotFoundError: There is no such app, channel or live release.
        UsageError: The publishers have not lifted this revocation, or the list breaks a rule.
        ConflictError: The list is no longer the next one: somebody else published.
        RepositoryError: Signatures are not what they must be.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """

    def plan(base: Base) -> Plan[Unrevoked]:
        return _plan(deps, base, request)

    return change_app(deps, app, caller, plan, own=request.releases)


def _plan(deps: WriteDeps, base: Base, request: UnrevokeRequest) -> Plan[Unrevoked]:
    verified = verify_following(base, request.releases, role=request.role)
    new = None if verified is None else read_verified(verified, role=request.role)
    live = all_live(base, new)
    documents: Mapping[str, bytes] = {}
    builds_on: frozenset[str] = frozenset()
    if new is not None:
        refuse_while_pending(deps.ledger, base, request.role)
        documents, builds_on = check_releases(deps, base, new, {})
    changed = lift_revocations(base, live, request)
    answer = Unrevoked(allowed_in=_allowed_in(live, request))
    if verified is None and not changed:
        return Plan(change=None, answer=answer)
    change = Change(
        action="unrevoke",
        details=_details(request, verified, changed),
        channels=changed,
        releases=verified,
        role=request.role,
        documents=documents,
        builds_on=builds_on,
    )
    return Plan(change=change, answer=answer)


def _details(
    request: UnrevokeRequest,
    verified: Verified[Targets] | None,
    changed: tuple[ChannelDocument, ...],
) -> JsonObject:
    details: dict[str, Json] = {
        "version": request.version,
        "reason": request.reason,
        "channels": [document.channel for document in changed],
    }
    if verified is not None:
        details["releases_version"] = verified.version
    return details


def lift_revocations(
    base: Base, live: Live | ReleaseList, request: UnrevokeRequest | LiftWish
) -> tuple[ChannelDocument, ...]:
    """Return the channels whose document changes, without the revocation (rules 1 and 3).

    Raises:
        NotFoundError: There is no such channel or live release.
        UsageError: The publishers have not lifted this revocation.
    """
    found = live.find(request.version)
    if found is None:
        raise NotFoundError(
            "no live release",
            subject=f"{base.app}: {request.version}",
            hint="Its publishers have retired it, or sealed its revocation. "
            "Publish the content under a new version.",
        )
    changed = []
    for name in request.channels:
        document = base.channels.get(name)
        if document is None:
            raise NotFoundError("no such channel", subject=f"{base.app}: {name}")
        revocation = document.revocation_of(request.version)
        if revocation is None:
            continue
        if not found[1].lifts(name, revocation.at):
            raise UsageError(
                "its publishers have not lifted this revocation",
                subject=f"{name}: {request.version}",
                expected=f"a lift of what was revoked at {format_instant(revocation.at)}",
                hint="`lockgate unrevoke` signs one.",
            )
        changed.append(without_revocation(document, request.version))
    return tuple(changed)


def _allowed_in(live: Live, request: UnrevokeRequest) -> tuple[ChannelName, ...]:
    found = live.find(request.version)
    names = found[1].channels if found else ()
    return tuple(name for name in request.channels if name in names)


def describe_unrevoked(request: UnrevokeRequest, outcome: Outcome[Unrevoked]) -> JsonObject:
    """Return what a lift has led to, as a client reads it."""
    return {
        "lifted_in": list(request.channels),
        "allowed_in": list(outcome.answer.allowed_in),
        "changed": outcome.changed,
        "timestamp_version": outcome.timestamp_version,
        "releases_version": outcome.releases_version,
    }
