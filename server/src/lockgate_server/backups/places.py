"""Where backups lie: a folder of them, one tar file, or a bucket. Each whole, or not there.

1. In a folder a backup is written under a name that begins with `.new-`, synced, and gets its own
   name by one rename. In a tar file the same, by one link, which never replaces a file.
2. In a bucket its manifest is written last, and a backup without one is none.
3. What a killed process left is removed by the next one that makes a backup: in a folder when
   nobody holds its lock any more, in a bucket when it is older than a day.
4. Files are closed to other users.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Protocol

from lockgate_release.errors import LocalError, UsageError
from lockgate_release.instants import utc_now
from lockgate_server.backups.drafts import (
    FolderDraft,
    HashedReader,
    Source,
    StoreDraft,
    TarDraft,
    remove_dead_drafts,
    remove_folder,
)
from lockgate_server.backups.manifest import MANIFEST, OBJECTS, FileNote, is_backup_name
from lockgate_server.ports import IfAbsent, ObjectStore
from lockgate_server.services.write.streams import ChunkSource
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.disk import disk_errors
from lockgate_server.stores.factory import open_store

__all__ = ["Draft", "Held", "Place", "find_backup", "open_place"]

_ADDRESS = re.compile(r"s3://.*", re.IGNORECASE)
_LEFT_OVER_AFTER = timedelta(days=1)
_PIECE_BYTES = 1 << 18


class Draft(Protocol):
    """A backup that is being written."""

    def add(self, path: str, source: Source, size_bytes: int) -> FileNote:
        """Write a file, and return its length and digest."""
        ...

    def finish(self, manifest: bytes) -> None:
        """Make it a backup: before this it is none."""
        ...


class Held(Protocol):
    """A backup that is open for reading."""

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield a file's bytes, unverified.

        Raises:
            UsageError: There is no such file.
        """
        ...

    def objects(self, scratch: Path) -> AbstractContextManager[ObjectStore]:
        """Open its objects as a store; what must be unpacked for that goes into `scratch`."""
        ...


class Place(Protocol):
    """Where backups lie."""

    def names(self) -> tuple[str, ...]:
        """Return every backup's name, oldest first."""
        ...

    def begin(self, name: str) -> AbstractContextManager[Draft]:
        """Begin a backup; it is gone after the block unless it was finished.

        Raises:
            LocalError: The disk is in the way.
            ConflictError: There is a backup of this name.
        """
        ...

    def open(self, name: str) -> AbstractContextManager[Held]:
        """Open a backup."""
        ...

    def remove(self, name: str) -> None:
        """Remove a backup."""
        ...

    def close(self) -> None:
        """Let go of every connection."""
        ...


@dataclass(frozen=True, slots=True)
class _HeldFolder:
    folder: Path

    def chunks(self, path: str) -> Iterator[bytes]:
        try:
            with (self.folder / path).open("rb") as file:
                yield from _pieces(file)
        except FileNotFoundError as exc:
            raise _missing(path) from exc
        except OSError as exc:
            raise LocalError("a backup cannot be read", subject=path, found=str(exc)) from exc

    @contextmanager
    def objects(self, scratch: Path) -> Iterator[ObjectStore]:
        # The store may make folders of its own: in scratch, with the objects seen through a link.
        link = scratch / "objects"
        link.symlink_to((self.folder / OBJECTS).resolve())
        yield DirectoryStore(link)


@dataclass(frozen=True, slots=True)
class _HeldTar:
    tar: tarfile.TarFile

    def chunks(self, path: str) -> Iterator[bytes]:
        try:
            file = self.tar.extractfile(path)
        except (KeyError, tarfile.TarError, OSError) as exc:
            raise _missing(path) from exc
        if file is None:
            raise _missing(path)
        try:
            with file:
                yield from _pieces(file)
        except (tarfile.TarError, OSError) as exc:
            raise LocalError("a backup cannot be read", subject=path, found=str(exc)) from exc

    @contextmanager
    def objects(self, scratch: Path) -> Iterator[ObjectStore]:
        store = DirectoryStore(scratch / "objects")
        for name in self.tar.getnames():
            if name.startswith(OBJECTS):
                reader = HashedReader(ChunkSource(self.chunks(name)))
                store.put(name.removeprefix(OBJECTS), reader, IfAbsent())
        yield store


@dataclass(frozen=True, slots=True)
class _HeldInStore:
    store: ObjectStore
    address: str
    name: str

    def chunks(self, path: str) -> Iterator[bytes]:
        found = self.store.open(f"{self.name}/{path}")
        if found is None:
            raise _missing(path)
        with found:
            yield from found.chunks()

    @contextmanager
    def objects(self, scratch: Path) -> Iterator[ObjectStore]:
        del scratch
        store = open_store(_below(self.address, f"{self.name}/{OBJECTS}"))
        try:
            yield store
        finally:
            store.close()


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of backups, each a folder in it."""

    folder: Path

    def names(self) -> tuple[str, ...]:
        if not self.folder.is_dir():
            return ()
        with disk_errors(str(self.folder)):
            found = [path.name for path in self.folder.iterdir() if (path / MANIFEST).is_file()]
        return tuple(sorted(name for name in found if is_backup_name(name)))

    def begin(self, name: str) -> AbstractContextManager[Draft]:
        remove_dead_drafts(self.folder)
        return FolderDraft(self.folder, name)

    @contextmanager
    def open(self, name: str) -> Iterator[Held]:
        yield _HeldFolder(self.folder / name)

    def remove(self, name: str) -> None:
        remove_folder(self.folder / name)

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class _Tar:
    """One backup in one file."""

    file: Path

    def names(self) -> tuple[str, ...]:
        return (self.file.name,) if self.file.is_file() else ()

    def begin(self, name: str) -> AbstractContextManager[Draft]:
        del name
        remove_dead_drafts(self.file.parent)
        return TarDraft(self.file)

    @contextmanager
    def open(self, name: str) -> Iterator[Held]:
        del name
        try:
            with tarfile.open(self.file, "r:") as tar:
                yield _HeldTar(tar)
        except (tarfile.TarError, EOFError) as exc:
            raise UsageError(
                "not a backup", subject=str(self.file), expected="a tar file", found=str(exc)
            ) from exc
        except OSError as exc:
            raise LocalError("cannot be read", subject=str(self.file), found=str(exc)) from exc

    def remove(self, name: str) -> None:
        raise UsageError("one file holds one backup", subject=name, expected="a folder of backups")

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class _InStore:
    """Backups in a bucket, each below its name."""

    store: ObjectStore
    address: str

    def names(self) -> tuple[str, ...]:
        keys = (info.key.split("/") for info in self.store.list("lockgate-"))
        found = {parts[0] for parts in keys if parts[1:] == [MANIFEST]}
        return tuple(sorted(name for name in found if is_backup_name(name)))

    def begin(self, name: str) -> AbstractContextManager[Draft]:
        whole = set(self.names())
        for info in self.store.list("lockgate-"):
            owner = info.key.split("/")[0]
            if owner not in whole and utc_now() - info.modified_at > _LEFT_OVER_AFTER:
                self.store.delete(info.key)
        return StoreDraft(self.store, name)

    @contextmanager
    def open(self, name: str) -> Iterator[Held]:
        yield _HeldInStore(self.store, self.address, name)

    def remove(self, name: str) -> None:
        self.store.delete(f"{name}/{MANIFEST}")
        for info in list(self.store.list(f"{name}/")):
            self.store.delete(info.key)

    def close(self) -> None:
        self.store.close()


@contextmanager
def open_place(address: str) -> Iterator[Place]:
    """Open where backups are to lie: a folder, a file whose name ends in `.tar`, or `s3://…`.

    Raises:
        UsageError: The address is none.
    """
    place: Place
    if _ADDRESS.fullmatch(address):
        place = _InStore(open_store(address), address)
    elif address.endswith(".tar"):
        place = _Tar(Path(address))
    else:
        place = _Folder(Path(address))
    try:
        yield place
    finally:
        place.close()


@contextmanager
def find_backup(address: str) -> Iterator[Held]:
    """Open a backup that is named, or the newest of the folder or the bucket that is named.

    Raises:
        UsageError: There is none.
        TransportError: The bucket does not answer.
        LocalError: The disk is in the way.
    """
    holder, name = _split(address)
    with open_place(holder) as place:
        if not name:
            names = place.names()
            if not names:
                raise UsageError(
                    "no backup there",
                    subject=address,
                    hint="A backup that broke off is none. Name a backup, or where backups lie.",
                )
            name = names[-1]
        with place.open(name) as held:
            yield held


def _split(address: str) -> tuple[str, str]:
    """Return where a backup lies, and its name; "" where the newest is meant."""
    if _ADDRESS.fullmatch(address):
        path, mark, options = address.partition("?")
        above, _, last = path.rstrip("/").rpartition("/")
        return (f"{above}{mark}{options}", last) if is_backup_name(last) else (address, "")
    path_here = Path(address)
    if (path_here / MANIFEST).is_file():
        return str(path_here.resolve().parent), path_here.resolve().name
    if path_here.is_file() and not address.endswith(".tar"):
        raise UsageError(
            "not a backup", subject=address, expected="a folder, a .tar file, or s3://…"
        )
    return address, ""


def _below(address: str, path: str) -> str:
    head, mark, options = address.partition("?")
    return f"{head.rstrip('/')}/{path.strip('/')}{mark}{options}"


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_PIECE_BYTES):
        yield piece


def _missing(path: str) -> UsageError:
    return UsageError(
        "the backup is not whole", subject=path, expected="the file that it names", found="nothing"
    )
