"""Backups that are being written: nobody takes one for whole before it is."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import secrets
import shutil
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from lockgate_release.errors import ConflictError, LocalError
from lockgate_release.names import Sha256Hex
from lockgate_server.backups.manifest import MANIFEST, FileNote
from lockgate_server.ports import IfAbsent, ObjectStore
from lockgate_server.stores.disk import disk_errors, make_durable_folder

__all__ = [
    "FolderDraft",
    "HashedReader",
    "Source",
    "StoreDraft",
    "TarDraft",
    "remove_dead_drafts",
    "remove_folder",
    "sync_folder",
    "write_file",
]

_NEW, _OLD = ".new-", ".old-"
_PIECE_BYTES = 1 << 20
_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700
_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Source(Protocol):
    """Where bytes come from."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most so many bytes, and none only at the end."""
        ...


class HashedReader(io.BufferedIOBase, BinaryIO):
    """Reads a source, and knows how long it was and what its digest is.

    As many bytes come as are asked for, unless it ends.
    """

    def __init__(self, source: Source) -> None:
        """Read this, as far as somebody asks."""
        super().__init__()
        self._source = source
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return so many bytes, fewer only at the end."""
        wanted = -1 if size is None else size
        pieces: list[bytes] = []
        while wanted:
            piece = self._source.read(min(wanted, _PIECE_BYTES) if wanted > 0 else _PIECE_BYTES)
            if not piece:
                break
            pieces.append(piece)
            wanted -= len(piece) if wanted > 0 else 0
        data = b"".join(pieces)
        self._digest.update(data)
        self.size_bytes += len(data)
        return data

    def note(self, path: str) -> FileNote:
        """Return what was read, as a file of a backup."""
        sha256 = Sha256Hex(self._digest.hexdigest())
        return FileNote(path=path, size_bytes=self.size_bytes, sha256=sha256)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable.

    Raises:
        OSError: They cannot be.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, source: Source) -> None:
    """Write a new private file and sync it.

    Raises:
        OSError: It cannot be written, or is there.
    """
    with os.fdopen(os.open(path, _NEW_FILE, _PRIVATE_FILE), "wb") as file:
        while piece := source.read(_PIECE_BYTES):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def remove_folder(folder: Path) -> None:
    """Remove a backup: at once none, then gone.

    Raises:
        LocalError: The disk is in the way.
    """
    with disk_errors(str(folder)):
        old = folder.with_name(f"{_OLD}{folder.name}-{secrets.token_hex(4)}")
        folder.rename(old)
        shutil.rmtree(old)


def remove_dead_drafts(folder: Path) -> None:
    """Remove what killed processes have left in a folder of backups.

    Raises:
        LocalError: The disk is in the way.
    """
    if not folder.is_dir():
        return
    with disk_errors(str(folder)):
        for path in list(folder.iterdir()):
            if path.name.startswith((_NEW, _OLD)) and not _is_held(path):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


class FolderDraft:
    """A folder that gets its name when it is whole."""

    def __init__(self, folder: Path, name: str) -> None:
        """Write below `folder`; nothing is there yet."""
        self._target = folder / name
        self._draft = folder / f"{_NEW}{name}-{secrets.token_hex(4)}"
        self._lock = -1
        self._folders: set[Path] = set()

    def __enter__(self) -> Self:
        """Make the draft, and hold its lock."""
        with disk_errors(str(self._draft)):
            if self._target.exists():
                raise _taken(self._target)
            make_durable_folder(self._draft.parent)
            self._draft.mkdir(_PRIVATE_FOLDER)
            self._lock = os.open(self._draft, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def add(self, path: str, source: Source, size_bytes: int) -> FileNote:
        """Write a file, and return its length and digest."""
        del size_bytes
        target = self._draft / path
        reader = HashedReader(source)
        with disk_errors(path):
            for folder in reversed(target.parents[: len(Path(path).parents) - 1]):
                folder.mkdir(_PRIVATE_FOLDER, exist_ok=True)
                self._folders.add(folder)
            write_file(target, reader)
        return reader.note(path)

    def finish(self, manifest: bytes) -> None:
        """Sync everything and give the folder its name."""
        with disk_errors(str(self._target)):
            write_file(self._draft / MANIFEST, io.BytesIO(manifest))
            for folder in {*self._folders, self._draft}:
                sync_folder(folder)
            if self._target.exists():
                raise _taken(self._target)
            self._draft.rename(self._target)
            sync_folder(self._target.parent)

    def __exit__(self, *exc_info: object) -> None:
        """Leave nothing of a backup that was not finished."""
        shutil.rmtree(self._draft, ignore_errors=True)
        os.close(self._lock)


class TarDraft:
    """A tar file that gets its name when it is whole."""

    def __init__(self, file: Path) -> None:
        """Write `file`; nothing is there yet."""
        self._target = file
        self._draft = file.with_name(f"{_NEW}{file.name}-{secrets.token_hex(4)}")

    def __enter__(self) -> Self:
        """Make the draft, and hold its lock."""
        with disk_errors(str(self._draft)):
            if self._target.exists():
                raise _taken(self._target)
            make_durable_folder(self._draft.parent)
            self._file = os.fdopen(os.open(self._draft, _NEW_FILE, _PRIVATE_FILE), "w+b")
            fcntl.flock(self._file, fcntl.LOCK_EX)
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)
        return self

    def add(self, path: str, source: Source, size_bytes: int) -> FileNote:
        """Write a file, and return its length and digest."""
        info = tarfile.TarInfo(path)
        info.size, info.mode = size_bytes, _PRIVATE_FILE
        reader = HashedReader(source)
        with disk_errors(path):
            self._tar.addfile(info, reader)
        if reader.size_bytes != size_bytes or reader.read(1):
            raise LocalError(
                "a file changed while it was copied",
                subject=path,
                expected=f"{size_bytes} bytes",
                hint="Try again.",
            )
        return reader.note(path)

    def finish(self, manifest: bytes) -> None:
        """Sync the file and give it its name."""
        self.add(MANIFEST, io.BytesIO(manifest), len(manifest))
        with disk_errors(str(self._target)):
            self._tar.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            try:
                os.link(self._draft, self._target)
            except FileExistsError as exc:
                raise _taken(self._target) from exc
            sync_folder(self._target.parent)

    def __exit__(self, *exc_info: object) -> None:
        """Leave nothing of a backup that was not finished."""
        with suppress(OSError):
            self._draft.unlink()
        self._file.close()


class StoreDraft:
    """Objects below a name, of which the manifest is the last."""

    def __init__(self, store: ObjectStore, name: str) -> None:
        """Write below `name`; nothing is there yet."""
        self._store = store
        self._name = name
        self._written: list[str] = []
        self._is_whole = False

    def __enter__(self) -> Self:
        """Make sure that the name is free."""
        if next(self._store.list(f"{self._name}/"), None) is not None:
            raise _taken(self._name)
        return self

    def add(self, path: str, source: Source, size_bytes: int) -> FileNote:
        """Write a file, and return its length and digest."""
        del size_bytes
        reader = HashedReader(source)
        key = f"{self._name}/{path}"
        self._written.append(key)
        self._store.put(key, reader, IfAbsent())
        return reader.note(path)

    def finish(self, manifest: bytes) -> None:
        """Write the manifest."""
        key = f"{self._name}/{MANIFEST}"
        # Whether it arrived may be unknown: what is taken back then is the manifest first.
        self._written.insert(0, key)
        self._store.put(key, manifest, IfAbsent(), content_type="application/json")
        self._is_whole = True

    def __exit__(self, *exc_info: object) -> None:
        """Leave nothing of a backup that was not finished, as far as the bucket lets us."""
        with suppress(Exception):
            for key in () if self._is_whole else self._written:
                self._store.delete(key)


def _taken(target: Path | str) -> ConflictError:
    return ConflictError(
        "there is a backup of this name", subject=str(target), hint="Wait a second, or move it."
    )
