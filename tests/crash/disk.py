"""A model of a disk: files, folders and names, and the changes that a log of calls makes to them.

A name and what it leads to are two things here, as they are on a disk: content can be lost while
its name stays, and the other way round.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from tests.crash.shim import UMASK, Call

__all__ = ["Change", "Content", "Disk", "Mark", "Names", "Sync", "interpret"]

_ROOT = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    """A file, a folder or a link: what is the same under every name. Disks share their nodes."""

    mode: int
    data: bytes = b""
    names: Mapping[str, int] = field(default_factory=dict)
    target: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """Names in folders are given to nodes, or taken away (None): all at once or not at all."""

    entries: tuple[tuple[int, str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes are written into a file; `data` None cuts it (or stretches it) to `offset`."""

    node: int
    offset: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A node gets another mode."""

    node: int
    mode: int


@dataclass(frozen=True, slots=True)
class Sync:
    """A node is brought to the disk, or everything (None)."""

    node: int | None


Change: TypeAlias = Names | Content | Mark | Sync
_Reader: TypeAlias = "Callable[[Call, Disk, Disk], list[Change]]"


class Disk:
    """Nodes and their names. Nodes that no name leads to are there, but cannot be seen."""

    def __init__(self) -> None:
        self._nodes = {_ROOT: _Node(mode=stat.S_IFDIR | 0o700)}

    @classmethod
    def load(cls, folder: Path) -> Disk:
        """Read a folder that exists, or begin with an empty one."""
        disk = cls()
        if folder.exists():
            disk._load(folder, _ROOT)
        return disk

    def _load(self, folder: Path, node: int) -> None:
        names = {}
        for path in sorted(folder.iterdir()):
            names[path.name] = child = self.add(path.lstat().st_mode)
            if path.is_symlink():
                self._alter(child, target=str(path.readlink()))
            elif path.is_dir():
                self._load(path, child)
            else:
                self._alter(child, data=path.read_bytes())
        self._alter(node, mode=folder.stat().st_mode, names=names)

    def _alter(self, node: int, **fields: Any) -> None:
        self._nodes[node] = replace(self._nodes[node], **fields)

    def add(self, mode: int, target: str = "") -> int:
        """A new node that no name leads to yet."""
        node = len(self._nodes)
        self._nodes[node] = _Node(mode=mode, target=target)
        return node

    def find(self, path: str) -> int:
        """The node that a path leads to."""
        node = _ROOT
        for name in PurePosixPath(path).parts:
            node = self._nodes[node].names[name]
        return node

    def apply(self, change: Change) -> None:
        """Do what a change says."""
        match change:
            case Names(entries):
                for folder, name, node in entries:
                    others = {at: to for at, to in self._nodes[folder].names.items() if at != name}
                    self._alter(folder, names=others if node is None else {**others, name: node})
            case Content(node, offset, None):
                self._alter(node, data=self._nodes[node].data[:offset].ljust(offset, b"\0"))
            case Content(node, offset, bytes() as written):
                data = self._nodes[node].data.ljust(offset, b"\0")
                self._alter(node, data=data[:offset] + written + data[offset + len(written) :])
            case Mark(node, mode):
                self._alter(node, mode=stat.S_IFMT(self._nodes[node].mode) | mode)
            case Sync():
                pass

    def after(self, changes: Iterable[Change]) -> Disk:
        """The disk after these changes; this one stays what it is."""
        other = Disk()
        other._nodes = dict(self._nodes)
        for change in changes:
            other.apply(change)
        return other

    def digest(self) -> bytes:
        """Equal for disks that look the same."""
        return self._digest(_ROOT)

    def _digest(self, node: int) -> bytes:
        found = self._nodes[node]
        digest = hashlib.sha256(f"{found.mode:o} {found.target}\0".encode() + found.data)
        for name, child in sorted(found.names.items()):
            digest.update(f"{name}\0".encode() + self._digest(child))
        return digest.digest()

    def store(self, folder: Path) -> None:
        """Write everything that can be seen into a folder that does not exist yet."""
        self._store(_ROOT, folder)

    def _store(self, node: int, path: Path) -> None:
        found = self._nodes[node]
        if stat.S_ISLNK(found.mode):
            path.symlink_to(found.target)
            return
        if stat.S_ISDIR(found.mode):
            path.mkdir()
            for name, child in found.names.items():
                self._store(child, path / name)
        else:
            path.write_bytes(found.data)
        path.chmod(stat.S_IMODE(found.mode))


def interpret(start: Disk, calls: Sequence[Call]) -> list[Change]:
    """Read a log as changes; `start` gets the nodes that they speak of, without names."""
    seen = start.after(())
    changes: list[Change] = []
    for call in calls:
        if call.result >= 0 and not call.path.endswith(" (deleted)"):
            for change in _read(call, seen, start):
                seen.apply(change)
                changes.append(change)
    return changes


def _read(call: Call, seen: Disk, start: Disk) -> list[Change]:
    reader = _READERS.get(call.name)
    if reader is None:
        raise NotImplementedError(f"{call.name}: teach the model what it does to a disk")
    return reader(call, seen, start)


def _entry(seen: Disk, path: str, node: int | None) -> tuple[int, str, int | None]:
    place = PurePosixPath(path)
    return seen.find(str(place.parent)), place.name, node


def _new(kind: int) -> _Reader:
    def read(call: Call, seen: Disk, start: Disk) -> list[Change]:
        if call.path == ".":
            return []  # The home itself: in this model it is always there, if only empty.
        mode = 0o777 if kind == stat.S_IFLNK else call.number & ~UMASK
        start.add(kind | mode, call.other)
        return [Names((_entry(seen, call.path, seen.add(kind | mode, call.other)),))]

    return read


def _removed(call: Call, seen: Disk, _: Disk) -> list[Change]:
    return [Names((_entry(seen, call.path, None),))]


def _renamed(call: Call, seen: Disk, _: Disk) -> list[Change]:
    node = seen.find(call.path)
    return [Names((_entry(seen, call.path, None), _entry(seen, call.other, node)))]


_READERS: dict[str, _Reader] = {
    "open": lambda *_: [],
    "read": lambda *_: [],
    "utimens": lambda *_: [],
    "create": _new(stat.S_IFREG),
    "mkdir": _new(stat.S_IFDIR),
    "symlink": _new(stat.S_IFLNK),
    "unlink": _removed,
    "rmdir": _removed,
    "rename": _renamed,
    "write": lambda call, seen, _: [Content(seen.find(call.path), call.number, call.data)],
    "truncate": lambda call, seen, _: [Content(seen.find(call.path), 0, None)],
    "ftruncate": lambda call, seen, _: [Content(seen.find(call.path), call.number, None)],
    "chmod": lambda call, seen, _: [Mark(seen.find(call.path), call.number)],
    "fsync": lambda call, seen, _: [Sync(seen.find(call.path))],
    "fdatasync": lambda call, seen, _: [Sync(seen.find(call.path))],
    "syncfs": lambda *_: [Sync(None)],
}
"""What each call does to a disk. One that is not named here stops the rig."""
