"""The covers of a block: what is copied from where to where, as columns of numbers."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lockgate_release.deltas.columns import ColumnReader, damaged, varints_of
from lockgate_release.deltas.references import Piece, Segment

__all__ = ["CoverTable"]

_FAR = 1 << 62
_HALF = 1 << 31
_MASK = 0xFFFFFFFF


class CoverTable:
    """All covers of a block, in the order of the new bytes.

    Attributes:
        olds: Where each begins in the old bytes.
        news: Where each begins in the new bytes.
        lengths: How many bytes each has.
        addresses: The old address of its first byte.
        aparts: By how much the new address of each is greater than the old one, modulo 2**32 and
            with a sign.
    """

    def __init__(self, columns: Mapping[str, ColumnReader], *, old_bytes: int) -> None:
        """Begin with none of them. `old_bytes` is how many there are to copy from."""
        self._numbers = [varints_of(columns[name]) for name in ("gaps", "lengths", "seeks")]
        self._old_bytes = old_bytes
        self.olds, self.news, self.lengths = array("q"), array("q"), array("q")
        self.addresses, self.aparts = array("q"), array("i")

    def read(self, count: int, pieces: Iterable[Piece], segments: Sequence[Segment]) -> None:
        """Read all of them.

        Raises:
            ArchiveError: There are more or fewer than `count`, one reads outside of the old bytes,
                or one is not all in one piece.
        """
        order = iter(pieces)
        old_bytes = self._old_bytes
        old_at = new_at = limit = shift = bias = 0
        low = high = -1
        for gap, length, seek in _together(*self._numbers):
            new_at += gap
            old_at += gap + (seek >> 1 ^ -(seek & 1))
            end = old_at + length
            if old_at < 0 or end > old_bytes or not count:
                raise damaged("a cover lies outside of the old bytes")
            if new_at >= limit:
                limit, shift = _piece_at(order, new_at)
            if not low <= old_at < high:
                low, high, bias = _segment_at(segments, old_at)
            address = old_at + bias
            self.olds.append(old_at)
            self.news.append(new_at)
            self.lengths.append(length)
            self.addresses.append(address)
            self.aparts.append((new_at + shift - address + _HALF & _MASK) - _HALF)
            new_at += length
            old_at = end
            count -= 1
            if new_at > limit or not length:
                raise damaged("a cover is not all in one piece")
        if count:
            raise damaged("has fewer covers than its head says")

    def until(self, piece: Piece, first: int) -> int:
        """Return the number of the first cover behind a piece whose own begin at `first`."""
        return bisect_left(self.news, piece.end, first)


def _together(
    gaps: Iterator[int], lengths: Iterator[int], seeks: Iterator[int]
) -> Iterator[tuple[int, int, int]]:
    try:
        yield from zip(gaps, lengths, seeks, strict=True)
    except ValueError as error:
        raise damaged("has covers that are said only in part") from error


def _piece_at(order: Iterator[Piece], at: int) -> tuple[int, int]:
    for piece in order:
        if at < piece.end:
            return piece.end, piece.region.bias
    raise damaged("a cover lies outside of the new bytes")


def _segment_at(segments: Sequence[Segment], at: int) -> tuple[int, int, int]:
    index = bisect_right(segments, at, key=_start)
    end = segments[index].start if index < len(segments) else _FAR
    return (segments[index - 1].start, end, segments[index - 1].bias) if index else (0, end, 0)


def _start(segment: Segment) -> int:
    return segment.start
