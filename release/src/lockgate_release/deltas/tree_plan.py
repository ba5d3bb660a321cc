"""How a new tree comes from an old one: which entries stay, which are new, where content is from.

Pure: reads two listings, and no disk. The plan names no digest and no entry that stays: both sides
know the old listing, in the byte order of its paths, so that a number stands for thousands of them.

Bytes of a plan, all numbers as in `varints`:

1. Entries of the old tree, and bytes of its files: it is refused for another tree.
2. Entries of the new tree.
3. Sizes in bytes of the columns, and then the columns:

| column | holds |
|---|---|
| runs | `4 * count + what`, along both listings: 0 stay, 1 gone, 2 stay with new content, 3 come |
| sizes | of each file with new content, in this order: signed, less that of its model |
| kinds | for each entry that comes: 0 folder, 1 link, 2 + 2 * origin + (1 if executable) file |
| sources | origin 1: an old file, signed, less the last such + 1; origin 2: how many new entries \
lie between this one and the earlier one that it is a copy of |
| heads | for each that comes: bytes its path shares with the path of the last new entry |
| models | the old entry its path is like, signed, less the last one's + 1 |
| tails | bytes its path shares with the model's end |
| names | what stands between, and then a link's target, each ended by a NUL |
| extras | old files that stay and are of use to what is new, as gaps |

Origin 0 is new content: the next bytes that the codec yields. The model of a file that stays with
new content is itself. What the codec reads is `references`: the old files that neither stay nor
give their content to another, and the extras, in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from lockgate_release.deltas.listing import OldEntry
from lockgate_release.digests import EntryKind

__all__ = [
    "COLUMNS",
    "FILE",
    "FOLDER",
    "LINK",
    "MAX_PATH_BYTES",
    "MAX_PLAN_BYTES",
    "MAX_TEXT_BYTES",
    "ORIGIN_OLD",
    "ORIGIN_TWIN",
    "NewEntry",
    "Run",
    "TreePlan",
    "choose_references",
]

MAX_PLAN_BYTES = 16 << 20
"""The longest plan that is read or made."""
MAX_PATH_BYTES = 1024
MAX_TEXT_BYTES = 32 << 20
"""All paths of what comes, and all link targets, together: they are held in memory."""


class NewEntry(NamedTuple):
    """One entry of the tree that is to be. A tuple: there may be hundreds of thousands.

    Attributes:
        path: Relative to the tree's root, parts joined by `/`.
        kind: What it is.
        executable: Whether the file may be executed; False for everything else.
        size_bytes: A file's size, 0 for everything else.
        target: A link's target, "" for everything else.
        old: The number of the old file whose content it has, or None.
        twin: The number of the earlier new file whose content it has, or None.
        model: The old entry whose name and size are like its own. No part of the tree.
    """

    path: str
    kind: EntryKind
    executable: bool = False
    size_bytes: int = 0
    target: str = ""
    old: int | None = None
    twin: int | None = None
    model: int = 0

    @property
    def is_new(self) -> bool:
        """Whether it is a file whose content comes from the codec."""
        return self.kind is EntryKind.FILE and self.old is None and self.twin is None


@dataclass(frozen=True, slots=True, kw_only=True)
class TreePlan:
    """A whole new tree.

    Attributes:
        entries: In the byte order of their paths.
        references: The old files that the codec reads, in ascending order.
    """

    entries: tuple[NewEntry, ...]
    references: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """What its files hold."""
        return sum(entry.size_bytes for entry in self.entries)

    @property
    def new_bytes(self) -> int:
        """What comes from the codec."""
        return sum(entry.size_bytes for entry in self.entries if entry.is_new)


class Run(IntEnum):
    """What happens to so many entries, one behind the other."""

    STAY = 0
    GONE = 1
    CHANGE = 2
    COME = 3


COLUMNS = ("runs", "sizes", "kinds", "sources", "heads", "models", "tails", "names", "extras")
FOLDER, LINK, FILE = 0, 1, 2
ORIGIN_OLD, ORIGIN_TWIN = 1, 2


def choose_references(
    old: Sequence[OldEntry], entries: Sequence[NewEntry], extras: Sequence[int]
) -> tuple[int, ...]:
    """Return the numbers of the old files that the codec reads."""
    spared = {entry.old for entry in entries} - set(extras)
    return tuple(
        index
        for index, entry in enumerate(old)
        if entry.kind is EntryKind.FILE and index not in spared
    )
