"""Stretches of a longer row of bytes, seen as one row of their own."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate

from lockgate_release.deltas.file_bytes import OldBytes

__all__ = ["Stretches"]

_READ_BYTES = 1 << 20


class Stretches:
    """What lies in some stretches, one behind the other. What touches is one stretch.

    Attributes:
        size: How many bytes there are.
        starts: Where each stretch begins among these bytes, in order.
    """

    def __init__(self, row: OldBytes, stretches: Iterable[tuple[int, int]]) -> None:
        """Take stretches of a row, each with its start and end, in order and never overlapping."""
        self._row = row
        self._places: list[int] = []
        sizes: list[int] = []
        end = -1
        for start, until in stretches:
            if start == end:
                sizes[-1] += until - start
            elif until > start:
                self._places.append(start)
                sizes.append(until - start)
            end = until
        self.starts = [0, *accumulate(sizes)]
        self.size = self.starts.pop()

    def place(self, at: int) -> int:
        """Return where a byte of these lies in the whole row; what is behind all, behind the last.

        There must be a stretch.
        """
        index = bisect_right(self.starts, at) - 1
        return self._places[index] + at - self.starts[index]

    def left(self, at: int) -> int:
        """Return how many bytes there are from `at` to the end of its stretch."""
        index = bisect_right(self.starts, at)
        return (self.starts[index] if index < len(self.starts) else self.size) - at

    def read_at(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes from `offset` on; all of them must be there."""
        return b"".join(self._pieces(offset, size))

    def read(self) -> bytes:
        """Return all of them."""
        return self.read_at(0, self.size)

    def _pieces(self, offset: int, size: int) -> Iterator[bytes]:
        while size:
            wanted = min(size, self.left(offset), _READ_BYTES)
            yield self._row.read_at(self.place(offset), wanted)
            offset += wanted
            size -= wanted
