"""Where a repository is copied from: an address of the web, or a folder. Nothing of it is trusted.

Several threads may read at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

from lockgate_cli.http import Http
from lockgate_cli.mirroring.addresses import check_address
from lockgate_release.digests import digest_bytes
from lockgate_release.errors import TransportError, UsageError
from lockgate_release.names import AppName
from lockgate_release.plain_files import open_plain
from lockgate_release.trust.verify import NotFoundError

__all__ = ["POINTER", "CheapReader", "FolderSource", "HttpSource", "Source", "find_source"]

POINTER = "metadata/timestamp.json"
_CHUNK_BYTES = 1 << 18
_MAX_FILE_BYTES = 64 << 20
_NOT_THERE = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
"""Object stores say 403 for what is not there to those who may not list."""


class Source(Protocol):
    """What a copy asks of the repository it is made from."""

    def read_file(self, app: AppName, path: str) -> bytes | None:
        """Return a small file below the app's address, or None if there is none.

        Raises:
            TransportError: It could not be read.
        """
        ...

    def stream(self, app: AppName, path: str, start_bytes: int) -> Iterator[bytes]:
        """Yield a file's bytes from `start_bytes` on.

        Raises:
            NotFoundError: There is no such file.
            TransportError: It does not come, or not to its end.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSource:
    """A repository on the web: the server, a CDN, a bucket or a plain web server."""

    http: Http
    base: str

    def read_file(self, app: AppName, path: str) -> bytes | None:
        """Return a small file below the app's address, or None if there is none.

        Raises:
            TransportError: It could not be fetched.
        """
        answer = self.http.exchange("GET", self._url(app, path))
        if answer.status in _NOT_THERE:
            return None
        if answer.status != HTTPStatus.OK:
            raise TransportError(
                "unexpected answer", subject=answer.url, found=f"status {answer.status}"
            )
        return answer.body

    def stream(self, app: AppName, path: str, start_bytes: int) -> Iterator[bytes]:
        """Yield a file's bytes from `start_bytes` on.

        Raises:
            NotFoundError: There is no such file.
            TransportError: It does not come, or not to its end.
        """
        return self.http.stream(self._url(app, path), start_bytes=start_bytes, moved=True)

    def _url(self, app: AppName, path: str) -> str:
        return f"{self.base}/{app}/{quote(path)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSource:
    """A repository in a folder: another mirror, on a disk that was carried here, say."""

    folder: Path

    def read_file(self, app: AppName, path: str) -> bytes | None:
        """Return a small file below the app's folder, or None if there is none.

        Raises:
            TransportError: It could not be read.
        """
        try:
            with open_plain(self.folder / app / path) as stream:
                return stream.read(_MAX_FILE_BYTES)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise TransportError("cannot be read", subject=path, found=str(exc)) from exc

    def stream(self, app: AppName, path: str, start_bytes: int) -> Iterator[bytes]:
        """Yield a file's bytes from `start_bytes` on.

        Raises:
            NotFoundError: There is no such file.
            TransportError: It does not come, or not to its end.
        """
        try:
            with open_plain(self.folder / app / path) as stream:
                stream.seek(start_bytes)
                while chunk := stream.read(_CHUNK_BYTES):
                    yield chunk
        except FileNotFoundError as exc:
            raise NotFoundError("no such file", subject=path) from exc
        except OSError as exc:
            raise TransportError("cannot be read", subject=path, found=str(exc)) from exc


def find_source(address: str, http: Http) -> Source:
    """Return the repository at an address.

    Raises:
        UsageError: It is no address.
    """
    parts = urlsplit(address)
    if parts.scheme == "file" and parts.path:
        return FolderSource(folder=Path(unquote(parts.path)))
    if parts.scheme in {"http", "https"} and parts.hostname:
        return HttpSource(http=http, base=address.rstrip("/"))
    raise UsageError(
        "not a repository's address",
        subject="--from",
        expected="http://, https:// or file://",
        found=repr(address),
    )


@dataclass(slots=True, kw_only=True)
class CheapReader:
    """Reads each file once, and from where that costs least; knows afterwards what was read.

    What it returns proves nothing: whoever reads through it compares signatures and digests.

    Attributes:
        source: Where the files are.
        local: Reads what an earlier copy has left in the folder; None reads nothing there.
        overlay: Files that were handed over, and are in no repository.
        files: What was read, by its path below the app's address.
        fetched_bytes: How much of that came from the source.
    """

    source: Source
    local: Source | None
    overlay: Mapping[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    fetched_bytes: int = 0

    def read_file(self, app: AppName, path: str) -> bytes | None:
        """Return a small file below the app's address, or None if there is none.

        Raises:
            TrustError: No file of a repository is there.
            TransportError: It could not be read.
        """
        check_address(path)
        data = self.files.get(path)
        if data is None:
            data = self._find(app, path)
        if data is not None:
            self.files[path] = data
        return data

    def _find(self, app: AppName, path: str) -> bytes | None:
        if path in self.overlay:
            return self.overlay[path]
        if self.local is not None and path != POINTER:
            held = self.local.read_file(app, path)
            if held is not None and _may_be(path, held):
                return held
        data = self.source.read_file(app, path)
        self.fetched_bytes += len(data or b"")
        return data


def _may_be(path: str, data: bytes) -> bool:
    """Whether a file can be what its name says: the name of a document begins with its digest."""
    name = path.rpartition("/")[2]
    return not path.startswith("targets/") or name.startswith(digest_bytes(data))
