"""From two trees to a delta. The same two trees make the same bytes, wherever and whenever.

The libraries that find and pack what is alike are the publisher's alone: see `algorithms`.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from lockgate_release.archives.safe_tree import check_entries
from lockgate_release.deltas.algorithms import check_makeable, find_codec
from lockgate_release.deltas.borrowing import find_models
from lockgate_release.deltas.container import Head, write_head
from lockgate_release.deltas.file_bytes import FileBytes
from lockgate_release.deltas.plan_writing import encode_plan
from lockgate_release.deltas.tree_matching import match_trees, to_old_entry
from lockgate_release.deltas.tree_plan import choose_references
from lockgate_release.digests import TreeEntry, digest_file, walk_tree
from lockgate_release.names import Sha256Hex

__all__ = ["MadeDelta", "make_delta"]

_ENTRY_MEMORY_BYTES = 600
"""What applying holds for each entry of either tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeDelta:
    """A delta that was made.

    Attributes:
        algorithm: Its codec's name.
        size: Of the file, in bytes.
        sha256: Of the file.
        memory_bytes: The most that applying it takes.
        scratch_bytes: What applying it takes on the disk, beyond the delta and the new tree.
    """

    algorithm: str
    size: int
    sha256: Sha256Hex
    memory_bytes: int
    scratch_bytes: int


def make_delta(
    old: Path, new: Path, target: Path, *, algorithm: str, memory_bytes: int
) -> MadeDelta:
    """Leave at `target` what leads from the tree `old` to the tree `new`.

    Neither tree may change meanwhile. On an error nothing is left at `target`.

    Args:
        old: The folder of one tree.
        new: The folder of the other.
        target: A path where no file is.
        algorithm: The codec's name.
        memory_bytes: What making it may take, roughly.

    Raises:
        UsageError: Deltas of that algorithm cannot be made here.
        ArchiveError: The new tree breaks a rule of `SafeTree`, which is seen before anything is
            compared; or a tree holds what no archive may, or more names than fit a delta.
        OSError: Something cannot be read or written, or `target` is there.
    """
    check_makeable(algorithm)
    before, after = _list(old), _list(new)
    check_entries(after, subject=target.name)
    listing = [to_old_entry(entry) for entry in before]
    plan = match_trees(before, after)
    models = find_models(old, new, plan, listing)
    plan = replace(plan, references=choose_references(listing, plan.entries, models))
    codec = find_codec(algorithm, subject=target.name)
    head = Head(algorithm=algorithm, plan=encode_plan(plan, listing))
    old_files = [(listing[n].path, listing[n].size_bytes) for n in plan.references]
    new_files = [(entry.path, entry.size_bytes) for entry in plan.entries if entry.is_new]
    tree_bytes = max(sum(entry.size_bytes for entry in tree) for tree in (before, after))
    with (
        target.open("xb") as out,
        closing(FileBytes(old, old_files)) as old_bytes,
        closing(FileBytes(new, new_files)) as new_bytes,
    ):
        try:
            write_head(head, out)
            codec.encode(
                old_bytes, new_bytes, out, memory_bytes=memory_bytes, tree_bytes=tree_bytes
            )
        except BaseException:
            target.unlink()
            raise
    entries = len(before) + len(after)
    codec_bytes = codec.decode_memory_bytes(old_bytes.size, new_bytes.size)
    return MadeDelta(
        algorithm=algorithm,
        size=target.stat().st_size,
        sha256=digest_file(target),
        memory_bytes=codec_bytes + len(head.plan) + _ENTRY_MEMORY_BYTES * entries,
        scratch_bytes=0,
    )


def _list(root: Path) -> list[TreeEntry]:
    return sorted(walk_tree(root), key=lambda entry: entry.path.encode("utf-8", "surrogateescape"))
