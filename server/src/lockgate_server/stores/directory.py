"""An object store in a directory: the embedded default.

1. An object is a plain file at its key below the root. No key holds a `~`, so `~tmp` and `~locks`
   are nobody's objects, and a web server may serve the folder as it is.
2. Bytes go into a file of their own in `~tmp` and are synced before they get a name; the folder
   that holds the name is synced before a write returns. A kill at any moment leaves the old object
   or the new one, and at worst a file in `~tmp`.
3. `IfAbsent` is one `link`, which the operating system grants to one process only. A copy is a
   link too: an object's file is never written again, so two names may share it.
4. `IfMatch`, `Always` and `delete` look and act under one lock per key, held across processes and
   freed by the operating system when its holder dies.
5. An etag is a file's inode, time and size. A replacing file is always given a later time than the
   file it replaces, so an inode that is used again makes no etag come back.
6. A file in `~tmp` is locked by the process that writes it. The next process to open the store
   removes those that nobody holds and that are older than a day.
7. No link is followed below the root, and what a key names is a plain file or nothing.
8. `room_bytes` leaves some of the disk out, so that what must be written always can be.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from lockgate_release.errors import LocalError, UsageError
from lockgate_server.ports import (
    Condition,
    Etag,
    IfAbsent,
    IfMatch,
    LostRaceError,
    ObjectInfo,
)
from lockgate_server.stores.disk import (
    FolderTree,
    disk_errors,
    file_status,
    make_durable_folder,
    open_file,
)
from lockgate_server.stores.keys import check_key, check_prefix, check_range, clip_range
from lockgate_server.stores.streams import pieces
from lockgate_server.stores.temporary import NewFile, remove_left_over_files

__all__ = ["DirectoryStore"]

_LOCK_FOLDER = "~locks"
_PRIVATE_FILE = 0o600
_KEPT_FREE_BYTES, _KEPT_FREE_PART = 1 << 30, 20
"""What is kept free of a disk: a GiB, or a twentieth of a small one."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A name in an open folder, where an object is or may be."""

    key: str
    folder: int
    name: str

    def status(self) -> os.stat_result | None:
        return file_status(self.folder, self.name, self.key)


class _OpenFile:
    """A file, or a range of it, open for reading."""

    def __init__(self, info: ObjectInfo, file: BinaryIO, left_bytes: int) -> None:
        self.info = info
        self._file = file
        self._left_bytes = left_bytes

    def read(self) -> bytes:
        return b"".join(self.chunks())

    def chunks(self, size_bytes: int = 1 << 18) -> Iterator[bytes]:
        while self._left_bytes:
            with disk_errors(self.info.key):
                chunk = self._file.read(min(size_bytes, self._left_bytes))
            if not chunk:
                raise LocalError(
                    "an object's file was cut short",
                    subject=self.info.key,
                    expected=f"{self._left_bytes} more bytes",
                    hint="Restore it from a backup; the server itself never cuts one.",
                )
            self._left_bytes -= len(chunk)
            yield chunk

    def local_file(self) -> BinaryIO:
        return self._file

    def __enter__(self) -> _OpenFile:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()


class DirectoryStore:
    """An `ObjectStore` in a folder, shared by any number of threads and processes."""

    def __init__(self, root: Path, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        """Open the store in `root`, making it if need be, and clear up after dead processes.

        Args:
            root: The folder, on a file system that has hard links and locks.
            clock_ns: The time objects are given, in nanoseconds since 1970.

        Raises:
            LocalError: The folder can be neither opened nor made.
        """
        self._root = root
        self._clock_ns = clock_ns
        self._folders = FolderTree(root)
        with disk_errors(str(root)):
            make_durable_folder(root)
            with self._folders.opened(()):
                pass  # It is a folder, and open to this process.
        remove_left_over_files(self._folders, clock_ns())

    def close(self) -> None:
        """Let go of nothing: no file stays open between two calls."""

    def room_bytes(self) -> int:
        """Return how many bytes more may come that nobody depends on; negative where none may.

        Raises:
            LocalError: The disk cannot be asked.
        """
        with disk_errors(str(self._root)):
            found = os.statvfs(self._root)
        kept = min(_KEPT_FREE_BYTES, found.f_blocks * found.f_frsize // _KEPT_FREE_PART)
        return found.f_bavail * found.f_frsize - kept

    def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object, or None where nothing is.

        Raises:
            LocalError: The disk, or a planted link, is in the way.
        """
        with self._place(key) as place:
            status = None if place is None else place.status()
        return None if status is None else _info(key, status)

    def open(self, key: str, *, start: int = 0, stop: int | None = None) -> _OpenFile | None:
        """Open an object, or the range `[start, stop)` of it; None where nothing is.

        Raises:
            UsageError: `start` is not 0 and lies at or beyond the end.
            LocalError: The disk, or a planted link, is in the way.
        """
        check_range(start, stop)
        with self._place(key) as place:
            descriptor = None if place is None else open_file(place.folder, place.name, key)
        if descriptor is None:
            return None
        file = os.fdopen(descriptor, "rb")
        try:
            with disk_errors(key):
                info = _info(key, os.fstat(descriptor))
                start, stop = clip_range(key, start, stop, info.size_bytes)
                file.seek(start)
        except BaseException:
            file.close()
            raise
        return _OpenFile(info, file, stop - start)

    def put(
        self,
        key: str,
        body: bytes | BinaryIO,
        condition: Condition,
        *,
        content_type: str = "application/octet-stream",  # noqa: ARG002 - a file has none
        cache_control: str = "no-cache",  # noqa: ARG002
    ) -> Etag:
        """Write an object and return its etag.

        Content type and cache control are not kept: whoever serves the folder decides on them.

        Raises:
            LostRaceError: The condition does not hold. Nothing was written.
            DiskFullError: The disk is full. Nothing was written.
            LocalError: The disk, or a planted link, is in the way.
        """
        check_key(key)
        with NewFile(self._folders, key) as new:
            for piece in pieces(body, condition):
                new.write(piece)
            new.seal(self._clock_ns())
            with self._place(key, create=not isinstance(condition, IfMatch)) as place:
                if place is None:
                    raise _lost(key)
                if isinstance(condition, IfAbsent):
                    _link(_Place(key, new.folder, new.name), place)
                    return _etag(os.fstat(new.descriptor))
                with self._locked(key):
                    return _replace(new, place, condition)

    def copy(
        self,
        source: str,
        target: str,
        condition: IfAbsent,  # noqa: ARG002
        *,
        source_etag: Etag | None = None,
    ) -> Etag:
        """Give an object a second key, where nothing is; no bytes move.

        Raises:
            LostRaceError: Something is at `target` already, or another state at `source`.
            UsageError: Nothing is at `source`.
            DiskFullError: The disk is full. Nothing was written.
            LocalError: The disk, or a planted link, is in the way.
        """
        check_key(target)
        # Nobody replaces what is locked between the look and the link.
        with self._locked(source), self._place(source) as origin:
            status = None if origin is None else origin.status()
            if origin is None or status is None:
                raise UsageError("nothing to copy", subject=source)
            if source_etag not in (None, _etag(status)):
                raise _lost(source)
            with self._place(target, create=True) as place:
                assert place is not None
                try:
                    _link(origin, place)
                except FileNotFoundError as exc:
                    raise UsageError("gone before it was copied", subject=source) from exc
        return _etag(status)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key begins with `prefix`, in the order of their keys.

        Links, and names that are no part of a key, are passed over.

        Raises:
            LocalError: The disk is in the way.
        """
        return self._walk(check_prefix(prefix), prefix)

    def delete(self, key: str) -> None:
        """Remove an object; that there is none is no error. Its folders stay.

        Raises:
            LocalError: The disk, or a planted link, is in the way.
        """
        with self._place(key) as place:
            if place is None:
                return
            with self._locked(key):
                if place.status() is not None:
                    with suppress(FileNotFoundError):
                        os.unlink(place.name, dir_fd=place.folder)
                os.fsync(place.folder)

    @contextmanager
    def _place(self, key: str, *, create: bool = False) -> Iterator[_Place | None]:
        *folders, name = check_key(key)
        with disk_errors(key), self._folders.opened(folders, create=create) as folder:
            yield None if folder is None else _Place(key, folder, name)

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        # Keys share 256 locks, so that lock files do not pile up; they are held for one rename.
        name = hashlib.sha256(key.encode()).hexdigest()[:2]
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._folders.opened([_LOCK_FOLDER], create=True) as folder:
            descriptor = os.open(name, flags, _PRIVATE_FILE, dir_fd=folder)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)

    def _walk(self, folders: tuple[str, ...], prefix: str) -> Iterator[ObjectInfo]:
        with disk_errors(prefix), self._folders.opened(folders) as folder:
            found = {} if folder is None else _scan(folder, "".join(f"{part}/" for part in folders))
        # A folder sorts with its slash, as its keys do: `a-b` comes before `a/b`.
        for key in sorted(found):
            info = found[key]
            if not key.startswith(prefix):
                continue
            if info is None:
                yield from self._walk(tuple(key.split("/")[:-1]), prefix)
            else:
                yield info


def _scan(folder: int, above: str) -> dict[str, ObjectInfo | None]:
    found: dict[str, ObjectInfo | None] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            key = above + entry.name
            with suppress(ValueError, FileNotFoundError):
                check_key(key)
                if entry.is_dir(follow_symlinks=False):
                    found[f"{key}/"] = None
                elif entry.is_file(follow_symlinks=False):
                    found[key] = _info(key, entry.stat(follow_symlinks=False))
    return found


def _link(source: _Place, target: _Place) -> None:
    try:
        os.link(
            source.name,
            target.name,
            src_dir_fd=source.folder,
            dst_dir_fd=target.folder,
            follow_symlinks=False,
        )
    except FileExistsError as exc:
        # Who is told that it is there builds on it: it must be there after a power cut too.
        os.fsync(target.folder)
        target.status()
        raise _lost(target.key) from exc
    os.fsync(target.folder)


def _replace(new: NewFile, place: _Place, condition: Condition) -> Etag:
    current = place.status()
    if isinstance(condition, IfMatch) and (current is None or _etag(current) != condition.etag):
        raise _lost(place.key)
    if current is not None and os.fstat(new.descriptor).st_mtime_ns <= current.st_mtime_ns:
        new.seal(current.st_mtime_ns + 1)
    os.rename(new.name, place.name, src_dir_fd=new.folder, dst_dir_fd=place.folder)
    os.fsync(place.folder)
    return _etag(os.fstat(new.descriptor))


def _lost(key: str) -> LostRaceError:
    return LostRaceError(
        "somebody else wrote it first", subject=key, hint="Read it again and decide again."
    )


def _etag(status: os.stat_result) -> Etag:
    return Etag(f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}")


def _info(key: str, status: os.stat_result) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size_bytes=status.st_size,
        etag=_etag(status),
        modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
    )
