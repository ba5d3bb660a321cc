"""What has been sent, on this machine's disk: how a publish that was killed finds its parts again.

One file an upload to a store, below the user's cache folder; one line a part, added when it has
arrived. A line that was cut off is none. The journal is a hint: a part is not sent again if the
server lists it under the name in the journal, and the bytes still have the checksum there. That
is a CRC-32, which costs next to nothing; what it overlooks, the server's SHA-256 of the whole
refuses. Where no journal can be written more may be sent than is needed, and nothing else changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from lockgate_release.names import AppName
from lockgate_release.uploads import MAX_PARTS, UploadId

__all__ = ["Journal", "NotedPart", "open_journal", "uploads_folder"]

_KEPT_S = 7 * 24 * 3600.0
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedPart:
    """A part that has arrived once.

    Attributes:
        crc32: The CRC-32 of its bytes.
        etag: What the store called it.
    """

    crc32: int
    etag: str


class Journal:
    """The parts of one upload that have arrived. Used by several threads."""

    def __init__(self, path: Path | None, parts: Mapping[int, NotedPart]) -> None:
        """Go on with these parts; None: nothing is left on the disk."""
        self._path = path
        self._parts = dict(parts)
        self._lock = Lock()

    def find(self, number: int) -> NotedPart | None:
        """Return what is known of a part."""
        with self._lock:
            return self._parts.get(number)

    def add(self, number: int, part: NotedPart) -> None:
        """Note that a part has arrived."""
        line = {"number": number, "crc32": part.crc32, "etag": part.etag}
        with self._lock:
            self._parts[number] = part
            if self._path is None:
                return
            with suppress(OSError), self._path.open("ab") as stream:
                # The line break comes first too: what is before may have been cut off.
                stream.write(b"\n" + json.dumps(line).encode() + b"\n")

    def forget(self) -> None:
        """Leave nothing of it."""
        with self._lock:
            self._parts.clear()
            if self._path is not None:
                with suppress(OSError):
                    self._path.unlink()


def uploads_folder(environ: Mapping[str, str]) -> Path | None:
    """Return where journals are, or None where this user has no place for them.

    Source: XDG Base Directory Specification 0.8: a relative XDG_CACHE_HOME says nothing.
    """
    said = Path(environ.get("XDG_CACHE_HOME", ""))
    home = Path(environ.get("HOME", ""))
    if said.is_absolute():
        return said / "lockgate" / "uploads"
    return home / ".cache" / "lockgate" / "uploads" if home.is_absolute() else None


def open_journal(
    folder: Path | None, *, server: str, app: AppName, upload: UploadId, now_s: float
) -> Journal:
    """Return the journal of an upload, with what an earlier run has left in it.

    Journals that nobody has touched for a week are removed on the way.

    Args:
        folder: Where journals are, or None for nowhere.
        server: The server's address: the same file goes to another one anew.
        app: The app.
        upload: The upload.
        now_s: The present, in seconds since 1970.
    """
    if folder is None:
        return Journal(None, {})
    name = hashlib.sha256(f"{server}\n{app}\n{upload}\n".encode()).hexdigest()[:32]
    path = folder / f"{name}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_old(folder, now_s - _KEPT_S)
        return Journal(path, _read(path))
    except OSError:
        return Journal(None, {})


def _remove_old(folder: Path, before_s: float) -> None:
    for found in folder.glob("*.jsonl"):
        with suppress(OSError):
            if found.stat().st_mtime < before_s:
                found.unlink()


def _read(path: Path) -> dict[int, NotedPart]:
    try:
        with path.open("rb") as stream:
            lines = stream.read(_MAX_BYTES).splitlines()
    except FileNotFoundError:
        return {}
    parts = (_parse(line) for line in lines)
    return dict(filter(None, parts))


def _parse(line: bytes) -> tuple[int, NotedPart] | None:
    """Return a part of a line, or None if it is none."""
    try:
        match json.loads(line):
            case {"number": int(number), "crc32": int(crc32), "etag": str(etag)}:
                if 0 < number <= MAX_PARTS:
                    return number, NotedPart(crc32=crc32, etag=etag)
    except (ValueError, RecursionError):
        pass
    return None
