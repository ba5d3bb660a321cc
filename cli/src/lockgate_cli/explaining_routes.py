"""By how many bytes clients come to a release: by its archive, one delta or several. Pure.

1. The way is found by the very search that clients use. What they have to know, they prove.
2. Versions are those at which deltas begin, the newest first, and the one that was asked about.
   Whoever has another one fetches the whole archive.
3. Deltas count that this machine could read: a client may lack an algorithm, or memory.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from typing import TypedDict

from lockgate_cli.output import format_size
from lockgate_release.deltas.routes import MAX_HOPS, Node, Search, find_route
from lockgate_release.documents import Artifact
from lockgate_release.errors import VersionError
from lockgate_release.names import Sha256Hex
from lockgate_release.versions import Version

__all__ = ["Fetching", "Way", "describe_fetching", "tell_fetching"]

_MOST_VERSIONS = 5
_MOST_READ = 12


class Way(TypedDict):
    """How a client that has a version comes to the release.

    `kind` is `full`, `delta`, or `chain` for more than one delta; `over` names what lies between.
    """

    installed: str
    kind: str
    fetch_bytes: int
    over: list[str]


class Fetching(TypedDict):
    """What clients fetch of a release. `no_deltas` says why none of them may take deltas, or ""."""

    version: str
    platform: str
    archive_bytes: int
    no_deltas: str
    ways: list[Way]


def describe_fetching(
    target: Node,
    artifact: Artifact,
    installed: str,
    *,
    read: Callable[[str], Node | None],
    order: Callable[[str], Version],
    algorithms: Collection[str],
    no_deltas: str,
) -> Fetching:
    """Return what clients of an artifact's platform fetch.

    Args:
        target: The release that is offered.
        artifact: Its file for the platform.
        installed: The version that was asked about, or "".
        read: Reads other live releases, verified.
        order: The order of versions.
        algorithms: What can be applied.
        no_deltas: Why no delta counts; "": they do.
    """
    begins = {} if no_deltas else _begins(target, artifact, read)
    begins.pop(target.version, None)
    newest = sorted(_versions(begins, order), key=order, reverse=True)[:_MOST_VERSIONS]
    named = [installed] if installed not in {"", target.version, *newest} else []

    def way_from(version: str) -> Way:
        search = Search(
            trees=begins.get(version, frozenset()),
            limit_bytes=artifact.size,
            is_usable=lambda hop: hop.delta.algorithm in algorithms,
            missing_bytes=lambda delta: delta.size,
            read=read,
        )
        route = find_route(target, artifact, search) if search.trees else None
        if route is None:
            return Way(installed=version, kind="full", fetch_bytes=artifact.size, over=[])
        kind = "delta" if len(route.hops) == 1 else "chain"
        over = [hop.version for hop in route.hops[:-1]]
        return Way(installed=version, kind=kind, fetch_bytes=route.fetch_bytes, over=over)

    return Fetching(
        version=target.version,
        platform=artifact.platform,
        archive_bytes=artifact.size,
        no_deltas=no_deltas,
        ways=[way_from(version) for version in (*named, *newest)],
    )


def _versions(names: Iterable[str], order: Callable[[str], Version]) -> Iterator[str]:
    """Yield those that are versions of this app: a delta may say that it begins at anything."""
    for name in names:
        with suppress(VersionError):
            order(name)
            yield name


def _begins(
    target: Node, artifact: Artifact, read: Callable[[str], Node | None]
) -> dict[str, frozenset[Sha256Hex]]:
    """Return the trees at which deltas that lead here begin, near or far, by version."""
    found: dict[str, frozenset[Sha256Hex]] = {}
    nodes, seen = [target], {target.version}
    for _ in range(MAX_HOPS):
        before = []
        for delta in (one for node in nodes for one in node.deltas):
            if delta.platform == artifact.platform:
                known = found.get(delta.from_version, frozenset())
                found[delta.from_version] = known | {delta.from_tree_sha256}
                before.append(delta.from_version)
        unread = [name for name in dict.fromkeys(before) if name not in seen]
        unread = unread[: _MOST_READ - len(seen)]
        seen.update(unread)
        nodes = [node for name in unread if (node := read(name)) is not None]
    return found


def tell_fetching(fetching: Fetching) -> Iterator[str]:
    """Yield it in words, a line for each version."""
    whole = format_size(fetching["archive_bytes"])
    yield f"to fetch of {fetching['version']}, {fetching['platform']}: {whole}, the whole archive"
    if fetching["no_deltas"]:
        yield f"  no delta counts: {fetching['no_deltas']}"
    for way in fetching["ways"]:
        what = {"full": "the whole archive", "delta": "one delta"}.get(
            way["kind"], f"{len(way['over']) + 1} deltas, over {', '.join(way['over'])}"
        )
        yield f"  with {way['installed']}: {format_size(way['fetch_bytes'])}, {what}"
