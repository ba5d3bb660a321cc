"""From which releases deltas lead to what is offered, as people and commands read it.

Counted are direct deltas, of whatever platform. Writes nothing.
"""

from __future__ import annotations

from contextlib import suppress

from lockgate_release.documents import ChannelDocument, parse_extras
from lockgate_release.errors import RepositoryError
from lockgate_release.layout import extras_path
from lockgate_release.strict_json import JsonObject
from lockgate_server.services.write.base import Base, read_target
from lockgate_server.services.write.deps import WriteDeps

__all__ = ["describe_deltas"]

_RECENT = 5


def describe_deltas(deps: WriteDeps, base: Base) -> list[JsonObject]:
    """Return for each channel which of the last releases before its newest have deltas to that.

    A release whose extras cannot be read or verified is left out: others say so.

    Raises:
        TransportError: The store cannot be reached.
    """
    known: dict[str, frozenset[str]] = {}
    found: list[JsonObject] = []
    for name, document in sorted(base.channels.items()):
        newest = _newest(base, document)
        recent = [] if newest is None else _before(base, document, newest[0])
        if newest is None or not recent:
            continue
        version, path = newest
        with suppress(RepositoryError):
            if path not in known:
                known[path] = _sources(deps, base, version, path)
            covered = [one for one in recent if one in known[path]]
            found.append(
                {
                    "channel": name,
                    "version": version,
                    "recent": list(recent),
                    "with_delta": list(covered),
                }
            )
    return found


def _newest(base: Base, document: ChannelDocument) -> tuple[str, str] | None:
    """Return the newest version that a channel offers, and the path of its document."""
    order = base.policy.versions.parse
    offers = sorted(document.offers, key=lambda offer: order(offer.version))
    return (offers[-1].version, offers[-1].path) if offers else None


def _before(base: Base, document: ChannelDocument, version: str) -> list[str]:
    """Return the last releases before one that the channel may have offered, newest first."""
    order = base.policy.versions.parse
    versions = [
        entry.version
        for entry in base.chain.entries().values()
        if document.channel in entry.channels and order(entry.version) < order(version)
    ]
    return sorted(versions, key=order, reverse=True)[:_RECENT]


def _sources(deps: WriteDeps, base: Base, version: str, path: str) -> frozenset[str]:
    """Return the versions at which deltas to a release begin."""
    extras = extras_path(version, folder=path.split("/", 1)[0])
    target = base.chain.target(extras)
    if target is None:
        return frozenset()
    data = read_target(deps.store, base.app, extras, target)
    return frozenset(delta.from_version for delta in parse_extras(data, subject=extras).deltas)
