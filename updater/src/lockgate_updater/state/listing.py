"""What each tree must hold, entry by entry, and how the tree on the disk differs from it.

A tree's canonical listing (`lockgate_release.digests`) is kept beside its receipt. Its SHA-256 is
the tree's signed digest, so it proves itself: one that is damaged or missing counts as none, and
can be made again from the signed artifact. Reads the disk; writes listings only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lockgate_release.digests import EntryKind, TreeEntry, digest_file, parse_listing
from lockgate_release.errors import ArchiveError, DigestMismatchError, LocalError
from lockgate_updater.state.durable import local_errors, read_own_file
from lockgate_updater.state.home import Home
from lockgate_updater.state.proof import prove_tree
from lockgate_updater.state.receipts import Receipt

__all__ = [
    "Difference",
    "DifferenceKind",
    "TreeDiffersError",
    "compare_tree",
    "examine_tree",
    "listing_path",
    "load_listing",
    "store_listing",
]

_MAX_LISTING_BYTES = 256 << 20
_SHOWN = 5
_EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_EXECUTABLE = 0o111
_SET_ID = stat.S_ISUID | stat.S_ISGID


class DifferenceKind(StrEnum):
    """In what an entry of a tree is not what was signed."""

    MISSING = "missing"
    CHANGED = "changed"
    """Another content, or one that cannot be read."""
    EXTRA = "extra"
    """Not signed at all; what lies below an extra folder is not named."""
    MODE = "mode"
    """The right content, but executable where it must not be, or the other way round."""
    LINK = "link"
    """A link with another target."""
    KIND = "kind"
    """A file where a folder must be, and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One entry of a tree that is not what was signed.

    Attributes:
        path: Relative to the tree, parts joined by `/`.
        kind: In what it differs.
    """

    path: str
    kind: DifferenceKind

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.kind.value} {self.path}"


class TreeDiffersError(DigestMismatchError):
    """A tree on the disk is not the one that was signed, and it is known in what it differs.

    Attributes:
        differences: Every entry that differs, in the order of their paths.
    """

    def __init__(self, tree: Path, differences: tuple[Difference, ...], *, expected: str) -> None:
        """Name the first few in the sentence."""
        named = ", ".join(str(item) for item in differences[:_SHOWN])
        more = len(differences) - _SHOWN
        super().__init__(
            "not the tree that was signed",
            subject=str(tree),
            expected=expected,
            found=f"{named}{f' and {more} more' if more > 0 else ''}",
            hint="Bring it back with: lockgate-updater repair.",
        )
        self.differences = differences


def listing_path(home: Home, folder: str) -> Path:
    """Return where the listing of the tree called `folder` is kept."""
    return home.receipts / f"{folder}.tree"


def store_listing(home: Home, folder: str, data: bytes) -> None:
    """Leave the listing in its place, not yet safe from a power cut: it proves itself when read.

    Raises:
        LocalError: It cannot be written.
    """
    path = listing_path(home, folder)
    temporary = path.with_name(f".{path.name}.new")
    with local_errors("cannot be written", path):
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as stream:
            stream.write(data)
        temporary.replace(path)


def load_listing(home: Home, receipt: Receipt) -> tuple[TreeEntry, ...] | None:
    """Return what the tree must hold, or None if its listing is missing or damaged."""
    path = listing_path(home, receipt.folder)
    try:
        data = read_own_file(path, limit_bytes=_MAX_LISTING_BYTES)
        if data is None:
            return None
        return parse_listing(data, sha256=receipt.tree_sha256, subject=str(path))
    except (LocalError, DigestMismatchError, ArchiveError):
        return None


def examine_tree(home: Home, receipt: Receipt) -> None:
    """Read the whole tree and hold it to what was signed; say what differs where that is known.

    Raises:
        TreeDiffersError: It is another tree; its differences are known.
        DigestMismatchError: It is another tree, and there is no listing to compare it with.
        LocalError: It cannot be read.
    """
    entries = load_listing(home, receipt)
    if entries is None:
        prove_tree(home, receipt)
        return
    tree = home.tree(receipt.folder)
    differences = compare_tree(tree, entries)
    if differences:
        raise TreeDiffersError(tree, differences, expected=receipt.tree_sha256)


def compare_tree(
    tree: Path, entries: Iterable[TreeEntry], *, reads_files: bool = True
) -> tuple[Difference, ...]:
    """Return every entry of the tree that is not what was signed, in the order of their paths.

    A tree without differences has the signed digest. No link is followed; what cannot be read
    counts as changed.

    Args:
        tree: The folder of the tree.
        entries: What it must hold.
        reads_files: False compares names, kinds, modes and links, but no content of files.

    Raises:
        LocalError: The tree itself cannot be read.
    """
    wanted = {entry.path: entry for entry in entries}
    found: dict[str, DifferenceKind | None] = {}
    with local_errors("cannot be read", tree):
        next(tree.iterdir(), None)
    for path, status in _walk(tree, wanted):
        entry = wanted.get(path)
        found[path] = _judge(tree / path, status, entry, reads_files=reads_files)
    differences = [
        Difference(path=path, kind=kind) for path, kind in found.items() if kind is not None
    ]
    differences += [
        Difference(path=path, kind=DifferenceKind.MISSING) for path in wanted if path not in found
    ]
    return tuple(sorted(differences, key=lambda item: item.path))


def _walk(tree: Path, wanted: Mapping[str, TreeEntry]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield what is there; only folders that must be there are entered."""
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            items = list(os.scandir(tree / folder))
        except OSError:
            continue  # What must be below it counts as missing.
        for item in items:
            path = f"{folder}/{item.name}" if folder else item.name
            status = item.stat(follow_symlinks=False)
            entry = wanted.get(path)
            is_wanted = entry is not None and entry.kind is EntryKind.DIRECTORY
            if is_wanted and stat.S_ISDIR(status.st_mode):
                pending.append(path)
            yield path, status


def _judge(
    path: Path, status: os.stat_result, entry: TreeEntry | None, *, reads_files: bool
) -> DifferenceKind | None:
    if entry is None:
        return DifferenceKind.EXTRA
    if _kind_of(status.st_mode) is not entry.kind:
        return DifferenceKind.KIND
    match entry.kind:
        case EntryKind.DIRECTORY:
            return None
        case EntryKind.LINK:
            is_right = os.readlink(path) == entry.value  # noqa: PTH115 (the link's own words)
            return None if is_right else DifferenceKind.LINK
        case EntryKind.FILE:
            return _judge_file(path, status, entry, reads_files=reads_files)


def _judge_file(
    path: Path, status: os.stat_result, entry: TreeEntry, *, reads_files: bool
) -> DifferenceKind | None:
    is_empty, must_be_empty = status.st_size == 0, entry.value == _EMPTY_SHA256
    if is_empty is not must_be_empty:
        return DifferenceKind.CHANGED
    if reads_files:
        try:
            if digest_file(path) != entry.value:
                return DifferenceKind.CHANGED
        except OSError:
            return DifferenceKind.CHANGED
    is_executable = bool(status.st_mode & _EXECUTABLE)
    if is_executable is not entry.executable or status.st_mode & _SET_ID:
        return DifferenceKind.MODE
    return None


def _kind_of(mode: int) -> EntryKind | None:
    if stat.S_ISLNK(mode):
        return EntryKind.LINK
    if stat.S_ISDIR(mode):
        return EntryKind.DIRECTORY
    return EntryKind.FILE if stat.S_ISREG(mode) else None
