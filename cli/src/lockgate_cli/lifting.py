"""Lifting a revocation: the next list with the lift in the release's entry, signed and in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from lockgate_cli.api import Api, JsonDict
from lockgate_cli.context import Call
from lockgate_cli.listing import describe_list, finish_list, listing_of
from lockgate_cli.output import say, say_again
from lockgate_cli.plan import channel_floors
from lockgate_cli.remembering import load_newest_base, note_signed
from lockgate_cli.repository import Base
from lockgate_cli.roles import choose_role, path_of
from lockgate_cli.signing import sign_next_list
from lockgate_cli.submitting import Plan, keep_pending, load_publishers
from lockgate_release.errors import ConflictError, PendingError, UsageError
from lockgate_release.names import AppName, ChannelName
from lockgate_release.pending_requests import LiftWish
from lockgate_release.requests import UnrevokeRequest

__all__ = ["Lift", "lift", "plan_lift"]

_ATTEMPTS = 5
_FIRST_WAIT_S = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """A revocation that somebody wants taken back.

    Attributes:
        version: The release.
        reason: Why, for people.
        channels: Where; empty means wherever it is revoked.
    """

    version: str
    reason: str
    channels: tuple[ChannelName, ...] = ()


def plan_lift(base: Base, wish: Lift) -> tuple[Plan, tuple[ChannelName, ...]]:
    """Return the list with the lift in it, and the channels in which the release is revoked.

    Raises:
        UsageError: The release is not live, a channel is not there, or it is revoked nowhere.
        VersionError: An entry holds what is no version of the app's scheme.
    """
    path = path_of(base, wish.version)
    revoked = _revoked_at(base, wish)
    listing = listing_of(base, choose_role(base, wish.version))
    entry = listing.entries.get(path)
    if entry is None:
        raise UsageError(
            "not a live release",
            subject=wish.version,
            hint="A revocation that was sealed is for good: publish the content as a new version."
            if revoked
            else "",
        )
    unlifted = {name: at for name, at in revoked.items() if not entry.lifts(name, at)}
    marked = replace(entry, lifted={**entry.lifted, **unlifted})
    entries = {**listing.entries, path: marked}
    following = finish_list(listing, entries, channel_floors(listing))
    channels = tuple(sorted(revoked))
    plan = Plan(
        base=base,
        following=following,
        lifts=(LiftWish(version=wish.version, reason=wish.reason, channels=channels),)
        if channels
        else (),
        title=f"lift the revocation of {wish.version}",
    )
    return plan, channels


def _revoked_at(base: Base, wish: Lift) -> Mapping[ChannelName, datetime]:
    unknown = sorted(set(wish.channels) - set(base.channels))
    if unknown:
        raise UsageError(
            "no such channel",
            subject=", ".join(unknown),
            expected=", ".join(sorted(base.channels)) or "none yet",
        )
    revoked = {}
    for name, document in base.channels.items():
        revocation = document.revocation_of(wish.version)
        if revocation is not None and (not wish.channels or name in wish.channels):
            revoked[name] = revocation.at
    return revoked


def lift(
    call: Call, api: Api, app: AppName, wish: Lift, agree: Callable[[Plan], bool]
) -> JsonDict | None:
    """Take a revocation back if `agree` says so; None where nothing was done.

    Raises:
        UsageError: It makes no sense, or there is no key to sign with.
        PendingError: Another change waits for signatures.
        ConflictError: Others kept publishing first.
        LockgateError: The server refused, or could not be reached.
    """
    pinned = call.pinned_root()
    plan, channels = plan_lift(load_newest_base(call, api, app, pinned), wish)
    if not channels or not agree(plan):
        return None
    for attempt in range(1, _ATTEMPTS):
        try:
            return _submit(call, api, plan, wish, channels)
        except PendingError:
            raise
        except ConflictError as exc:
            say_again(exc)
        call.around.sleep(_FIRST_WAIT_S * 2**attempt * call.around.jitter())
        plan, channels = plan_lift(load_newest_base(call, api, app, pinned), wish)
        if not channels:
            return None
        for line in describe_list(plan.following):
            say(line)
    return _submit(call, api, plan, wish, channels)


def _submit(
    call: Call, api: Api, plan: Plan, wish: Lift, channels: tuple[ChannelName, ...]
) -> JsonDict:
    releases = None
    if plan.following.changed:
        publishers = load_publishers(call, plan)
        if publishers.missing:
            kept = keep_pending(call, api, plan, publishers)
            return {"lifted_in": [], "allowed_in": [], "changed": True, "pending": kept.pending}
        chain = plan.base.chain
        releases = sign_next_list(chain, plan.following, {}, publishers.signers, call.around.now())
    request = UnrevokeRequest(
        version=wish.version,
        reason=wish.reason,
        channels=channels,
        releases=releases,
        role=plan.following.role,
    )
    answer = api.unrevoke(plan.base.app, request)
    if releases is not None:
        note_signed(call, plan.base, plan.following.role)
    return answer
