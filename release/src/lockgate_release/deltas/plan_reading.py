"""Bytes into plans. They may be an enemy's: nothing is made before all is checked. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lockgate_release.archives.safe_tree import Limits
from lockgate_release.deltas.listing import OldEntry
from lockgate_release.deltas.tree_plan import (
    COLUMNS,
    FILE,
    LINK,
    MAX_PATH_BYTES,
    MAX_PLAN_BYTES,
    MAX_TEXT_BYTES,
    ORIGIN_OLD,
    ORIGIN_TWIN,
    NewEntry,
    Run,
    TreePlan,
    choose_references,
)
from lockgate_release.deltas.varints import VarintReader
from lockgate_release.digests import EntryKind
from lockgate_release.errors import ArchiveError

__all__ = ["decode_plan"]

_MAX_SIZE_BYTES = 1 << 48
_MAX_ENTRIES = 1 << 32


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
        sizes = [head.number(MAX_PLAN_BYTES) for _ in COLUMNS]
        self._columns = {
            name: VarintReader(head.piece(size), subject=subject)
            for name, size in zip(COLUMNS[:7], sizes[:7], strict=True)
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
            what, count = Run(value & 3), value >> 2
            if what is Run.COME:
                self._expect(count)
                for _ in range(count):
                    self._come()
                continue
            if count > len(self._old) - at:
                raise self._refuse("more entries than the old tree has", f"{count}")
            if what is not Run.GONE:
                self._expect(count)
                if what is Run.STAY:
                    self._stay(at, at + count)
                else:
                    for number in range(at, at + count):
                        self._change(number)
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
        if names.count(b"\0") > 2 * self._count:  # Before each of them becomes an object.
            raise self._refuse("more names than entries", "")
        return iter(names.split(b"\0")[:-1])

    def _expect(self, count: int) -> None:
        if count > self._count - len(self._entries):
            raise self._refuse("more entries than announced", f"{count}")

    def _append(self, entry: NewEntry) -> None:
        self._entries.append(entry)
        self._count_bytes(entry.size_bytes, entry.path)

    def _count_bytes(self, size_bytes: int, path: str) -> None:
        self._size_bytes += size_bytes
        if self._size_bytes > self._limits.size_bytes:
            raise ArchiveError(
                "leads to more than it may",
                subject=self._subject,
                expected=f"at most {self._limits.size_bytes} bytes",
                found=f"more, at {path[:200]!a}",
            )

    def _stay(self, start: int, end: int) -> None:
        """Take entries as they are: nearly all of a tree, so it is done at one go."""
        if start == end:
            return
        stays = self._old[start:end]
        is_file = EntryKind.FILE
        self._entries += [
            NewEntry(
                path,
                kind,
                executable,
                size_bytes,
                target,
                at if kind is is_file else None,
                None,
                at,
            )
            for at, (path, kind, executable, size_bytes, target) in enumerate(stays, start)
        ]
        last = stays[-1].path
        self._last_path = last.encode("utf-8", "surrogateescape")
        self._count_bytes(sum(entry.size_bytes for entry in stays), last)

    def _change(self, number: int) -> None:
        path, kind, executable, _, _ = self._old[number]
        if kind is not EntryKind.FILE:
            raise self._refuse("new content for what is no file", ascii(path[:200]))
        self._last_path = path.encode("utf-8", "surrogateescape")
        size_bytes = self._size(number)
        self._append(NewEntry(path, kind, executable, size_bytes, model=number))

    def _come(self) -> None:
        number = len(self._entries)
        kind = self._columns["kinds"].number(FILE + 2 * ORIGIN_TWIN + 1)
        path, model = self._path()
        if kind < FILE:
            target = self._text(self._name()) if kind == LINK else ""
            what = EntryKind.LINK if kind == LINK else EntryKind.DIRECTORY
            self._append(NewEntry(path, what, target=target, model=model))
            return
        origin, executable = divmod(kind - FILE, 2)
        old = twin = None
        if origin == ORIGIN_OLD:
            old = self._source()
            size_bytes = self._old[old].size_bytes
        elif origin == ORIGIN_TWIN:
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
            columns["heads"].number(MAX_PATH_BYTES),
            columns["tails"].number(MAX_PATH_BYTES),
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
        if len(data) > MAX_PATH_BYTES or self._text_bytes > MAX_TEXT_BYTES:
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
