"""The folder that a copy is written into: each file appears whole, durably, and by one rename.

    <folder>/<app>/…                       what is served
    <folder>/.lockgate-mirror/lock         held by the run at work
    <folder>/.lockgate-mirror/<app>/…      files that are not whole yet, and what was verified when

A run that was killed leaves whole files, and begun ones below `.lockgate-mirror`. `seal` makes
everything durable that was put in place before; only then the pointer may follow.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lockgate_cli.mirroring.addresses import check_address
from lockgate_cli.mirroring.contents import Blob
from lockgate_release.errors import ConflictError, DiskFullError, LocalError
from lockgate_release.names import AppName

__all__ = ["MirrorFolder", "sha256_of"]

_WORK = ".lockgate-mirror"
_CHUNK_BYTES = 1 << 20
_FULL = frozenset({28, 122})  # ENOSPC, EDQUOT


@contextmanager
def _as_local_error(subject: object) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        kind = DiskFullError if exc.errno in _FULL else LocalError
        raise kind("cannot be written", subject=str(subject), found=exc.strerror or "") from exc


def sha256_of(stream: IO[bytes]) -> hashlib._Hash:
    """Return the digest of all that is left in a stream, to be gone on with."""
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest


class MirrorFolder:
    """One app in the folder of a copy. Threads may use it at once, each for files of its own."""

    def __init__(self, folder: Path, app: AppName, *, rehash: bool = False) -> None:
        """Use a folder; nothing is read or written yet.

        Args:
            folder: The folder; the app has one of its own below it.
            app: The app.
            rehash: Read every file again, also those that have not changed since they were.
        """
        self.folder = folder
        self._app = app
        self._root = folder / app
        self._work = folder / _WORK / app
        self._parents: set[Path] = set()
        self._seen: dict[str, list[int]] = {}
        if not rehash:
            self._seen = self._load_seen()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out.

        Raises:
            ConflictError: One is at work.
            LocalError: The folder cannot be written.
        """
        with _as_local_error(self.folder):
            self._work.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / _WORK / "lock").open("ab")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise ConflictError(
                    "another run is at work here", subject=str(self.folder)
                ) from exc
            yield

    def read(self, path: str) -> bytes | None:
        """Return a file, or None where there is none.

        Raises:
            LocalError: It cannot be read.
        """
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise LocalError("cannot be read", subject=path, found=exc.strerror or "") from exc

    def write(self, path: str, data: bytes) -> None:
        """Put a small file in place of whatever is there.

        Raises:
            LocalError: It cannot be written.
        """
        with _as_local_error(path):
            begun = self._work / path.replace("/", "~")
            with begun.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            self._place(begun, path)

    def holds(self, blob: Blob) -> bool:
        """Whether a large file is there with the right content.

        Raises:
            LocalError: It cannot be read.
        """
        place = self._root / blob.path
        try:
            found = place.stat()
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise LocalError("cannot be read", subject=str(place), found=str(exc)) from exc
        if blob.size_bytes != found.st_size:
            return False
        if self._seen.get(blob.path) == _mark(found):
            return True
        with _as_local_error(place), place.open("rb") as stream:
            is_right = sha256_of(stream).hexdigest() == blob.sha256
        if is_right:
            self._seen[blob.path] = _mark(found)
        return is_right

    @contextmanager
    def begun(self, blob: Blob) -> Iterator[IO[bytes]]:
        """Yield what has come of a large file, open for reading and for adding at its end.

        Raises:
            LocalError: The disk is in the way.
        """
        with _as_local_error(blob.path), (self._work / blob.sha256).open("a+b") as stream:
            yield stream

    def finish(self, blob: Blob) -> None:
        """Put a large file in place that has come and was verified.

        Raises:
            LocalError: The disk is in the way.
        """
        with _as_local_error(blob.path):
            begun = self._work / blob.sha256
            with begun.open("rb") as stream:
                os.fsync(stream.fileno())
            self._place(begun, blob.path)
            self._seen[blob.path] = _mark((self._root / blob.path).stat())

    def seal(self) -> None:
        """Make the names durable of all that was put in place.

        Raises:
            LocalError: The disk is in the way.
        """
        with _as_local_error(self._root):
            for parent in sorted(self._parents):
                handle = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
            self._parents.clear()

    def remember(self) -> None:
        """Keep what was verified, so that the next run need not read it again.

        Raises:
            LocalError: The disk is in the way.
        """
        kept = {path: mark for path, mark in self._seen.items() if (self._root / path).exists()}
        with _as_local_error(self._work):
            begun = self._work / "seen.new"
            begun.write_text(json.dumps(kept, sort_keys=True), "utf-8")
            begun.replace(self._work / "seen.json")

    def paths(self) -> Iterator[str]:
        """Yield every file that lies below the app's folder."""
        for place in sorted(self._root.rglob("*")):
            if place.is_file() and not place.is_symlink():
                yield place.relative_to(self._root).as_posix()

    def remove(self, path: str) -> None:
        """Remove a file, and its folder where nothing else is in it.

        Raises:
            LocalError: The disk is in the way.
        """
        with _as_local_error(path):
            place = self._root / path
            place.unlink(missing_ok=True)
            for parent in place.relative_to(self._root).parents[:-1]:
                if any((self._root / parent).iterdir()):
                    break
                (self._root / parent).rmdir()

    def _place(self, begun: Path, path: str) -> None:
        check_address(path)
        place = self._root / path
        missing = [parent for parent in place.parents if not parent.exists()]
        place.parent.mkdir(parents=True, exist_ok=True)
        begun.replace(place)
        self._parents.update({place.parent, *(parent.parent for parent in missing)})

    def _load_seen(self) -> dict[str, list[int]]:
        """Return what earlier runs verified; a record that cannot be read is an empty one."""
        try:
            found = json.loads((self._work / "seen.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _mark(found: os.stat_result) -> list[int]:
    """Return what changes when somebody writes to a file or puts another in its place."""
    return [found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns]
