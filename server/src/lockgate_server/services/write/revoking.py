"""Revoking: at once, in every channel unless said otherwise, with the rollout ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from lockgate_release.documents import ChannelDocument, Revocation
from lockgate_release.errors import LocalError
from lockgate_release.names import AppName, ChannelName
from lockgate_release.requests import RevokeRequest
from lockgate_release.strict_json import JsonObject
from lockgate_server.errors import NotFoundError
from lockgate_server.services.read.files import CACHED_S
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.changing import Outcome, Plan, change_app
from lockgate_server.services.write.channels import full_version, revoke_release
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.lists import all_live
from lockgate_server.services.write.publish import allowed_for, channel_or_new
from lockgate_server.services.write.status import read_current

__all__ = ["Revoked", "Sitting", "count_sitting", "describe_revoked", "revoke"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """How many clients said on one day what they run: counts without identifiers.

    Attributes:
        day: The latest day, or the one before where more was heard.
        on_it: How many said that they run the release, by channel.
        of: How many said anything, by channel.
    """

    day: date
    on_it: Mapping[str, int]
    of: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """What a revocation has led to, or, after a dry run, would lead to.

    Attributes:
        revoked_in: The channels in which it stands.
        offered_in: To what share it was offered before, in basis points, by channel.
        goes_to: What everybody is offered there now, if anything.
        check_interval_s: How often clients of each channel look, in seconds.
        clients: Who sits on it, by what was reported; None where nothing was.
        warnings: What the person should know.
        differs: Whether that is something else than before.
    """

    revoked_in: tuple[ChannelName, ...]
    offered_in: Mapping[ChannelName, int]
    goes_to: Mapping[ChannelName, str | None]
    check_interval_s: Mapping[ChannelName, int]
    clients: Sitting | None
    warnings: tuple[str, ...]
    differs: bool


def revoke(
    deps: WriteDeps, app: AppName, request: RevokeRequest, caller: Caller
) -> Outcome[Revoked]:
    """Revoke a release; revoking it again for the same reason changes nothing.

    Raises:
        NotFoundError: There is no such app or channel, or nothing to revoke it in.
        VersionError: It is not a version of the app's order.
        RepositoryError: The store holds no state that may be built upon.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """

    def plan(base: Base) -> Plan[Revoked]:
        return _plan(deps, base, request)

    if request.dry_run:
        base = read_current(deps, app)
        return Outcome(
            changed=False,
            timestamp_version=base.timestamp_version,
            releases_version=base.chain.releases.version,
            answer=plan(base).answer,
        )
    return change_app(deps, app, caller, plan)


def _plan(deps: WriteDeps, base: Base, request: RevokeRequest) -> Plan[Revoked]:
    base.policy.versions.parse(request.version)
    revocation = Revocation(
        version=request.version, reason=request.reason, remedy=request.remedy, at=deps.now()
    )
    before, after = [], []
    for channel in _choose_channels(base, request):
        document = channel_or_new(deps, base, channel)
        before.append(document)
        after.append(revoke_release(document, allowed_for(deps, base, channel), revocation))
    changed = [new for old, new in zip(before, after, strict=True) if new is not old]
    answer = Revoked(
        revoked_in=tuple(document.channel for document in after),
        offered_in=_offered_in(before, request.version),
        goes_to={document.channel: full_version(document) for document in after},
        check_interval_s={document.channel: document.check_interval_s for document in after},
        clients=count_sitting(deps, base.app, request.version),
        warnings=_find_warnings(base, request.version, before, after),
        differs=bool(changed),
    )
    if not changed:
        return Plan(change=None, answer=answer)
    change = Change(
        action="revoke",
        details={
            "version": request.version,
            "reason": request.reason,
            "remedy": request.remedy.value,
            "channels": [document.channel for document in changed],
        },
        channels=tuple(changed),
    )
    return Plan(change=change, answer=answer)


def _offered_in(documents: Iterable[ChannelDocument], version: str) -> dict[ChannelName, int]:
    found = ((document.channel, document.offer_of(version)) for document in documents)
    return {channel: offer.rollout.exposure_bp for channel, offer in found if offer is not None}


def count_sitting(deps: WriteDeps, app: AppName, version: str) -> Sitting | None:
    """Return how many clients run a release, by the day of the last two on which more was heard.

    Today is not over: yesterday counts where it knows of more. What cannot be read is not known:
    a revocation does not wait for it.
    """
    days = []
    for day in (deps.now().date(), deps.now().date() - timedelta(days=1)):
        try:
            counts = deps.reports.active(app, day)
        except LocalError:
            return None
        days.append((sum(item.clients for item in counts), day, counts))
    number, day, counts = max(days, key=lambda item: item[:2])
    if not number:
        return None
    on_it: Counter[str] = Counter()
    of: Counter[str] = Counter()
    for item in counts:
        of[item.channel] += item.clients
        if item.version == version:
            on_it[item.channel] += item.clients
    return Sitting(day=day, on_it=on_it, of=of)


def _choose_channels(base: Base, request: RevokeRequest) -> tuple[ChannelName, ...]:
    """Return where to revoke: every channel there is, and those where it could appear yet."""
    found = all_live(base).find(request.version)
    known = sorted({*base.channels, *(found[1].channels if found else ())})
    unknown = sorted(set(request.channels) - set(known))
    if unknown:
        raise NotFoundError(
            "no such channel",
            subject=f"{base.app}: {', '.join(unknown)}",
            expected=", ".join(known) or "none yet",
        )
    if not known:
        raise NotFoundError(
            "no such release, and no channel to revoke it in",
            subject=f"{base.app}: {request.version}",
        )
    return tuple(name for name in known if not request.channels or name in request.channels)


def _find_warnings(
    base: Base, version: str, before: list[ChannelDocument], after: list[ChannelDocument]
) -> tuple[str, ...]:
    warnings = []
    for old, new in zip(before, after, strict=True):
        if old.offers and not new.offers:
            warnings.append(
                f"channel {new.channel} is left empty: nobody is offered anything there, "
                "and a new installation finds nothing"
            )
        elif full_version(new) is None and new.offers:
            warnings.append(
                f"channel {new.channel} has nothing for everybody: only who is in the rollout of "
                f"{new.offers[0].version} is offered anything"
            )
    if all_live(base).find(version) is None:
        warnings.append(f"{version} is not a live release: nothing offers it")
    return tuple(warnings)


def describe_revoked(outcome: Outcome[Revoked]) -> JsonObject:
    """Return what a revocation has led to, as a client reads it."""
    revoked = outcome.answer
    return {
        "revoked_in": list(revoked.revoked_in),
        "offered_in": {str(name): share for name, share in revoked.offered_in.items()},
        "goes_to": {str(channel): version for channel, version in revoked.goes_to.items()},
        "check_interval_s": {str(name): s for name, s in revoked.check_interval_s.items()},
        "cached_s": CACHED_S,
        "clients": None if revoked.clients is None else _describe_sitting(revoked.clients),
        "warnings": list(revoked.warnings),
        "changed": outcome.changed,
        "would_change": revoked.differs,
    }


def _describe_sitting(sitting: Sitting) -> JsonObject:
    return {
        "day": sitting.day.isoformat(),
        "on_it": dict(sitting.on_it),
        "of": dict(sitting.of),
    }
