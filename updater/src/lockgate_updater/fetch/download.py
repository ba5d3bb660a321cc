"""An artifact's bytes, verified while they arrive, going on where an earlier process broke off.

What is already there is read and hashed again, never trusted by its length. Whatever the server
sends, no more than the signed size is written, and nothing is used before its digest fits.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from lockgate_release.digests import CHUNK_BYTES
from lockgate_release.documents import Artifact
from lockgate_release.errors import DigestMismatchError, TransportError
from lockgate_updater.events import Observer, Progress
from lockgate_updater.fetch.transport import Transport
from lockgate_updater.state.durable import local_errors, remove_file

__all__ = ["download_artifact"]

_PROGRESS_STEP_S = 0.1


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class _Closable(Protocol):
    """What a generator of chunks also is: closing it ends the connection."""

    def close(self) -> None: ...


class _Meter:
    """Says how far a download has got, but not more often than people can read."""

    def __init__(
        self, version: str, total_bytes: int, observe: Observer, monotonic: Callable[[], float]
    ) -> None:
        self._version = version
        self._total_bytes = total_bytes
        self._observe = observe
        self._monotonic = monotonic
        self._began = self._said = monotonic()
        self._had_bytes: int | None = None

    def show(self, received_bytes: int, *, always: bool = False) -> None:
        now = self._monotonic()
        if self._had_bytes is None:
            self._had_bytes = received_bytes
        elif not always and now - self._said < _PROGRESS_STEP_S:
            return
        self._said = now
        seconds = now - self._began
        speed = int((received_bytes - self._had_bytes) / seconds) if seconds > 0 else 0
        self._observe(
            Progress(
                version=self._version,
                received_bytes=received_bytes,
                total_bytes=self._total_bytes,
                speed_bytes_s=speed,
                left_s=(self._total_bytes - received_bytes) // speed if speed else None,
            )
        )


def download_artifact(
    transport: Transport,
    url: str,
    artifact: Artifact,
    part: Path,
    *,
    version: str,
    observe: Observer,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Leave the artifact's verified bytes at `part`.

    Args:
        transport: How bytes come.
        url: Where the artifact lies.
        artifact: Its signed size and digest.
        part: The partial file; what is there is gone on with. After wrong bytes it is removed.
        version: The release, for people.
        observe: Is told how far it has got.
        monotonic: A clock that never goes back, in seconds.

    Raises:
        DigestMismatchError: Not the bytes that were signed, or more of them.
        TransportError: They do not come, or not all of them: the part stays for the next time.
        LocalError: The disk refuses.
    """
    meter = _Meter(version, artifact.size, observe, monotonic)
    with local_errors("cannot be written", part), _open_part(part) as stream:
        try:
            if not _fill(transport, url, artifact, stream, meter):
                # What an earlier process left may have been wrong: once more, from nothing.
                stream.truncate(0)
                _fill(transport, url, artifact, stream, meter)
        except DigestMismatchError:
            remove_file(part)
            raise


@contextmanager
def _open_part(part: Path) -> Iterator[BinaryIO]:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(part, flags, 0o600), "r+b") as stream:
        yield stream


def _fill(
    transport: Transport, url: str, artifact: Artifact, stream: BinaryIO, meter: _Meter
) -> bool:
    """Bring the file to its full length; False if it is wrong and began with earlier bytes."""
    digest, had = _rehash(stream, artifact)
    meter.show(had, always=True)
    resumed = had > 0
    if had < artifact.size or not had:
        body = transport.open(url, offset=had)
        with closing(cast("_Closable", body.chunks)):
            if body.start != had:
                digest, had, resumed = hashlib.sha256(), 0, False
                stream.seek(0)
                stream.truncate()
            had = _receive(body.chunks, url, artifact, stream, digest, had, meter)
    meter.show(had, always=True)
    if had < artifact.size:
        stream.flush()
        raise TransportError(
            "the body ended early",
            subject=url,
            expected=f"{artifact.size} bytes",
            found=f"{had} bytes",
        )
    if digest.hexdigest() == artifact.sha256:
        return True
    if resumed:
        return False
    raise DigestMismatchError(
        "not the bytes that were signed",
        subject=url,
        expected=artifact.sha256,
        found=digest.hexdigest(),
    )


def _rehash(stream: BinaryIO, artifact: Artifact) -> tuple[_Digest, int]:
    """Hash what is there, and leave the file at its end; too much of it counts as nothing."""
    digest, had = hashlib.sha256(), 0
    stream.seek(0)
    while chunk := stream.read(CHUNK_BYTES):
        digest.update(chunk)
        had += len(chunk)
    if had <= artifact.size:
        return digest, had
    stream.seek(0)
    stream.truncate()
    return hashlib.sha256(), 0


def _receive(
    chunks: Iterator[bytes],
    url: str,
    artifact: Artifact,
    stream: BinaryIO,
    digest: _Digest,
    had: int,
    meter: _Meter,
) -> int:
    """Write what comes, as far as it was signed for, and return how much is there."""
    for chunk in chunks:
        had += len(chunk)
        if had > artifact.size:
            raise DigestMismatchError(
                "more bytes than were signed",
                subject=url,
                expected=f"{artifact.size} bytes",
                found="more",
            )
        digest.update(chunk)
        stream.write(chunk)
        meter.show(had)
    return had
