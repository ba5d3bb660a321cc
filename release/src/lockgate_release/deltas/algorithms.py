"""The codecs that turn new bytes into a patch of old ones, and back. Looks, and imports none.

A codec sees two rows of bytes and knows nothing of trees. Its name is what `extras.json` declares:
a client passes over what it does not know, so that a better one can be added at any time. Whoever
changes the bytes that a codec makes gives it a new name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import BinaryIO, Protocol

from lockgate_release.capabilities import ZSTD, optional_capabilities
from lockgate_release.deltas.file_bytes import OldBytes
from lockgate_release.errors import ArchiveError, UsageError

__all__ = [
    "COLUMNS_1",
    "ZSTD_1",
    "Codec",
    "check_makeable",
    "find_codec",
    "makeable_algorithms",
    "supported_algorithms",
]

COLUMNS_1 = "lockgate-columns-1"
"""The smallest; applied by the standard library alone."""
ZSTD_1 = "lockgate-zstd-1"
"""The quickest to make, and larger. Applied where zstd is."""


class _Encode(Protocol):
    def __call__(
        self,
        old: OldBytes,
        new: OldBytes,
        out: BinaryIO,
        *,
        memory_bytes: int,
        tree_bytes: int = 0,
    ) -> None: ...


class _Decode(Protocol):
    def __call__(
        self, old: OldBytes, patch: BinaryIO, *, size_bytes: int
    ) -> Iterator[bytes | bytearray]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One way to make a patch and to apply it.

    Attributes:
        encode: Writes to `out` what leads from `old` to `new`, in about `memory_bytes`.
        decode: Yields exactly `size_bytes` of the new bytes, or raises ArchiveError.
        decode_memory_bytes: The most that a process takes, in bytes, which does nothing but decode
            so many new bytes from so many old ones.
    """

    encode: _Encode
    decode: _Decode
    decode_memory_bytes: Callable[[int, int], int]


def supported_algorithms() -> frozenset[str]:
    """Return the algorithms whose deltas can be applied here."""
    found = {COLUMNS_1} if find_spec("_lzma") else set()
    if ZSTD in optional_capabilities():
        found.add(ZSTD_1)
    return frozenset(found)


def makeable_algorithms() -> frozenset[str]:
    """Return the algorithms whose deltas can be made here."""
    found = supported_algorithms()
    return found if find_spec("hdiffpatch") else found - {COLUMNS_1}


def find_codec(algorithm: str, *, subject: str) -> Codec:
    """Return the codec of that name, which this Python can apply.

    Args:
        algorithm: Its name.
        subject: The delta, for messages.

    Raises:
        ArchiveError: There is none.
    """
    if algorithm not in supported_algorithms():
        raise ArchiveError(
            "made in a way that is not known here",
            subject=subject,
            expected=" or ".join(sorted(supported_algorithms())),
            found=algorithm,
        )
    if algorithm == ZSTD_1:
        from lockgate_release.deltas import zstd_patch  # noqa: PLC0415 (only for its deltas)

        return Codec(
            encode=zstd_patch.encode,
            decode=zstd_patch.decode,
            decode_memory_bytes=zstd_patch.decode_memory_bytes,
        )
    from lockgate_release.deltas import codec  # noqa: PLC0415 (only for its deltas)

    return Codec(
        encode=codec.encode_solid,
        decode=codec.decode_solid,
        decode_memory_bytes=codec.decode_memory_bytes,
    )


def check_makeable(algorithm: str) -> None:
    """Return if deltas of that algorithm can be made here.

    Raises:
        UsageError: They cannot.
    """
    if algorithm in makeable_algorithms():
        return
    library = {COLUMNS_1: "lockgate-release[deltas]", ZSTD_1: "lockgate-release[zstd]"}
    wanted = library.get(algorithm)
    raise UsageError(
        "deltas of this algorithm cannot be made here",
        subject=algorithm,
        expected=" or ".join(sorted(library)),
        hint=f"Install {wanted}." if wanted else "",
    )
