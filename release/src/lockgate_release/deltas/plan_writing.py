"""Plans into bytes, in the columns that `tree_plan` tells of. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lockgate_release.deltas.listing import OldEntry
from lockgate_release.deltas.tree_plan import (
    COLUMNS,
    FILE,
    FOLDER,
    LINK,
    MAX_PLAN_BYTES,
    MAX_TEXT_BYTES,
    ORIGIN_OLD,
    ORIGIN_TWIN,
    NewEntry,
    Run,
    TreePlan,
    choose_references,
)
from lockgate_release.deltas.varints import fold, pack_varint
from lockgate_release.digests import EntryKind
from lockgate_release.errors import ArchiveError

__all__ = ["encode_plan"]


@dataclass(slots=True)
class _Writer:
    """The columns, as they grow."""

    old: Sequence[OldEntry]
    columns: dict[str, bytearray] = field(
        default_factory=lambda: {name: bytearray() for name in COLUMNS}
    )
    run: tuple[Run, int] = (Run.STAY, 0)
    last_path: bytes = b""
    last_source: int = -1
    last_model: int = -1
    text_bytes: int = 0

    def put(self, column: str, value: int) -> None:
        self.columns[column] += pack_varint(value)

    def advance(self, what: Run, count: int = 1) -> None:
        known, so_far = self.run
        if count == 0:
            return
        if known is what:
            self.run = what, so_far + count
            return
        self.end_run()
        self.run = what, count

    def end_run(self) -> None:
        what, count = self.run
        if count:
            self.put("runs", count << 2 | what)

    def add(self, number: int, entry: NewEntry) -> None:
        """Write an entry that comes."""
        match entry.kind:
            case EntryKind.DIRECTORY:
                self.put("kinds", FOLDER)
            case EntryKind.LINK:
                self.put("kinds", LINK)
            case EntryKind.FILE:
                self._add_file(number, entry)
        self._add_path(entry)
        if entry.kind is EntryKind.LINK:
            target = entry.target.encode()
            self.columns["names"] += target + b"\0"
            self.text_bytes += len(target)

    def _add_file(self, number: int, entry: NewEntry) -> None:
        origin = 0
        if entry.old is not None:
            origin = ORIGIN_OLD
            self.put("sources", fold(entry.old - self.last_source - 1))
            self.last_source = entry.old
        elif entry.twin is not None:
            origin = ORIGIN_TWIN
            self.put("sources", number - entry.twin - 1)
        else:
            self.add_size(entry)
        self.put("kinds", FILE + 2 * origin + entry.executable)

    def add_size(self, entry: NewEntry) -> None:
        model = self.old[entry.model].size_bytes if self.old else 0
        self.put("sizes", fold(entry.size_bytes - model))

    def _add_path(self, entry: NewEntry) -> None:
        path = entry.path.encode()
        head = _shared(path, self.last_path)
        model = self.old[entry.model].path.encode() if self.old else b""
        tail = _shared(path[head:][::-1], model[::-1])
        self.put("heads", head)
        self.put("models", fold(entry.model - self.last_model - 1))
        self.put("tails", tail)
        self.columns["names"] += path[head : len(path) - tail] + b"\0"
        self.last_model = entry.model
        self.text_bytes += len(path)


def _shared(one: bytes, other: bytes) -> int:
    """Return how many bytes both begin with."""
    size = min(len(one), len(other))
    if one[:size] == other[:size]:
        return size
    return next(at for at in range(size) if one[at] != other[at])


def encode_plan(plan: TreePlan, old: Sequence[OldEntry]) -> bytes:
    """Return the bytes of a plan for the tree `old`.

    Raises:
        ArchiveError: It is longer than one may be, or a name is not UTF-8.
    """
    try:
        writer = _write_columns(plan, old)
    except UnicodeEncodeError as exc:
        raise ArchiveError("name that is not UTF-8", found=ascii(exc.object[:200])) from exc
    head = [len(old), sum(entry.size_bytes for entry in old), len(plan.entries)]
    head += [len(writer.columns[name]) for name in COLUMNS]
    data = b"".join(map(pack_varint, head)) + b"".join(writer.columns.values())
    if len(data) > MAX_PLAN_BYTES or writer.text_bytes > MAX_TEXT_BYTES:
        raise ArchiveError("too many names for a delta", found=f"{writer.text_bytes} bytes")
    return data


def _write_columns(plan: TreePlan, old: Sequence[OldEntry]) -> _Writer:
    writer = _Writer(old)
    places = {entry.path: number for number, entry in enumerate(old)}
    at = 0
    for number, entry in enumerate(plan.entries):
        place = places.get(entry.path)
        what = Run.COME if place is None else _compare(old[place], place, entry)
        if place is not None:
            writer.advance(Run.GONE, place - at)
            at = place
        if what is Run.COME:
            writer.add(number, entry)
        else:
            at += 1
            if what is Run.CHANGE:
                writer.add_size(entry._replace(model=at - 1))
        writer.advance(what)
        writer.last_path = entry.path.encode()
    writer.advance(Run.GONE, len(old) - at)
    writer.end_run()
    _write_extras(writer, plan, old)
    return writer


def _compare(known: OldEntry, place: int, entry: NewEntry) -> Run:
    if (known.kind, known.executable, known.target) != (entry.kind, entry.executable, entry.target):
        return Run.COME
    if entry.is_new:
        return Run.CHANGE
    return Run.STAY if entry.old == (place if entry.kind is EntryKind.FILE else None) else Run.COME


def _write_extras(writer: _Writer, plan: TreePlan, old: Sequence[OldEntry]) -> None:
    usual = set(choose_references(old, plan.entries, ()))
    last = -1
    for number in plan.references:
        if number not in usual:
            writer.put("extras", number - last - 1)
            last = number
