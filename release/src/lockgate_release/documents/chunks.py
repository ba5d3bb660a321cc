"""The digests of a file's chunks: what finds bad bytes before the rest of the file has come."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from lockgate_release.documents.common import rest_of, with_unknown
from lockgate_release.names import Sha256Hex, is_sha256
from lockgate_release.strict_json import Fields, JsonObject

__all__ = ["MAX_CHUNKS", "MIN_CHUNK_BYTES", "ChunkHasher", "Chunks", "chunk_bytes_for"]

MIN_CHUNK_BYTES = 1 << 20
"""A file of up to this size is one chunk, and its own digest says all."""
MAX_CHUNKS = 128
"""So that the digests of a file stay below 9 KiB of a document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """A file in pieces of equal size, the last one perhaps shorter.

    Attributes:
        size_bytes: Size of each chunk but the last, in bytes, 1 MiB or more.
        sha256: The SHA-256 of each chunk, in their order.
    """

    size_bytes: int
    sha256: tuple[Sha256Hex, ...]
    unknown: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the chunks as they stand in the document."""
        known = {"size_bytes": self.size_bytes, "sha256": list(self.sha256)}
        return with_unknown(known, self.unknown)


def chunk_bytes_for(size_bytes: int) -> int:
    """Return the chunk size for a file: the smallest power of two that makes few enough."""
    chunk_bytes = MIN_CHUNK_BYTES
    while chunk_bytes * MAX_CHUNKS < size_bytes:
        chunk_bytes *= 2
    return chunk_bytes


class ChunkHasher:
    """Takes a file's bytes as they are read, and knows its chunks in the end."""

    def __init__(self, size_bytes: int) -> None:
        """Begin a file of that size."""
        self._chunk_bytes = chunk_bytes_for(size_bytes)
        self._whole = hashlib.sha256()
        self._digest = hashlib.sha256()
        self._left_bytes = self._chunk_bytes
        self._done: list[Sha256Hex] = []

    def update(self, data: bytes) -> None:
        """Go on with these bytes."""
        self._whole.update(data)
        rest = memoryview(data)
        while rest:
            taken = rest[: self._left_bytes]
            self._digest.update(taken)
            self._left_bytes -= len(taken)
            rest = rest[len(taken) :]
            if not self._left_bytes:
                self._end_chunk()

    @property
    def sha256(self) -> Sha256Hex:
        """The SHA-256 of all bytes so far."""
        return Sha256Hex(self._whole.hexdigest())

    def finish(self) -> Chunks | None:
        """Return the chunks, or None for a file that is one chunk. Call it once."""
        if self._left_bytes < self._chunk_bytes:
            self._end_chunk()
        if len(self._done) < 2:
            return None
        return Chunks(size_bytes=self._chunk_bytes, sha256=tuple(self._done))

    def _end_chunk(self) -> None:
        self._done.append(Sha256Hex(self._digest.hexdigest()))
        self._digest = hashlib.sha256()
        self._left_bytes = self._chunk_bytes


def read_chunks(fields: Fields, file_bytes: int) -> Chunks:
    """Return the chunks in `fields`, of a file of `file_bytes`.

    Raises:
        DocumentError: They are none, or are not the chunks of a file of that size.
    """
    size_bytes = fields.integer("size_bytes", minimum=MIN_CHUNK_BYTES)
    digests = fields.texts("sha256", most=MAX_CHUNKS)
    for index, digest in enumerate(digests):
        if not is_sha256(digest):
            fields.fail(
                f"sha256[{index}]",
                "wrong value",
                expected="64 lower-case hexadecimal digits",
                found=repr(digest[:100]),
            )
    needed = -(-file_bytes // size_bytes)
    if len(digests) != needed or not digests:
        fields.fail(
            "sha256",
            "not the chunks of a file of this size",
            expected=f"{needed} digests",
            found=str(len(digests)),
        )
    return Chunks(
        size_bytes=size_bytes, sha256=tuple(map(Sha256Hex, digests)), unknown=rest_of(fields)
    )
