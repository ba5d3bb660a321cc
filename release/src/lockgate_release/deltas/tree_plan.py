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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from lockgate_release.archives.safe_tree import Limits
from lockgate_release.deltas.listing import OldEntry
from lockgate_release.deltas.varints import VarintReader, fold, pack_varint
from lockgate_release.digests import EntryKind
from lockgate_release.errors import ArchiveError

__all__ = ["MAX_PLAN_BYTES", "NewEntry", "TreePlan", "decode_plan", "encode_plan"]

MAX_PLAN_BYTES = 16 << 20
"""The longest plan that is read or made."""
_MAX_PATH_BYTES = 1024
_MAX_TEXT_BYTES = 32 << 20
"""All paths of what comes, and all link targets, together: they are held in memory."""
_MAX_SIZE_BYTES = 1 << 48
_MAX_ENTRIES = 1 << 32


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


class _Run(IntEnum):
    STAY = 0
    GONE = 1
    CHANGE = 2
    COME = 3


_COLUMNS = ("runs", "sizes", "kinds", "sources", "heads", "models", "tails", "names", "extras")
_FOLDER, _LINK, _FILE = 0, 1, 2
_ORIGIN_OLD, _ORIGIN_TWIN = 1, 2


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


# -- Writing ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Writer:
    """The columns, as they grow."""

    old: Sequence[OldEntry]
    columns: dict[str, bytearray] = field(
        default_factory=lambda: {name: bytearray() for name in _COLUMNS}
    )
    run: tuple[_Run, int] = (_Run.STAY, 0)
    last_path: bytes = b""
    last_source: int = -1
    last_model: int = -1

    def put(self, column: str, value: int) -> None:
        self.columns[column] += pack_varint(value)

    def advance(self, what: _Run, count: int = 1) -> None:
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
                self.put("kinds", _FOLDER)
            case EntryKind.LINK:
                self.put("kinds", _LINK)
            case EntryKind.FILE:
                self._add_file(number, entry)
        self._add_path(entry)
        if entry.kind is EntryKind.LINK:
            self.columns["names"] += entry.target.encode() + b"\0"

    def _add_file(self, number: int, entry: NewEntry) -> None:
        origin = 0
        if entry.old is not None:
            origin = _ORIGIN_OLD
            self.put("sources", fold(entry.old - self.last_source - 1))
            self.last_source = entry.old
        elif entry.twin is not None:
            origin = _ORIGIN_TWIN
            self.put("sources", number - entry.twin - 1)
        else:
            self.add_size(entry)
        self.put("kinds", _FILE + 2 * origin + entry.executable)

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
    head += [len(writer.columns[name]) for name in _COLUMNS]
    data = b"".join(map(pack_varint, head)) + b"".join(writer.columns.values())
    texts = sum(len(entry.path) + len(entry.target) for entry in plan.entries)
    if len(data) > MAX_PLAN_BYTES or 4 * texts > 4 * _MAX_TEXT_BYTES:
        raise ArchiveError("too many names for a delta", found=f"{texts} letters")
    return data


def _write_columns(plan: TreePlan, old: Sequence[OldEntry]) -> _Writer:
    writer = _Writer(old)
    places = {entry.path: number for number, entry in enumerate(old)}
    at = 0
    for number, entry in enumerate(plan.entries):
        place = places.get(entry.path)
        what = _Run.COME if place is None else _compare(old[place], place, entry)
        if place is not None:
            writer.advance(_Run.GONE, place - at)
            at = place
        if what is _Run.COME:
            writer.add(number, entry)
        else:
            at += 1
            if what is _Run.CHANGE:
                writer.add_size(entry._replace(model=at - 1))
        writer.advance(what)
        writer.last_path = entry.path.encode()
    writer.advance(_Run.GONE, len(old) - at)
    writer.end_run()
    _write_extras(writer, plan, old)
    return writer


def _compare(known: OldEntry, place: int, entry: NewEntry) -> _Run:
    if (known.kind, known.executable, known.target) != (entry.kind, entry.executable, entry.target):
        return _Run.COME
    if entry.is_new:
        return _Run.CHANGE
    return (
        _Run.STAY if entry.old == (place if entry.kind is EntryKind.FILE else None) else _Run.COME
    )


def _write_extras(writer: _Writer, plan: TreePlan, old: Sequence[OldEntry]) -> None:
    usual = set(choose_references(old, plan.entries, ()))
    last = -1
    for number in plan.references:
        if number not in usual:
            writer.put("extras", number - last - 1)
            last = number


# -- Reading ----------------------------------------------------------------------------------


def decode_plan(data: bytes, old: Sequence[OldEntry], *, limits: Limits, subject: str) -> TreePlan:
    """Return the plan that is written in `data`, which nobody trusts, for the tree `old`.

    Args:
        data: The plan.
        old: The tree that is there.
        limits: What the new tree may hold, checked before anything is made of it.
        subject: The delta, for messages.

    Raises:
        ArchiveError: It is damaged, or for another tree, or leads to a tree beyond the limits.
    """
    return _Decoder(data, old, limits, subject).decode()


class _Decoder:
    """One reading of one plan."""

    def __init__(self, data: bytes, old: Sequence[OldEntry], limits: Limits, subject: str) -> None:
        self._old = old
        self._limits = limits
        self._subject = subject
        head = VarintReader(data, subject=subject)
        self._check_old(head.number(_MAX_ENTRIES), head.number(_MAX_SIZE_BYTES))
        self._count = head.number(_MAX_ENTRIES)
        if self._count > limits.entries:
            raise self._refuse("holds more entries than it may", f"{self._count}")
        sizes = [head.number(MAX_PLAN_BYTES) for _ in _COLUMNS]
        self._columns = {
            name: VarintReader(head.piece(size), subject=subject)
            for name, size in zip(_COLUMNS[:7], sizes[:7], strict=True)
        }
        self._names = self._cut(head.piece(sizes[7]))
        self._columns["extras"] = VarintReader(head.piece(sizes[8]), subject=subject)
        if not head.is_at_end:
            raise self._refuse("bytes after its end", "")
        self._entries: list[NewEntry] = []
        self._size_bytes = 0
        self._text_bytes = 0
        self._last_path = b""
        self._last_source = -1
        self._last_model = -1

    def decode(self) -> TreePlan:
        """Return the plan."""
        at = 0
        runs = self._columns["runs"]
        while not runs.is_at_end:
            value = runs.number(4 * _MAX_ENTRIES)
            what, count = _Run(value & 3), value >> 2
            if what is _Run.COME:
                self._expect(count)
                for _ in range(count):
                    self._come()
                continue
            if count > len(self._old) - at:
                raise self._refuse("more entries than the old tree has", f"{count}")
            if what is not _Run.GONE:
                self._expect(count)
                for number in range(at, at + count):
                    self._keep(number, with_new_content=what is _Run.CHANGE)
            at += count
        if at != len(self._old) or len(self._entries) != self._count:
            raise self._refuse("not as many entries as announced", f"{len(self._entries)}")
        references = self._references()
        if next(self._names, None) is not None or not all(
            column.is_at_end for column in self._columns.values()
        ):
            raise self._refuse("more numbers than entries", "")
        return TreePlan(entries=tuple(self._entries), references=references)

    def _check_old(self, entries: int, size_bytes: int) -> None:
        found = len(self._old), sum(entry.size_bytes for entry in self._old)
        if (entries, size_bytes) != found:
            raise ArchiveError(
                "made for another tree than the one that is there",
                subject=self._subject,
                expected=f"{entries} entries and {size_bytes} bytes",
                found=f"{found[0]} entries and {found[1]} bytes",
            )

    def _refuse(self, what: str, found: str) -> ArchiveError:
        return ArchiveError(what, subject=self._subject, found=found)

    def _cut(self, names: bytes) -> Iterator[bytes]:
        if names and not names.endswith(b"\0"):
            raise self._refuse("a name without its end", "")
        return iter(names.split(b"\0")[:-1])

    def _expect(self, count: int) -> None:
        if count > self._count - len(self._entries):
            raise self._refuse("more entries than announced", f"{count}")

    def _append(self, entry: NewEntry) -> None:
        self._entries.append(entry)
        self._size_bytes += entry.size_bytes
        if self._size_bytes > self._limits.size_bytes:
            raise ArchiveError(
                "leads to more than it may",
                subject=self._subject,
                expected=f"at most {self._limits.size_bytes} bytes",
                found=f"more, at {entry.path[:200]!a}",
            )

    def _keep(self, number: int, *, with_new_content: bool) -> None:
        known = self._old[number]
        path, kind, executable, size_bytes, target = known
        source = number if kind is EntryKind.FILE else None
        if with_new_content:
            if source is None:
                raise self._refuse("new content for what is no file", ascii(path[:200]))
            source, size_bytes = None, self._size(number)
        self._last_path = path.encode("utf-8", "surrogateescape")
        self._append(NewEntry(path, kind, executable, size_bytes, target, source, model=number))

    def _come(self) -> None:
        number = len(self._entries)
        kind = self._columns["kinds"].number(_FILE + 2 * _ORIGIN_TWIN + 1)
        path, model = self._path()
        if kind < _FILE:
            target = self._text(self._name()) if kind == _LINK else ""
            what = EntryKind.LINK if kind == _LINK else EntryKind.DIRECTORY
            self._append(NewEntry(path, what, target=target, model=model))
            return
        origin, executable = divmod(kind - _FILE, 2)
        old = twin = None
        if origin == _ORIGIN_OLD:
            old = self._source()
            size_bytes = self._old[old].size_bytes
        elif origin == _ORIGIN_TWIN:
            twin = number - 1 - self._columns["sources"].number(_MAX_ENTRIES)
            size_bytes = self._twin(twin).size_bytes
        else:
            size_bytes = self._size(model)
        self._append(
            NewEntry(path, EntryKind.FILE, bool(executable), size_bytes, "", old, twin, model)
        )

    def _size(self, model: int) -> int:
        base = self._old[model].size_bytes if self._old else 0
        size_bytes = base + self._columns["sizes"].signed(_MAX_SIZE_BYTES)
        if size_bytes < 0:
            raise self._refuse("a size below nothing", str(size_bytes))
        return size_bytes

    def _source(self) -> int:
        self._last_source += 1 + self._columns["sources"].signed(_MAX_ENTRIES)
        number = self._last_source
        if not 0 <= number < len(self._old) or self._old[number].kind is not EntryKind.FILE:
            raise self._refuse("content of what is no old file", str(number))
        return number

    def _twin(self, number: int) -> NewEntry:
        if number < 0 or not self._entries[number].is_new:
            raise self._refuse("content of what is no new file", str(number))
        return self._entries[number]

    def _path(self) -> tuple[str, int]:
        columns = self._columns
        head, tail = (
            columns["heads"].number(_MAX_PATH_BYTES),
            columns["tails"].number(_MAX_PATH_BYTES),
        )
        model = self._last_model + 1 + columns["models"].signed(_MAX_ENTRIES)
        if not 0 <= model < max(len(self._old), 1):
            raise self._refuse("a name like that of no old entry", str(model))
        self._last_model = model
        like = self._old[model].path.encode("utf-8", "surrogateescape") if self._old else b""
        if head > len(self._last_path) or tail > len(like):
            raise self._refuse("a name that is like a longer part than there is", f"{head}, {tail}")
        path = self._last_path[:head] + self._name() + like[len(like) - tail :]
        self._last_path = path
        return self._text(path), model

    def _name(self) -> bytes:
        name = next(self._names, None)
        if name is None:
            raise self._refuse("fewer names than entries", "")
        return name

    def _text(self, data: bytes) -> str:
        self._text_bytes += len(data)
        if len(data) > _MAX_PATH_BYTES or self._text_bytes > _MAX_TEXT_BYTES:
            raise self._refuse("names that are too long", ascii(data[:200]))
        try:
            return data.decode()
        except UnicodeDecodeError as exc:
            raise self._refuse("name that is not UTF-8", ascii(data[:200])) from exc

    def _references(self) -> tuple[int, ...]:
        extras: list[int] = []
        column = self._columns["extras"]
        last = -1
        while not column.is_at_end:
            last += 1 + column.number(_MAX_ENTRIES)
            if last >= len(self._old) or self._old[last].kind is not EntryKind.FILE:
                raise self._refuse("reads what is no old file", str(last))
            extras.append(last)
        return choose_references(self._old, self._entries, extras)
