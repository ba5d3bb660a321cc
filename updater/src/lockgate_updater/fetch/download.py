"""An artifact's bytes, verified while they arrive, going on where an earlier process broke off.

1. What is there already is read and hashed again, chunk by chunk, never trusted by its length: the
   longest verified beginning counts, and what lies behind a bad chunk is cut off.
2. A bad chunk is found as soon as it is complete: the connection is closed before the rest comes.
3. The file holds verified chunks, and at most one unverified piece of the chunk in progress.
4. No more than the signed size is written. Once every chunk is right, the whole must be so too, as
   it was hashed on its way: chunks and file are two digests by the same publishers, and others
   vouch for the file alone.
5. Where one source fails or is wrong, the next one goes on from the same byte.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from lockgate_release.digests import CHUNK_BYTES
from lockgate_release.documents import Artifact
from lockgate_release.errors import DigestMismatchError, LockgateError, TransportError
from lockgate_updater.events import Observer, Progress
from lockgate_updater.fetch.chunks import ChunkPlan, bad_chunk, bytes_of, most_telling
from lockgate_updater.fetch.transport import Transport
from lockgate_updater.state.durable import local_errors, remove_file

__all__ = ["download_artifact", "download_file"]

_PROGRESS_STEP_S = 0.1


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
    urls: tuple[str, ...],
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
        urls: Where the artifact lies, one or more, tried in this order.
        artifact: Its signed size, digest and chunks.
        part: The partial file; what is there is gone on with. Verified chunks stay in it.
        version: The release, for people.
        observe: Is told how far it has got.
        monotonic: A clock that never goes back, in seconds.

    Raises:
        DigestMismatchError: Every source sent other bytes than were signed, or more of them.
        TransportError: They do not come, or not all of them: the part stays for the next time.
        LocalError: The disk refuses.
    """
    plan = ChunkPlan.of(artifact)
    found = download_file(
        transport, urls, plan, part, version=version, observe=observe, monotonic=monotonic
    )
    if found != artifact.sha256:  # Its chunks are right, and it is not (rule 4).
        remove_file(part)
        raise DigestMismatchError(
            "the signed chunks are those of another file",
            subject=artifact.name,
            expected=artifact.sha256,
            found=found,
        )


def download_file(
    transport: Transport,
    urls: tuple[str, ...],
    plan: ChunkPlan,
    part: Path,
    *,
    version: str,
    observe: Observer,
    monotonic: Callable[[], float] = time.monotonic,
) -> str:
    """Do the same for any file whose size and digests are signed; return the whole file's SHA-256.

    Raises:
        DigestMismatchError: Every source sent other bytes than were signed, or more of them.
        TransportError: They do not come, or not all of them: the part stays for the next time.
        LocalError: The disk refuses.
    """
    meter = _Meter(version, plan.size_bytes, observe, monotonic)
    with local_errors("cannot be written", part), _open_part(part) as stream:
        gathered = _Part(stream, plan)
        meter.show(gathered.had_bytes, always=True)
        failures: list[LockgateError] = []
        for url in urls:
            try:
                _bring(transport, url, gathered, meter)
                break
            except (TransportError, DigestMismatchError) as exc:
                failures.append(exc)
        stream.flush()
        meter.show(gathered.had_bytes, always=True)
        if len(failures) == len(urls):
            if gathered.is_complete or not gathered.had_bytes:
                remove_file(part)
            raise most_telling(failures)
        return gathered.sha256


@contextmanager
def _open_part(part: Path) -> Iterator[BinaryIO]:
    _drop_what_is_not_ours(part)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(part, flags, 0o600), "r+b") as stream:
        yield stream


def _drop_what_is_not_ours(part: Path) -> None:
    """Remove what lies in the part's place and is no plain file, or has a second name elsewhere."""
    try:
        found = part.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1):
        return  # A link is refused, with words, when it is opened.
    from lockgate_release.archives.safe_tree import remove_tree  # noqa: PLC0415 (almost never)

    remove_tree(part)


class _Part:
    """A partial file: how much of it is there, and how much of that is verified."""

    def __init__(self, stream: BinaryIO, plan: ChunkPlan) -> None:
        """Hash what is there (rule 1), and leave the file at its end."""
        self._stream = stream
        self._plan = plan
        self.size_bytes = plan.size_bytes
        self._index = 0
        self._digest = hashlib.sha256()
        # Of all that is there, and of what is verified of it: so no byte has to be read again.
        # A file that is one chunk needs neither.
        self._hashes_whole = len(plan.digests) > 1
        self._whole = hashlib.sha256()
        self._verified = hashlib.sha256()
        self.had_bytes = 0
        self._end_chunk()  # An empty file is whole before the first byte.
        stream.seek(0)
        while data := stream.read(CHUNK_BYTES):
            if self._count(data):
                break
        if self._is_bad():
            self.cut()
        self._cut_at(self.had_bytes)

    @property
    def sha256(self) -> str:
        """The digest of the whole file, once it is complete."""
        return self._verified.hexdigest() if self._hashes_whole else self._plan.digests[0]

    @property
    def verified_bytes(self) -> int:
        """How much from the beginning on is proven."""
        return self._plan.begin(self._index) if not self.is_complete else self._plan.size_bytes

    @property
    def is_complete(self) -> bool:
        """Whether every chunk is there and right."""
        return self._index == len(self._plan.digests)

    def take(self, data: bytes, url: str) -> None:
        """Write what came, as far as it was signed for.

        Raises:
            DigestMismatchError: A chunk is wrong, or this is more than was signed; what is not
                verified is cut off.
        """
        self._stream.write(data[: self._plan.size_bytes - self.had_bytes])
        rest = self._count(data)
        if self._is_bad():
            error = bad_chunk(self._plan, self._index, url, self._digest.hexdigest())
            self.cut()
            raise error
        if rest:
            raise DigestMismatchError(
                "more bytes than were signed",
                subject=url,
                expected=f"{self._plan.size_bytes} bytes",
                found="more",
            )

    def cut(self) -> None:
        """Drop what is not verified (rule 3)."""
        self._digest = hashlib.sha256()
        self._whole = self._verified.copy()
        self._cut_at(self.verified_bytes)

    def _cut_at(self, offset: int) -> None:
        self.had_bytes = offset
        self._stream.seek(offset)
        self._stream.truncate()

    def _count(self, data: bytes) -> memoryview:
        """Hash what comes next, to the first bad chunk at most, and return what is left of it."""
        rest = memoryview(data)
        while rest and not self.is_complete and not self._is_bad():
            piece = rest[: self._plan.end(self._index) - self.had_bytes]
            self._digest.update(piece)
            if self._hashes_whole:
                self._whole.update(piece)
            self.had_bytes += len(piece)
            rest = rest[len(piece) :]
            self._end_chunk()
        return rest

    def _end_chunk(self) -> None:
        """Go on to the next chunk, if this one is complete and right."""
        is_whole = self.had_bytes == self._plan.end(self._index)
        if is_whole and self._digest.hexdigest() == self._plan.digests[self._index]:
            self._index += 1
            self._digest = hashlib.sha256()
            self._verified = self._whole.copy()

    def _is_bad(self) -> bool:
        """Whether the chunk in progress is complete: one that was right is not in progress."""
        return not self.is_complete and self.had_bytes == self._plan.end(self._index)


def _bring(transport: Transport, url: str, part: _Part, meter: _Meter) -> None:
    """Bring what is missing, from one source.

    Raises:
        DigestMismatchError: It sends wrong bytes, or too many.
        TransportError: They do not come, or not all of them.
    """
    # The piece of a chunk that an earlier process or another source left may be what is wrong.
    inherited_at = part.verified_bytes if part.had_bytes > part.verified_bytes else -1
    try:
        _receive(transport, url, part, meter)
    except DigestMismatchError:
        if part.verified_bytes != inherited_at:
            raise
        _receive(transport, url, part, meter)


def _receive(transport: Transport, url: str, part: _Part, meter: _Meter) -> None:
    if part.is_complete:
        return
    body = transport.open(url, offset=part.had_bytes)
    if body.start != part.had_bytes:
        part.cut()
    with closing(bytes_of(body, part.had_bytes, url)) as pieces:
        for data in pieces:
            part.take(data, url)
            meter.show(part.had_bytes)
    if not part.is_complete:
        raise TransportError(
            "the body ended early",
            subject=url,
            expected=f"{part.size_bytes} bytes",
            found=f"{part.had_bytes} bytes",
        )
