"""What the next list of releases is: decided from the list in force, without disk or network.

The rules:

1. A release is bound to its channels by its entry; promotion adds a channel, nothing takes one
   away.
2. A channel has one floor. Every live entry holds every floor, so that it goes with each next list
   and is not forgotten when the channel's last release goes; and it never sinks.
3. Two live versions never compare equal, nor differ by letter case alone.
4. What lies beyond the newest few and is offered nowhere is retired in the same signature.
5. What a channel offers is never taken out of the list.
6. Nor does rule 4 take out what a channel falls back to if what it offers is revoked, nor a release
   whose revocation was lifted: the lifting stands in its entry, and clients remember revocations.
7. What is revoked in any channel goes to no further one, until its publishers lift that.
8. What is for preview channels alone does not count among the newest: it is retired by rule 4 as
   soon as it is offered nowhere, and takes nobody's place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from lockgate_cli.fields import parse_field
from lockgate_cli.listing import Listing, NextList, finish_list
from lockgate_cli.repository import Base
from lockgate_cli.roles import path_of
from lockgate_release.documents import ReleaseEntry
from lockgate_release.errors import UsageError
from lockgate_release.layout import release_path
from lockgate_release.names import MAX_EXPOSURE_BP, ChannelName
from lockgate_release.requests import OfferRequest
from lockgate_release.rollout.progress import read_progress
from lockgate_release.steering_requests import ChosenPlan

__all__ = [
    "channel_floors",
    "join_floors",
    "plan_offers",
    "plan_release",
    "plan_retirement",
]


def channel_floors(listing: Listing) -> dict[ChannelName, str]:
    """Return the floor of each channel that has one: the highest that any entry holds for it.

    Raises:
        VersionError: An entry holds what is no version of the app's scheme.
    """
    floors: dict[ChannelName, str] = {}
    for entry in listing.entries.values():
        for channel, floor in entry.floors.items():
            known = floors.get(channel)
            if known is None or listing.parse(floor) > listing.parse(known):
                floors[channel] = floor
    return floors


def join_floors(
    listing: Listing, asked: Mapping[ChannelName, str], standing: Mapping[ChannelName, str]
) -> dict[ChannelName, str]:
    """Return the floors to ask for: those of this publish, and those that stand in the settings.

    Args:
        listing: The state in force.
        asked: What this publish asks for.
        standing: What the settings say: never less than this, and no fault where it is less than
            what has been signed since.

    Raises:
        VersionError: One is not a version of the app's scheme.
        UsageError: This publish asks for less than what stands in the settings.
    """
    signed = channel_floors(listing)
    floors = dict(asked)
    for channel, floor in standing.items():
        parse_field(f"floors.{channel}", listing.parse, floor)
        if channel in asked and listing.parse(asked[channel]) < listing.parse(floor):
            raise UsageError(
                "a floor never sinks",
                subject=f"floor of {channel}",
                expected=f"{floor} or later, as the settings say",
                found=asked[channel],
            )
        known = signed.get(channel)
        if channel not in asked and (known is None or listing.parse(floor) > listing.parse(known)):
            floors[channel] = floor
    return floors


def plan_release(
    listing: Listing,
    *,
    version: str,
    channels: tuple[ChannelName, ...],
    floors: Mapping[ChannelName, str],
    keep: int | None,
) -> NextList:
    """Return the list that follows when `version` is published, or promoted, into `channels`.

    Args:
        listing: The state in force.
        version: The release.
        channels: Where it may be offered from now on, beside where it may be already.
        floors: Floors that are asked for.
        keep: How many of the newest releases stay in any case, > 0; None: all that are live.

    Raises:
        VersionError: A version is not of the app's scheme.
        UsageError: Another live version is equal, a floor would sink, or it lies below one.
    """
    _check_unlike_others(listing, version)
    next_floors = _raise_floors(listing, floors)
    _check_above_floors(listing, version, channels, next_floors)
    path = release_path(version, folder=listing.role)
    entries = dict(listing.entries)
    own = entries.get(path) or ReleaseEntry(version=version, channels=())
    bound = tuple(sorted({*own.channels, *channels}))
    if bound != tuple(sorted(own.channels)):
        # What the maintainers say now is what whoever is offered it must have seen, at least.
        own = replace(own, targets_version=listing.targets_version)
    entries[path] = replace(own, channels=bound)
    if keep is not None:
        entries = _retire(listing, entries, keep, frozenset({version}))
    return finish_list(listing, entries, next_floors)


def plan_retirement(listing: Listing, *, versions: tuple[str, ...], keep: int) -> NextList:
    """Return the list that follows when releases are taken out of it.

    Args:
        listing: The state in force.
        versions: What to take out; empty takes out what lies beyond `keep`.
        keep: How many of the newest releases stay, > 0, if no versions are named.

    Raises:
        VersionError: A version is not of the app's scheme.
        UsageError: One is not live, or a channel offers it (rule 5).
    """
    floors = channel_floors(listing)
    if not versions:
        return finish_list(listing, _retire(listing, listing.entries, keep, frozenset()), floors)
    entries = dict(listing.entries)
    for version in versions:
        if entries.pop(release_path(version, folder=listing.role), None) is None:
            raise UsageError("not a live release", subject=version)
        if version in listing.offered:
            raise UsageError(
                "still offered",
                subject=version,
                expected="a release that no channel offers",
                found=f"offered in {', '.join(listing.offered[version])}",
                hint="Publish a newer one there, or revoke it first.",
            )
    return finish_list(listing, entries, floors)


def plan_offers(
    base: Base,
    version: str,
    channels: tuple[ChannelName, ...],
    exposure_bp: int | None,
    chosen: Mapping[ChannelName, ChosenPlan],
) -> tuple[OfferRequest, ...]:
    """Return the offers that are still to be made so that each channel offers `version`.

    Args:
        base: The state in force.
        version: The release.
        channels: Where to offer it.
        exposure_bp: To what share, in basis points; None means everybody, or, where it is offered
            already, what it has reached.
        chosen: The plans that its rollouts follow, by channel.

    Raises:
        UsageError: A channel cannot offer it, or offers it to fewer than are asked for, or by
            another plan.
    """
    for name in channels:
        _check_may_offer(base, version, name, channels)
    wanted = (
        _plan_offer(base, version, name, exposure_bp)
        if name not in chosen
        else _plan_rollout(base, version, name, chosen[name])
        for name in channels
    )
    return tuple(offer for offer in wanted if offer is not None)


def _plan_offer(
    base: Base, version: str, channel: ChannelName, exposure_bp: int | None
) -> OfferRequest | None:
    document = base.channels.get(channel)
    known = document.offer_of(version) if document else None
    if known is None:
        _check_moving(base, channel)
        share = MAX_EXPOSURE_BP if exposure_bp is None else exposure_bp
        return OfferRequest(channel=channel, version=version, exposure_bp=share)
    # A rollout that has grown since must not be thrown back by publishing the same once more.
    if exposure_bp is not None and exposure_bp > known.rollout.exposure_bp:
        raise UsageError(
            "already offered, to fewer clients",
            subject=f"{version} in {channel}",
            expected=f"{exposure_bp} basis points",
            found=str(known.rollout.exposure_bp),
            hint="Widen it with `lockgate rollout set`.",
        )
    return None


def _plan_rollout(
    base: Base, version: str, channel: ChannelName, chosen: ChosenPlan
) -> OfferRequest | None:
    document = base.channels.get(channel)
    known = document.offer_of(version) if document else None
    if known is None:
        _check_moving(base, channel)
        return OfferRequest(channel=channel, version=version, exposure_bp=0, chosen=chosen)
    # A plan that a person has ended since must not come back by publishing the same once more.
    progress = read_progress(known.rollout)
    if progress is not None and progress.plan != chosen.plan:
        raise UsageError(
            "already offered, by another plan",
            subject=f"{version} in {channel}",
            found=progress.name or "an unnamed one",
            hint="Give it this one with `lockgate rollout plan`.",
        )
    return None


def _check_moving(base: Base, channel: ChannelName) -> None:
    """Refuse to offer anything where people have stopped the channel, or the whole app."""
    own = base.channels.get(channel)
    others = () if own is not None else base.channels.values()
    stops = [item.stop for item in others if item.stop is not None and item.stop.is_whole_app]
    stop = own.stop if own is not None else next(iter(stops), None)
    if stop is not None:
        raise UsageError(
            "stopped",
            subject=f"channel {channel}",
            found=stop.reason,
            hint="`lockgate start` lets it go on.",
        )


def _check_may_offer(
    base: Base, version: str, channel: ChannelName, channels: tuple[ChannelName, ...]
) -> None:
    path = path_of(base, version, channels)
    rule = base.policy.channel(channel)
    if not rule.allows_path(path):
        raise UsageError(
            "the policy does not allow this release here",
            subject=channel,
            expected=", ".join(rule.paths),
            found=path,
        )
    _check_not_revoked(base, version, channel)
    document = base.channels.get(channel)
    if document is None:
        return
    parse = base.policy.versions.parse
    for offer in document.offers:
        if offer.rollout.is_full and parse(offer.version) > parse(version):
            raise UsageError(
                "it would reach nobody",
                subject=f"{version} in {channel}",
                expected=f"a version above {offer.version}, which everybody is offered",
            )


def _check_not_revoked(base: Base, version: str, channel: ChannelName) -> None:
    """Refuse what is revoked here, and in a further channel what is revoked in any (rule 7)."""
    found = base.find(version)
    entry = found[1] if found else None
    here = base.channels.get(channel)
    is_offered = here is not None and here.offer_of(version) is not None
    for name, document in base.channels.items():
        revocation = document.revocation_of(version)
        if revocation is None or (is_offered and name != channel):
            continue
        if entry is None or not entry.lifts(name, revocation.at):
            raise UsageError(
                "revoked",
                subject=f"{version} in {name}",
                found=revocation.reason,
                hint="Publish the fix under a new version; or take the revocation back with "
                "`lockgate unrevoke`.",
            )


def _check_unlike_others(listing: Listing, version: str) -> None:
    """Refuse a version that another live one could be taken for (rule 3)."""
    parsed = parse_field("version", listing.parse, version)
    own = [entry.version for entry in listing.entries.values() if entry.version != version]
    for other in (*own, *sorted(listing.others)):
        if listing.parse(other) == parsed or other.lower() == version.lower():
            raise UsageError(
                "another live version is equal to it",
                subject=f"version {version}",
                expected="a version of its own",
                found=other,
            )


def _raise_floors(listing: Listing, asked: Mapping[ChannelName, str]) -> dict[ChannelName, str]:
    floors = channel_floors(listing)
    for channel, floor in asked.items():
        parse_field(f"floor of {channel}", listing.parse, floor)
        known = floors.get(channel)
        if known is not None and listing.parse(floor) < listing.parse(known):
            raise UsageError(
                "a floor never sinks",
                subject=f"floor of {channel}",
                expected=f"{known} or later",
                found=floor,
            )
        # Equal in order may differ in text: the one that is signed already stays.
        if known is None or listing.parse(floor) > listing.parse(known):
            floors[channel] = floor
    return floors


def _check_above_floors(
    listing: Listing,
    version: str,
    channels: Iterable[ChannelName],
    floors: Mapping[ChannelName, str],
) -> None:
    for channel in channels:
        floor = floors.get(channel)
        if floor is not None and listing.parse(version) < listing.parse(floor):
            raise UsageError(
                "below the floor",
                subject=f"{version} in {channel}",
                expected=f"{floor} or later",
                found=version,
            )


def _is_preview(listing: Listing, entry: ReleaseEntry) -> bool:
    """Whether the release is for preview channels alone (rule 8)."""
    return bool(entry.channels) and set(entry.channels) <= listing.previews


def _retire(
    listing: Listing, entries: Mapping[str, ReleaseEntry], keep: int, wanted: frozenset[str]
) -> dict[str, ReleaseEntry]:
    """Return the entries without those that are old and needed nowhere (rules 4 to 6 and 8)."""
    counted = [path for path in entries if not _is_preview(listing, entries[path])]
    counted.sort(key=lambda path: listing.parse(entries[path].version), reverse=True)
    newest = frozenset(counted[:keep])
    staying = {
        path
        for path in entries
        if path in newest
        or entries[path].version in listing.offered
        or entries[path].version in {*wanted, *listing.fallbacks}
        or entries[path].lifted
    }
    return {path: entry for path, entry in entries.items() if path in staying}
