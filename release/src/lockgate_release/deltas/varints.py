"""Whole numbers in as few bytes as they need: seven bits a byte, the lowest first.

The last byte of a number is below 128. Signed ones are folded first: 0, -1, 1, -2 … become 0, 1, 2,
3 …

Source: Protocol Buffers, "Base 128 Varints" and "Signed Integers" (zig-zag), up to 63 bits.
"""

from __future__ import annotations

from lockgate_release.errors import ArchiveError

__all__ = ["VarintReader", "fold", "pack_varint", "unfold"]

_MAX_BITS = 63


def fold(value: int) -> int:
    """Return a signed number as one that is not negative."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def unfold(value: int) -> int:
    """Return the signed number that was folded."""
    return -((value + 1) >> 1) if value & 1 else value >> 1


def pack_varint(value: int) -> bytes:
    """Return the bytes of a number from 0 to 2**63 - 1.

    Raises:
        ValueError: It is none of these.
    """
    if not 0 <= value < 1 << _MAX_BITS:
        raise ValueError(f"no number that can be packed: {value}")
    packed = bytearray()
    while value >= 0x80:
        packed.append(value & 0x7F | 0x80)
        value >>= 7
    packed.append(value)
    return bytes(packed)


class VarintReader:
    """Numbers and pieces that stand one behind the other in bytes that nobody trusts."""

    def __init__(self, data: bytes, *, subject: str) -> None:
        """Read `data` from its beginning; `subject` names it in messages."""
        self._data = data
        self._at = 0
        self._subject = subject

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._data)

    def number(self, limit: int) -> int:
        """Return the next number.

        Args:
            limit: The largest that makes sense, below 2**63.

        Raises:
            ArchiveError: It is larger, or cut off.
        """
        value = shift = 0
        data, at = self._data, self._at
        while True:
            if at >= len(data) or shift > _MAX_BITS:
                raise ArchiveError("cut off, or no number", subject=self._subject)
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        self._at = at
        if value > limit:
            raise ArchiveError(
                "a number out of its bounds",
                subject=self._subject,
                expected=f"at most {limit}",
                found=str(value),
            )
        return value

    def signed(self, limit: int) -> int:
        """Return the next signed number, from -limit to limit.

        Raises:
            ArchiveError: It is outside, or cut off.
        """
        return unfold(self.number(2 * limit))

    def piece(self, size_bytes: int) -> bytes:
        """Return the next bytes.

        Raises:
            ArchiveError: There are fewer.
        """
        end = self._at + size_bytes
        if size_bytes < 0 or end > len(self._data):
            raise ArchiveError("cut off", subject=self._subject)
        piece = self._data[self._at : end]
        self._at = end
        return piece
