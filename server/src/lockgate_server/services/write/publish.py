"""Publishing: the next list of releases, and an offer of one of them, in force in one step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from tuf.api.metadata import Targets

from lockgate_release.documents import ChannelDocument, ChannelOffer
from lockgate_release.errors import ConflictError
from lockgate_release.names import AppName, ChannelName
from lockgate_release.requests import OfferRequest, PublishRequest
from lockgate_release.rollout.progress import Progress, begin
from lockgate_release.steering_requests import ChosenPlan
from lockgate_release.strict_json import Json, JsonObject
from lockgate_release.trust.chain import Verified, parse_metadata, verify_next_releases
from lockgate_release.trust.roles import Role
from lockgate_server.services.write.bars import bars_of, check_offers_stand, offered_in
from lockgate_server.services.write.base import Base, read_target
from lockgate_server.services.write.changing import Outcome, Plan, change_app
from lockgate_server.services.write.channels import (
    Allowed,
    check_app_moving,
    offer_release,
    start_channel,
)
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.lifetimes import with_lifetime
from lockgate_server.services.write.lists import Live, all_live, list_before, others_than
from lockgate_server.services.write.offers import allowed_in, check_not_revoked, check_offer
from lockgate_server.services.write.publishing import (
    ReleaseList,
    artifact_keys,
    changed_paths,
    check_artifacts,
    check_documents,
    check_list,
    check_marks,
    read_verified,
)
from lockgate_server.services.write.sizes import sizes_in_store
from lockgate_server.services.write.steering import check_no_evidence_elsewhere
from lockgate_server.services.write.waiting import refuse_while_pending

__all__ = [
    "allowed_for",
    "changed_channels",
    "channel_or_new",
    "check_releases",
    "offer_all",
    "publish",
    "verify_following",
]

_SALT_BYTES = 16


def publish(
    deps: WriteDeps, app: AppName, request: PublishRequest, caller: Caller
) -> Outcome[ChannelOffer | None]:
    """Put the request in force; the answer is the offer as it stands now.

    Raises:
        ConflictError: The list is no longer the next one: somebody else published.
        PendingError: Another change waits for signatures.
        UsageError: It breaks a rule of `publishing` or `channels`.
        RepositoryError: Signatures, documents or artifacts are not what they must be.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """

    def plan(base: Base) -> Plan[ChannelOffer | None]:
        return _plan(deps, base, request)

    return change_app(deps, app, caller, plan, own=request.releases)


def _plan(deps: WriteDeps, base: Base, request: PublishRequest) -> Plan[ChannelOffer | None]:
    verified = verify_following(base, request.releases, role=request.role)
    live = None if verified is None else read_verified(verified, role=request.role)
    documents: Mapping[str, bytes] = {}
    builds_on: frozenset[str] = frozenset()
    if live is not None:
        refuse_while_pending(deps.ledger, base, request.role)
        documents, builds_on = check_releases(deps, base, live, request.documents)
    wanted = request.offer
    after = offer_all(deps, base, live, (wanted,) if wanted else (), documents)
    offer = after.channels[wanted.channel].offer_of(wanted.version) if wanted else None
    changed = changed_channels(base, after)
    if verified is None and not changed:
        return Plan(change=None, answer=offer)
    change = Change(
        action="publish",
        details=_describe(verified, request, offer),
        channels=changed,
        releases=verified,
        role=request.role,
        documents=documents,
        builds_on=builds_on,
    )
    return Plan(change=change, answer=offer)


def _describe(
    verified: Verified[Targets] | None, request: PublishRequest, offered: ChannelOffer | None
) -> JsonObject:
    details: dict[str, Json] = {}
    offer = request.offer
    if offered is not None:
        details["epoch"] = offered.rollout.epoch  # what reports will name
    if verified is not None:
        details[f"{request.role}_version"] = verified.version
    if offer is not None:
        details.update(version=offer.version, channel=offer.channel)
        if offer.allow_unattested:
            details.update(allow_unattested=True)
        if offer.chosen is None:
            details.update(exposure_bp=offer.exposure_bp)
        else:
            details.update(chosen=offer.chosen.to_json())
    return details


def verify_following(
    base: Base, data: bytes | None, *, role: str = Role.RELEASES.value
) -> Verified[Targets] | None:
    """Return the list that follows the one in force; None if it is the one in force, or none came.

    Raises:
        ConflictError: It follows an older list: somebody else was first.
        TrustError: It is not signed as it must be, or its number is too high.
        DocumentError: It is no such list.
    """
    current = base.chain.list_of(role)
    if data is None or (current is not None and data == current.data):
        return None
    unverified = parse_metadata(Targets, data, role).signed
    if current is not None and unverified.version <= current.version:
        raise ConflictError(
            "somebody else published first",
            subject=role,
            expected=f"number {current.version + 1}",
            found=str(unverified.version),
            hint="Run the same command again: it builds on the newest state.",
        )
    return verify_next_releases(base.chain, data, role=role)


def check_releases(
    deps: WriteDeps, base: Base, live: ReleaseList, sent: Mapping[str, bytes]
) -> tuple[Mapping[str, bytes], frozenset[str]]:
    """Return the documents to write, checked, and the keys of the files they name.

    Raises:
        UsageError: The list breaks a rule of `publishing`.
        RepositoryError: Documents or artifacts are not what they must be.
        TransportError: The store cannot be reached.
    """
    before = list_before(base, live.role)
    channels = tuple(base.channels.values())
    check_list(live, before, base.policy, channels, deps.now(), others_than(base, live.role))
    check_marks(live, before, base.chain.targets.version)
    bars = bars_of(deps, base, live, sent=sent, waived=offered_in(channels))
    check_offers_stand(bars, channels)
    changed = changed_paths(live, before)
    documents = {
        path: sent[path] if path in sent else read_target(deps.store, base.app, path, target)
        for path, target in changed.items()
    }
    named = check_documents(base.app, changed, documents)
    sizes = sizes_in_store(deps.store, base.app, (file.sha256 for file in named))
    check_artifacts(named, sizes.__getitem__)
    return documents, artifact_keys(base.app, named)


def offer_all(
    deps: WriteDeps,
    base: Base,
    live: ReleaseList | None,
    offers: Iterable[OfferRequest],
    sent: Mapping[str, bytes],
) -> Base:
    """Return the state as it would be once these offers are made, one after the other.

    Args:
        deps: What a change needs.
        base: The state in force.
        live: The next list of a role; None: those in force stay.
        offers: What to offer.
        sent: Documents that the store may not have yet, by path.

    Raises:
        UsageError: One may not be made.
    """
    for wanted in offers:
        channels = {**base.channels, wanted.channel: _offer(deps, base, live, wanted, sent)}
        base = replace(base, channels=channels)
    return base


def changed_channels(before: Base, after: Base) -> tuple[ChannelDocument, ...]:
    """Return the channels that are other ones than before."""
    return tuple(
        document
        for name, document in after.channels.items()
        if document is not before.channels.get(name)
    )


def _offer(
    deps: WriteDeps,
    base: Base,
    new: ReleaseList | None,
    wanted: OfferRequest,
    sent: Mapping[str, bytes],
) -> ChannelDocument:
    live = all_live(base, new)
    waived = offered_in(base.channels.values()) | _waived(wanted, live)
    bars = bars_of(deps, base, new, sent=sent, waived=waived)
    document = channel_or_new(deps, base, wanted.channel)
    check_offer(document, wanted.version, live, bars)
    check_not_revoked(wanted.channel, wanted.version, live, base.channels.values())
    if document.offer_of(wanted.version) is None:
        check_no_evidence_elsewhere(wanted.channel, wanted.version, base.channels.values())
    if wanted.channel not in base.channels:
        check_app_moving(base.channels.values())
    return offer_release(
        with_lifetime(document, wanted.lifetime_s, deps.now()),
        allowed_in(document, live, bars, deps.random_hex(_SALT_BYTES)),
        wanted.version,
        wanted.exposure_bp,
        None if wanted.chosen is None else _begin_plan(wanted.chosen, deps.now()),
    )


def _waived(wanted: OfferRequest, live: Live) -> frozenset[tuple[str, str]]:
    """Return the offer, where whoever wants it answers for its origin."""
    found = live.find(wanted.version) if wanted.allow_unattested else None
    if found is None:
        return frozenset()
    return frozenset({(wanted.channel, live.targets[found[0]].hashes.get("sha256", ""))})


def _begin_plan(chosen: ChosenPlan, now: datetime) -> Progress:
    """Return a plan in its first stage, or before its start."""
    progress = begin(chosen.plan, name=chosen.name, now=now, start_at=chosen.start_at)
    if chosen.start_at is not None and chosen.start_at > now:
        return progress
    return progress.step(epoch=1, now=now)


def channel_or_new(deps: WriteDeps, base: Base, channel: ChannelName) -> ChannelDocument:
    """Return what a channel offers; nothing, if it is new, or ended long ago and was dropped.

    Its sequence goes on where it was: clients never go back below one that they have seen.
    """
    known, now = base.channels.get(channel), deps.now()
    if known is not None:
        return known
    new = start_channel(base.app, channel, now)
    last = base.recorded.sequences.get(channel, 0) if base.recorded else 0
    return replace(new, sequence=last, retire_at=now) if last else new


def allowed_for(deps: WriteDeps, base: Base, channel: ChannelName) -> Allowed:
    """Return what may be offered in a channel, by the list in force."""
    document = channel_or_new(deps, base, channel)
    bars = bars_of(deps, base, waived=offered_in(base.channels.values()))
    return allowed_in(document, all_live(base), bars, deps.random_hex(_SALT_BYTES))
