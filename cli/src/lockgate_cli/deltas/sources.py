"""From which releases deltas lead to a new one. Pure.

1. A delta begins at a release that is live, comes before the new one, and may be left for it.
2. First comes what a channel of the new release offers to everybody: that is where its clients are,
   or soon will be. Then what clients have reported to use, by the days they have spent on it in the
   last week. Then, newest first, what the channels of the new release could offer.
3. For each platform, the first so many that have an artifact for it.
4. An archive that is small is not worth a delta: the request costs as much. Nor is one whose tree
   is mostly not in the earlier one, whatever that holds: less than 30 % of it could be saved.
5. Two releases with the same tree need one delta; nor is one made again that the release has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lockgate_cli.repository import Base
from lockgate_release.archives import ArchiveKind
from lockgate_release.documents import Artifact, Delta, ReleaseDocument
from lockgate_release.names import ChannelName
from lockgate_release.platforms import ANY_PLATFORM

__all__ = ["LEAST_ARCHIVE_BYTES", "Pair", "choose_pairs", "rank_versions"]

LEAST_ARCHIVE_BYTES = 64 << 10
"""Rule 4: at 10 Mbit/s the whole of it takes 52 ms."""

_LOOKED_BEYOND = 5
"""How many more releases are looked at where some lack an artifact for a platform."""

_LEAST_SHARE_PERCENT = 30
"""Rule 4: what an earlier tree must have at least of the new one's bytes."""

_KINDS = frozenset(kind.value for kind in ArchiveKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two artifacts between whose trees a delta is to be made.

    Attributes:
        from_version: The release it begins at.
        old: That release's artifact.
        new: The artifact of the release it leads to.
    """

    from_version: str
    old: Artifact
    new: Artifact

    @property
    def name(self) -> str:
        """What it is, for people."""
        return f"from {self.from_version} for {self.new.platform}"

    def to_json(self) -> dict[str, str]:
        """Return it as data for programs."""
        return {"from_version": self.from_version, "platform": self.new.platform}


def rank_versions(
    base: Base,
    version: str,
    channels: Collection[ChannelName],
    usage: Mapping[str, int],
    *,
    from_version: str = "",
) -> tuple[str, ...]:
    """Return the versions that a delta to `version` may begin at, the most useful first.

    Args:
        base: The state in force.
        version: The new release.
        channels: Where it may be offered.
        usage: How many days clients have spent on each version lately; empty where nobody knows.
        from_version: The lowest version that may go to the new one directly, or "".

    Raises:
        VersionError: A version is not of the app's order.
    """
    order = base.policy.versions.parse
    new, lowest = order(version), order(from_version) if from_version else None
    full = {
        offer.version
        for name in channels
        for offer in (base.channels[name].offers if name in base.channels else ())
        if offer.rollout.is_full
    }
    found = [
        entry
        for entry in base.entries.values()
        if order(entry.version) < new
        and (lowest is None or order(entry.version) >= lowest)
        and (
            entry.version in full
            or usage.get(entry.version)
            or not set(channels).isdisjoint(entry.channels)
        )
    ]
    found.sort(key=lambda entry: order(entry.version), reverse=True)
    # Sorting keeps the order of equals: the newest first.
    found.sort(key=lambda entry: (entry.version not in full, -usage.get(entry.version, 0)))
    return tuple(entry.version for entry in found)


def choose_pairs(
    new: ReleaseDocument,
    versions: Iterable[str],
    read: Callable[[str], ReleaseDocument | None],
    *,
    most: int,
    live: Iterable[Delta] = (),
    algorithm: str = "",
) -> tuple[Pair, ...]:
    """Return the pairs worth a delta, by platform and in the order of `versions` (rules 3 to 5).

    Args:
        new: The new release.
        versions: Where deltas may begin, the most useful first.
        read: Returns the document of a live version; called for no more than are needed.
        most: How many deltas for each platform, those that the release has included.
        live: The deltas that the release has.
        algorithm: How they would be made.
    """
    worth = [item for item in new.artifacts if item.size >= LEAST_ARCHIVE_BYTES]
    choosing = _Choosing(most=most, algorithm=algorithm, live=tuple(live))
    for number, version in enumerate(versions):
        open_ = [item for item in worth if choosing.counts[item.platform] < most]
        if not open_ or number >= most + _LOOKED_BEYOND:
            break
        old = read(version)
        if old is not None:
            choosing.add(version, old, open_)
    return tuple(sorted(choosing.pairs, key=lambda pair: pair.new.platform))


@dataclass(slots=True, kw_only=True)
class _Choosing:
    most: int
    algorithm: str
    live: tuple[Delta, ...]
    pairs: list[Pair] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    trees: set[tuple[str, str]] = field(default_factory=set)

    def add(self, version: str, old: ReleaseDocument, wanted: Iterable[Artifact]) -> None:
        for new in wanted:
            before = _artifact_before(old, new)
            if before is None or new.kind not in _KINDS:
                continue
            if 100 * before.tree_size < _LEAST_SHARE_PERCENT * new.tree_size:
                continue
            tree = (new.platform, before.tree_sha256)
            if tree in self.trees:
                continue
            self.trees.add(tree)
            self.counts[new.platform] += 1
            if tree not in set(self._live_trees()):
                self.pairs.append(Pair(from_version=version, old=before, new=new))

    def _live_trees(self) -> Iterator[tuple[str, str]]:
        for delta in self.live:
            if delta.algorithm == self.algorithm:
                yield delta.platform, delta.from_tree_sha256


def _artifact_before(old: ReleaseDocument, new: Artifact) -> Artifact | None:
    """Return what a machine has of an earlier release that takes `new` of the next one."""
    for platform in (new.platform, ANY_PLATFORM):
        for artifact in old.artifacts:
            if artifact.platform == platform and artifact.kind in _KINDS:
                return artifact
    return None
