"""Where each entry of a new tree comes from, found by comparing two listings. Pure.

1. A file of the same content is copied: from its own path, else from where its neighbours came.
2. A file whose content stands twice in the new tree is made once.
3. All other content is new, and goes through the codec with the old files that are of no other use.
4. An entry whose path is new takes the old entry that it is most like as a model for its name:
   what lay in the folder that its own was called before, or has the same name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from lockgate_release.deltas.listing import OldEntry
from lockgate_release.deltas.tree_plan import NewEntry, TreePlan, choose_references
from lockgate_release.digests import EntryKind, TreeEntry

__all__ = ["match_trees", "to_old_entry"]


def to_old_entry(entry: TreeEntry) -> OldEntry:
    """Return what a client sees of an entry without reading it."""
    target = entry.value if entry.kind is EntryKind.LINK else ""
    return OldEntry(entry.path, entry.kind, entry.executable, entry.size_bytes, target)


def match_trees(old: Sequence[TreeEntry], new: Sequence[TreeEntry]) -> TreePlan:
    """Return how the tree `new` comes from the tree `old`.

    Args:
        old: All entries, in the byte order of their paths.
        new: The same of the other tree.
    """
    matching = _Matching(old, new)
    entries = tuple(matching.place(number, entry) for number, entry in enumerate(new))
    listing = [to_old_entry(entry) for entry in old]
    return TreePlan(entries=entries, references=choose_references(listing, entries, ()))


@dataclass(slots=True)
class _Matching:
    """What is known of both trees while the new one is gone through."""

    old: Sequence[TreeEntry]
    new: Sequence[TreeEntry]
    places: dict[str, int] = field(init=False)
    by_content: dict[str, list[int]] = field(init=False)
    gone_by_name: dict[tuple[EntryKind, str], list[int]] = field(init=False)
    gone_by_folder: dict[tuple[EntryKind, str], list[int]] = field(init=False)
    came_from: dict[str, str] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    last_model: int = -1

    def __post_init__(self) -> None:
        self.places = {entry.path: number for number, entry in enumerate(self.old)}
        self.by_content = defaultdict(list)
        self.gone_by_name, self.gone_by_folder = defaultdict(list), defaultdict(list)
        stays = {entry.path for entry in self.new}
        # From behind, so that what is taken from the end of a list is the first.
        for number in reversed(range(len(self.old))):
            entry = self.old[number]
            if entry.kind is EntryKind.FILE:
                self.by_content[entry.value].append(number)
            if entry.path not in stays:
                folder, _, name = entry.path.rpartition("/")
                self.gone_by_name[entry.kind, name].append(number)
                self.gone_by_folder[entry.kind, folder].append(number)

    def place(self, number: int, entry: TreeEntry) -> NewEntry:
        """Return an entry with its source."""
        place = self.places.get(entry.path)
        known = self.old[place] if place is not None else None
        if entry.kind is not EntryKind.FILE:
            target = entry.value if entry.kind is EntryKind.LINK else ""
            model = place if place is not None else self._model(entry)
            self._remember(entry, model)
            return NewEntry(entry.path, entry.kind, target=target, model=model)
        source, twin = self._source(entry, place), None
        if source is None:
            twin = self.made.get(entry.value)
            if twin is None:
                self.made[entry.value] = number
        if source is not None:
            model = source
        elif known is not None and known.kind is EntryKind.FILE and place is not None:
            model = place
        else:
            model = self._model(entry)
        self._remember(entry, model)
        return NewEntry(
            entry.path,
            entry.kind,
            entry.executable,
            entry.size_bytes,
            old=source,
            twin=twin,
            model=model,
        )

    def _source(self, entry: TreeEntry, place: int | None) -> int | None:
        """Return the old file that has the same content: the likeliest, where there are many."""
        found = self.by_content.get(entry.value)
        if not found:
            return None
        for likely in (place, self.places.get(self._former(entry.path))):
            if likely is None or self.old[likely].kind is not EntryKind.FILE:
                continue  # A link's value is its target, which may look like a digest.
            if self.old[likely].value == entry.value:
                return likely
        return found[-1]

    def _former(self, path: str) -> str:
        """Return what the path was called before, if its folder has only got another name."""
        folder, _, name = path.rpartition("/")
        known = self.came_from.get(folder, folder)
        return f"{known}/{name}" if known else name

    def _model(self, entry: TreeEntry) -> int:
        former = self.places.get(self._former(entry.path))
        if former is not None and self.old[former].kind is entry.kind:
            return former
        folder, _, name = entry.path.rpartition("/")
        for gone in (
            self.gone_by_name.get((entry.kind, name)),
            self.gone_by_folder.get((entry.kind, self.came_from.get(folder, folder))),
        ):
            if gone:
                return gone.pop()
        return min(self.last_model + 1, max(len(self.old) - 1, 0))

    def _remember(self, entry: TreeEntry, model: int) -> None:
        """Keep which old folder an entry's folder was, by the first entry that tells."""
        self.last_model = model
        if not self.old:
            return
        if entry.kind is EntryKind.DIRECTORY:
            self.came_from.setdefault(entry.path, self.old[model].path)
            return
        folder, known = entry.path.rpartition("/")[0], self.old[model].path.rpartition("/")[0]
        self.came_from.setdefault(folder, known)
