"""The list of releases in force as planning sees it, and the next one with what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lockgate_cli.fallbacks import fallback_of
from lockgate_cli.repository import Base
from lockgate_release.documents import ReleaseEntry
from lockgate_release.names import ChannelName
from lockgate_release.trust.roles import Role
from lockgate_release.versions import Version, VersionScheme

__all__ = ["Listing", "NextList", "describe_list", "finish_list", "listing_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What planning needs of the state in force.

    Attributes:
        entries: The mark of each live release, by its document's path.
        offered: The channels that offer a version, for each one offered.
        scheme: How the app's versions are ordered.
        fallbacks: What a channel falls back to if all that it offers is revoked.
        previews: Channels that end, or have ended.
        role: The role of releases whose list it is.
        others: Versions that are live in the lists of other roles.
        targets_version: The number of the targets in force.
    """

    entries: Mapping[str, ReleaseEntry] = field(default_factory=dict)
    offered: Mapping[str, tuple[ChannelName, ...]] = field(default_factory=dict)
    scheme: VersionScheme = VersionScheme.SEMVER
    fallbacks: frozenset[str] = frozenset()
    previews: frozenset[ChannelName] = frozenset()
    role: str = Role.RELEASES.value
    others: frozenset[str] = frozenset()
    targets_version: int = 0

    def parse(self, version: str) -> Version:
        """Return a version of the app's scheme.

        Raises:
            VersionError: It is not one.
        """
        return self.scheme.parse(version)


@dataclass(frozen=True, slots=True, kw_only=True)
class NextList:
    """The next list, and what a person should see of how it differs.

    Attributes:
        entries: The mark of each release in it, by its document's path.
        appears: Versions that are new.
        vanishes: Versions that are retired.
        changes: A sentence for each entry that stays with another mark.
        role: The role of releases whose list it is.
        changed: Whether there is anything to sign.
    """

    entries: Mapping[str, ReleaseEntry]
    appears: tuple[str, ...]
    vanishes: tuple[str, ...]
    changes: tuple[str, ...]
    role: str = Role.RELEASES.value

    @property
    def changed(self) -> bool:
        """Whether there is anything to sign."""
        return bool(self.appears or self.vanishes or self.changes)


def listing_of(base: Base, role: str = Role.RELEASES.value) -> Listing:
    """Return what planning needs of a verified state, for the list of one role."""
    own = {path: entry for path, entry in base.entries.items() if path.startswith(f"{role}/")}
    offered: dict[str, tuple[ChannelName, ...]] = {}
    for name, document in base.channels.items():
        for offer in document.offers:
            offered[offer.version] = (*offered.get(offer.version, ()), name)
    found = (fallback_of(base, document) for document in base.channels.values())
    return Listing(
        entries=own,
        offered=offered,
        scheme=base.policy.versions,
        fallbacks=frozenset(version for version in found if version is not None),
        previews=frozenset(
            name for name, document in base.channels.items() if document.retire_at is not None
        ),
        role=role,
        others=frozenset(entry.version for path, entry in base.entries.items() if path not in own),
        targets_version=base.chain.targets.version,
    )


def finish_list(
    listing: Listing, entries: Mapping[str, ReleaseEntry], floors: Mapping[ChannelName, str]
) -> NextList:
    """Return the list of these entries, each with every floor, and what differs from that in force.

    Raises:
        VersionError: An entry holds what is no version of the app's scheme.
    """
    following = {}
    changes = []
    for path, entry in entries.items():
        following[path] = replace(entry, floors=dict(sorted(floors.items())))
        before = listing.entries.get(path)
        if before is not None:
            changes += _describe_change(before, following[path])
    appears = [entry.version for path, entry in following.items() if path not in listing.entries]
    vanishes = [entry.version for path, entry in listing.entries.items() if path not in following]
    return NextList(
        entries=following,
        appears=tuple(sorted(appears, key=listing.parse)),
        vanishes=tuple(sorted(vanishes, key=listing.parse)),
        changes=tuple(changes),
        role=listing.role,
    )


def _describe_change(before: ReleaseEntry, after: ReleaseEntry) -> list[str]:
    changes = []
    added = sorted({*after.channels} - {*before.channels})
    if added:
        changes.append(f"{after.version}: may be offered in {', '.join(added)} too")
    lifted = sorted(name for name in after.lifted if after.lifted[name] != before.lifted.get(name))
    if lifted:
        changes.append(f"{after.version}: its revocation in {', '.join(lifted)} is lifted")
    if dict(before.floors) != dict(after.floors):
        shown = ", ".join(f"{name} {floor}" for name, floor in after.floors.items()) or "none"
        changes.append(f"{after.version}: floors are now {shown}")
    return changes


def describe_list(following: NextList) -> list[str]:
    """Return a line for each entry of the signed list that appears, changes or vanishes."""
    return [
        *(f"+ {version} appears in the signed list" for version in following.appears),
        *(f"~ {change}" for change in following.changes),
        *(f"- {version} vanishes: retired" for version in following.vanishes),
    ]
