"""What is live, in whatever list it stands: each role of releases has one of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tuf.api.metadata import TargetFile, Targets

from lockgate_release.documents import ReleaseEntry
from lockgate_release.names import ChannelName
from lockgate_release.versions import Version
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.publishing import ReleaseList, read_list

__all__ = ["Live", "all_live", "list_before", "others_than"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Everything that is live, in whatever list it stands.

    Attributes:
        entries: The publishers' mark of each release, by the path of its document.
        targets: The entry of each document, by its path.
    """

    entries: Mapping[str, ReleaseEntry]
    targets: Mapping[str, TargetFile]

    def find(self, version: str) -> tuple[str, ReleaseEntry] | None:
        """Return path and mark of a live release."""
        for path, entry in self.entries.items():
            if entry.version == version:
                return path, entry
        return None

    def floor_of(self, channel: ChannelName, parse: Callable[[str], Version]) -> Version | None:
        """Return the channel's floor: the highest that any list holds for it."""
        floors = {
            entry.floors[channel] for entry in self.entries.values() if channel in entry.floors
        }
        return max(map(parse, floors), default=None)


def all_live(base: Base, live: ReleaseList | None = None) -> Live:
    """Return everything that is live once `live` is in force in the place of its role's list."""
    lists = {role: held.signed for role, held in base.chain.lists.items()}
    entries = dict(base.chain.entries())
    if live is not None:
        lists[live.role] = live.signed
        folder = f"{live.role}/"
        entries = {path: mark for path, mark in entries.items() if not path.startswith(folder)}
        entries.update(live.entries)
    targets = {path: target for signed in lists.values() for path, target in signed.targets.items()}
    return Live(entries=entries, targets=targets)


def list_before(base: Base, role: str) -> ReleaseList:
    """Return the list of a role in force; an empty one before its first."""
    held = base.chain.list_of(role)
    return read_list(held.signed if held else Targets(), role=role)


def others_than(base: Base, role: str) -> tuple[ReleaseEntry, ...]:
    """Return the marks of what is live in the lists of other roles."""
    entries = base.chain.entries()
    return tuple(mark for path, mark in entries.items() if not path.startswith(f"{role}/"))
