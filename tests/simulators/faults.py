"""What a repository can be told to do wrong, address by address."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How an answer goes wrong."""

    STATUS = "status"
    """Answer with `number` instead of the file."""
    CORRUPT = "corrupt"
    """One bit of the byte at `number` is flipped."""
    TRUNCATE = "truncate"
    """Only the first `number` bytes, as if that were all."""
    CUT = "cut"
    """The connection breaks after `number` bytes."""
    STALL = "stall"
    """Nothing more comes after `number` bytes."""
    ENDLESS = "endless"
    """The file, and then zeros that never end."""


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind
    number: int = 0


def spoil(data: bytes, fault: Fault | None) -> bytes:
    """The bytes that come, as far as they end."""
    match fault:
        case Fault(Kind.CORRUPT, number):
            return data[:number] + bytes([data[number] ^ 0x01]) + data[number + 1 :]
        case Fault(Kind.TRUNCATE | Kind.CUT | Kind.STALL, number):
            return data[:number]
        case _:
            return data


def zeros() -> Iterator[bytes]:
    while True:
        yield bytes(1 << 16)
