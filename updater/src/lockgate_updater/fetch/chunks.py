"""A large artifact in the chunks that its publishers signed: which there are, and one at a time.

A byte is handed out only after the chunk it lies in has been fetched whole and fits its digest.
Opens sockets through the transport; writes nothing.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from lockgate_release.errors import DigestMismatchError, LockgateError, TransportError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from lockgate_release.documents import Artifact
    from lockgate_updater.fetch.transport import Body, Transport

__all__ = ["ChunkPlan", "ChunkedArtifact", "bad_chunk", "bytes_of", "most_telling", "open_chunked"]

_KEPT_CHUNKS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPlan:
    """Where each chunk of a file lies, and what its digest is.

    Attributes:
        size_bytes: Size of the file.
        chunk_bytes: Size of each chunk but the last, 1 or more.
        digests: The SHA-256 of each chunk, one or more.
    """

    size_bytes: int
    chunk_bytes: int
    digests: tuple[str, ...]

    @classmethod
    def of(cls, artifact: Artifact) -> ChunkPlan:
        """Return the plan of an artifact; without signed chunks the file is the only one."""
        size_bytes, chunks = artifact.size, artifact.chunks
        if chunks is None:
            digests: tuple[str, ...] = (artifact.sha256,)
            return cls(size_bytes=size_bytes, chunk_bytes=max(size_bytes, 1), digests=digests)
        return cls(size_bytes=size_bytes, chunk_bytes=chunks.size_bytes, digests=chunks.sha256)

    def begin(self, index: int) -> int:
        """Return the offset of a chunk's first byte."""
        return index * self.chunk_bytes

    def end(self, index: int) -> int:
        """Return the offset behind a chunk's last byte."""
        return min(self.begin(index + 1), self.size_bytes)


def bad_chunk(plan: ChunkPlan, index: int, url: str, found: str) -> DigestMismatchError:
    """Return the error for a chunk with other bytes than were signed."""
    return DigestMismatchError(
        "not the bytes that were signed",
        subject=f"{url}, chunk {index + 1} of {len(plan.digests)}",
        expected=plan.digests[index],
        found=found,
    )


def most_telling(failures: Sequence[LockgateError]) -> LockgateError:
    """Return what people should hear when every source has failed, one or more.

    A source that could not be reached may be right the next time: only where every one has sent
    wrong bytes is it the repository that is wrong.
    """
    return next((item for item in failures if isinstance(item, TransportError)), failures[0])


class _Closable(Protocol):
    """What a generator of chunks also is: closing it ends the connection."""

    def close(self) -> None: ...


def bytes_of(body: Body, wanted: int, url: str) -> Generator[bytes, None, None]:
    """Yield an answer's bytes from the offset `wanted` on; the end of this closes the answer.

    Raises:
        TransportError: It begins behind that offset, or breaks off.
    """
    with closing(cast("_Closable", body.chunks)):
        if body.start > wanted:
            raise TransportError(
                "another range than was asked for",
                subject=url,
                expected=f"from byte {wanted}",
                found=f"from byte {body.start}",
            )
        skip = wanted - body.start
        for data in body.chunks:
            if skip < len(data):
                yield data[skip:]
            skip = max(0, skip - len(data))


class ChunkedArtifact(io.RawIOBase):
    """An artifact on a server as a file: seekable, read-only, each chunk fetched when it is read.

    Holds the last two chunks in memory; an artifact without signed chunks is one chunk.

    Attributes:
        fetched_bytes: What has come over the wire so far, wrong bytes included.
    """

    def __init__(self, transport: Transport, urls: Sequence[str], artifact: Artifact) -> None:
        """Prepare the file; nothing is fetched yet."""
        super().__init__()
        self.fetched_bytes = 0
        self._transport = transport
        self._urls = list(urls)
        self._plan = ChunkPlan.of(artifact)
        self._at = 0
        self._kept: dict[int, bytes] = {}

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset and return it; behind the end there is nothing to read.

        Raises:
            ValueError: It lies before the first byte.
        """
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._plan.size_bytes}[whence]
        if base + offset < 0:
            raise ValueError("negative offset")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` with verified bytes, at most to the end of a chunk; 0 at the file's end.

        Raises:
            DigestMismatchError: No source has the bytes that were signed.
            TransportError: They do not come.
        """
        if self._at >= self._plan.size_bytes:
            return 0
        index, skip = divmod(self._at, self._plan.chunk_bytes)
        view = memoryview(buffer).cast("B")
        piece = self._chunk(index)[skip : skip + len(view)]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _chunk(self, index: int) -> bytes:
        if index not in self._kept:
            data = self._fetch_anywhere(index)
            while len(self._kept) >= _KEPT_CHUNKS:
                del self._kept[next(iter(self._kept))]
            self._kept[index] = data
        return self._kept[index]

    def _fetch_anywhere(self, index: int) -> bytes:
        failures: list[LockgateError] = []
        for url in tuple(self._urls):
            try:
                return self._fetch(index, url)
            except (TransportError, DigestMismatchError) as exc:
                failures.append(exc)
                # Who failed once is asked last from now on.
                self._urls.remove(url)
                self._urls.append(url)
        raise most_telling(failures)

    def _fetch(self, index: int, url: str) -> bytes:
        begin = self._plan.begin(index)
        length = self._plan.end(index) - begin
        data = bytearray()
        body = self._transport.open(url, offset=begin, length_bytes=length)
        with closing(bytes_of(body, begin, url)) as pieces:
            for piece in pieces:
                self.fetched_bytes += len(piece)
                data += piece[: length - len(data)]
                if len(data) == length:
                    break
        if len(data) < length:
            raise TransportError(
                "the body ended early",
                subject=url,
                expected=f"{length} bytes from byte {begin}",
                found=f"{len(data)} bytes",
            )
        found = hashlib.sha256(data).hexdigest()
        if found != self._plan.digests[index]:
            raise bad_chunk(self._plan, index, url, found)
        return bytes(data)


def open_chunked(transport: Transport, urls: Sequence[str], artifact: Artifact) -> ChunkedArtifact:
    """Return the artifact as a file whose chunks are fetched and verified when they are read.

    Args:
        transport: How bytes come.
        urls: Where the artifact lies, one or more, asked in this order.
        artifact: Its signed size, digest and chunks.
    """
    return ChunkedArtifact(transport, urls, artifact)
