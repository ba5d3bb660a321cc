"""The covers of a block: what is copied from where to where, as columns of numbers."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lockgate_release.deltas.columns import ColumnReader, damaged, varints_of
from lockgate_release.deltas.references import Piece, Segment

__all__ = ["CoverTable"]

_NAMES = ("gaps", "lengths", "seeks")
_FAR = 1 << 62
_HALF = 1 << 31
_MASK = 0xFFFFFFFF


class CoverTable:
    """All covers of a block, in the order of the new bytes.

    Attributes:
        olds: Where each begins in the old bytes.
        starts: Where each begins in its piece.
        lengths: How many bytes each has.
        aparts: By how much the new address of each is greater than the old one, modulo 2**32 and
            with a sign.
        bounds: How many covers there are in front of each piece, and in all.
    """

    def __init__(self, columns: Mapping[str, ColumnReader], *, old_bytes: int) -> None:
        """Begin with none of them. `old_bytes` is how many there are to copy from."""
        self._columns = [columns[name] for name in _NAMES]
        self._old_bytes = old_bytes
        self.olds, self.aparts = array("q" if old_bytes >> 32 else "I"), array("i")
        self.starts, self.lengths = array("I"), array("I")
        self.bounds = array("I")

    def read(self, count: int, pieces: Iterable[Piece], segments: Sequence[Segment]) -> array[int]:
        """Read all of them, and return the old address of the first byte of each.

        Raises:
            ArchiveError: There are more or fewer than `count`, one reads outside of the old bytes,
                or one is not all in one piece.
        """
        order = iter(pieces)
        old_bytes, bounds = self._old_bytes, self.bounds
        old_at = new_at = done = start = limit = shift = bias = 0
        low = high = -1
        addresses = array("q")
        for gap, length, seek in _together(*map(varints_of, self._columns)):
            new_at += gap
            old_at += gap + (seek >> 1 ^ -(seek & 1))
            end = old_at + length
            if old_at < 0 or end > old_bytes or done == count:
                raise damaged("a cover lies outside of the old bytes")
            while new_at >= limit:
                start, limit, shift = _next_piece(order)
                bounds.append(done)
            if not length or new_at + length > limit:
                raise damaged("a cover is not all in one piece")
            if not low <= old_at < high:
                low, high, bias = _segment_at(segments, old_at)
            address = old_at + bias
            self.olds.append(old_at)
            self.starts.append(new_at - start)
            self.lengths.append(length)
            addresses.append(address)
            self.aparts.append((new_at + shift - address + _HALF & _MASK) - _HALF)
            new_at += length
            old_at = end
            done += 1
        if done < count:
            raise damaged("has fewer covers than its head says")
        bounds.extend(done for _ in order)
        bounds.append(done)
        for column in self._columns:
            column.finish()
        return addresses


def _together(
    gaps: Iterator[int], lengths: Iterator[int], seeks: Iterator[int]
) -> Iterator[tuple[int, int, int]]:
    try:
        yield from zip(gaps, lengths, seeks, strict=True)
    except ValueError as error:
        raise damaged("has covers that are said only in part") from error


def _next_piece(order: Iterator[Piece]) -> tuple[int, int, int]:
    for piece in order:
        return piece.start, piece.end, piece.region.bias
    raise damaged("a cover lies outside of the new bytes")


def _segment_at(segments: Sequence[Segment], at: int) -> tuple[int, int, int]:
    index = bisect_right(segments, at, key=_start)
    end = segments[index].start if index < len(segments) else _FAR
    return (segments[index - 1].start, end, segments[index - 1].bias) if index else (0, end, 0)


def _start(segment: Segment) -> int:
    return segment.start
