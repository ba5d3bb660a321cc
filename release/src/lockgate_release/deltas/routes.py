"""Which deltas lead to a release for the fewest bytes. Pure; what it must know, it asks for.

1. A route begins at a tree that is on this disk, and takes 1 to 5 deltas, each of which leads to
   the tree of a live release.
2. It counts the bytes that are still to be fetched, and what each release on the way costs to read.
3. A route is taken only where it costs less than the whole archive.
4. A release on the way is read only while a route over it can still be the cheapest.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

from lockgate_release.documents import Artifact
from lockgate_release.documents.delta import Delta
from lockgate_release.names import Sha256Hex

__all__ = [
    "MAX_HOPS",
    "Hop",
    "Node",
    "Read",
    "Route",
    "Search",
    "find_route",
]

MAX_HOPS = 5
"""A direct delta is smaller than a chain of them almost always: longer ones are not looked for."""
_MAX_READ = 12
_DOCUMENTS_BYTES = 4096
"""What a release on the way costs: its document and its extras."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A live release that deltas lead to.

    Attributes:
        version: The release.
        artifacts: Its files: whose tree a delta leads to.
        deltas: What leads there.
    """

    version: str
    artifacts: tuple[Artifact, ...]
    deltas: tuple[Delta, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One delta of a route.

    Attributes:
        delta: The delta.
        version: The release that it leads to.
        artifact: The release's file whose tree it leads to.
    """

    delta: Delta
    version: str
    artifact: Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Deltas in the order in which they are applied, one or more.

    Attributes:
        hops: The deltas.
        fetch_bytes: What of them is not here yet.
    """

    hops: tuple[Hop, ...]
    fetch_bytes: int

    @property
    def source(self) -> Sha256Hex:
        """The digest of the tree that it begins at."""
        return self.hops[0].delta.from_tree_sha256

    @property
    def disk_bytes(self) -> int:
        """What it takes beside what is there, at its worst moment: two trees and the deltas."""
        worst = before = 0
        for hop in self.hops:
            here = hop.artifact.tree_size + hop.delta.scratch_bytes
            worst, before = max(worst, before + here), hop.artifact.tree_size
        return worst + self.fetch_bytes


Read: TypeAlias = Callable[[str], Node | None]
"""Returns a live release by its version, or None. May be asked for the same one again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a route is looked for with.

    Attributes:
        trees: The digests of the trees to begin at.
        limit_bytes: What the whole archive costs: a route must be cheaper.
        is_usable: Whether a delta may be used here.
        missing_bytes: How many bytes of a delta are not here yet.
        read: Reads the releases on the way.
    """

    trees: Collection[Sha256Hex]
    limit_bytes: int
    is_usable: Callable[[Hop], bool]
    missing_bytes: Callable[[Delta], int]
    read: Read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """A way from some tree to the target; its hops in the order in which they are applied."""

    cost_bytes: int
    hops: tuple[Hop, ...]

    @property
    def tree(self) -> Sha256Hex:
        return self.hops[0].delta.from_tree_sha256


def find_route(target: Node, artifact: Artifact, search: Search) -> Route | None:
    """Return the cheapest way to the tree of `artifact`, a file of `target`, or None.

    Of two that cost the same the one with fewer deltas is taken.
    """
    order = count()
    ways: list[tuple[int, int, int, _Way]] = []

    def offer(found: Iterator[_Way]) -> None:
        for way in found:
            if way.cost_bytes < search.limit_bytes:
                heapq.heappush(ways, (way.cost_bytes, len(way.hops), next(order), way))

    offer(_extend(_Way(cost_bytes=0, hops=()), target, artifact, search))
    fewest: dict[Sha256Hex, int] = {}
    read = 0
    while ways:
        _, hops, _, way = heapq.heappop(ways)
        if way.tree in search.trees:
            fetch = sum(search.missing_bytes(hop.delta) for hop in way.hops)
            return Route(hops=way.hops, fetch_bytes=fetch)
        # Reached before for no more bytes: only with fewer deltas is it another chance.
        if fewest.get(way.tree, MAX_HOPS) <= hops or read == _MAX_READ:
            continue
        fewest[way.tree] = hops
        read += 1
        before = search.read(way.hops[0].delta.from_version)
        if before is not None:
            for item in before.artifacts:
                if item.tree_sha256 == way.tree:
                    offer(_extend(way, before, item, search))
    return None


def _extend(way: _Way, node: Node, artifact: Artifact, search: Search) -> Iterator[_Way]:
    """Yield the way, begun one delta earlier: by each that leads to the tree it begins at."""
    for delta in node.deltas:
        hop = Hop(delta=delta, version=node.version, artifact=artifact)
        leads_here = delta.platform == artifact.platform
        if leads_here and delta.from_tree_sha256 != artifact.tree_sha256 and search.is_usable(hop):
            reading = 0 if delta.from_tree_sha256 in search.trees else _DOCUMENTS_BYTES
            cost = way.cost_bytes + search.missing_bytes(delta) + reading
            yield _Way(cost_bytes=cost, hops=(hop, *way.hops))
