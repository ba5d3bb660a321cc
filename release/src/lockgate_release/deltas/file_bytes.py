"""Many files as one row of bytes, read by position. Holds a few of them open, and no content."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import Protocol

from lockgate_release.archives.copying import PLAIN_FILE
from lockgate_release.errors import ArchiveError

__all__ = ["FileBytes", "OldBytes", "OldPages"]

_MAX_OPEN = 16
_PAGE_BITS = 16
_PAGE_BYTES = 1 << _PAGE_BITS
_MAX_PAGES = 64


class OldBytes(Protocol):
    """Bytes that can be read from anywhere.

    Attributes:
        size: How many there are.
    """

    size: int

    def read_at(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes from `offset` on; all of them must be there."""
        ...


class FileBytes:
    """The content of files below one folder, one behind the other. Close it after use.

    Attributes:
        size: How many bytes there are.
        ends: Where each file that is not empty ends, in order.
    """

    def __init__(self, root: Path, files: Iterable[tuple[str, int]]) -> None:
        """Take the files, each by its path relative to `root` and its size in bytes."""
        self._root = root
        self._paths: list[str] = []
        sizes: list[int] = []
        for path, size_bytes in files:
            if size_bytes:
                self._paths.append(path)
                sizes.append(size_bytes)
        self.ends = list(accumulate(sizes))
        self.size = self.ends[-1] if self.ends else 0
        self._open: dict[int, int] = {}

    def read_at(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes from `offset` on.

        Raises:
            ArchiveError: They are not all inside, or a file is shorter than it was.
            OSError: A file cannot be read.
        """
        if offset < 0 or size < 0 or offset + size > self.size:
            raise ArchiveError(
                "bytes from outside of the tree that is there",
                expected=f"at most {self.size}",
                found=f"{size} from {offset} on",
            )
        pieces = []
        index = bisect_right(self.ends, offset)
        while size:
            start = self.ends[index - 1] if index else 0
            wanted = min(size, self.ends[index] - offset)
            pieces.append(self._read(index, offset - start, wanted))
            offset += wanted
            size -= wanted
            index += 1
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Close all files."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _read(self, index: int, offset: int, size: int) -> bytes:
        handle = self._handle(index)
        data = os.pread(handle, size, offset)
        while len(data) < size:
            more = os.pread(handle, size - len(data), offset + len(data))
            if not more:
                raise ArchiveError("shorter than it was", subject=self._paths[index])
            data += more
        return data

    def _handle(self, index: int) -> int:
        handle = self._open.pop(index, None)
        if handle is None:
            while len(self._open) >= _MAX_OPEN:
                os.close(self._open.pop(next(iter(self._open))))
            path = f"{self._root}/{self._paths[index]}"
            handle = os.open(path, PLAIN_FILE)
        # The last used stands last, so that the first is the one to close.
        self._open[index] = handle
        return handle


class OldPages:
    """Bytes of which the last read pages stay at hand: at most 4 MiB."""

    def __init__(self, source: OldBytes) -> None:
        """Read from `source`."""
        self._source = source
        self._pages: dict[int, bytes] = {}

    def read_at(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes from `offset` on; all of them must be there.

        Raises:
            ArchiveError: There are fewer.
        """
        if size >= _PAGE_BYTES:
            return self._source.read_at(offset, size)
        number = offset >> _PAGE_BITS
        start = offset - (number << _PAGE_BITS)
        page = self._pages.get(number)
        if page is None:
            page = self._load(number)
        data = page[start : start + size]
        if len(data) < size:
            # It goes on in the next page.
            rest = offset + len(data)
            data += self._source.read_at(rest, offset + size - rest)
        return data

    def _load(self, number: int) -> bytes:
        while len(self._pages) >= _MAX_PAGES:
            del self._pages[next(iter(self._pages))]
        start = number << _PAGE_BITS
        page = self._source.read_at(start, min(_PAGE_BYTES, self._source.size - start))
        self._pages[number] = page
        return page
