"""What codecs read from: many files as one row of bytes; and what the zstd codec makes of it."""

import io
import os
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from backports import zstd

from lockgate_release.deltas import zstd_patch
from lockgate_release.deltas.file_bytes import FileBytes
from lockgate_release.errors import ArchiveError
from tests.unit.release.deltas.trees import noise, write_tree

CONTENT = {f"{n:03}": noise(n, 100 + n) for n in range(40)}
WHOLE = b"".join(CONTENT.values())


@pytest.fixture
def row(tmp_path: Path) -> Iterator[FileBytes]:
    write_tree(tmp_path, {**CONTENT, "000-empty": b""})
    files = [(name, len(data)) for name, data in CONTENT.items()]
    row = FileBytes(tmp_path, [files[0], ("000-empty", 0), *files[1:]])
    yield row
    row.close()


class Memory:
    """Old bytes that are none of files."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read_at(self, offset: int, size: int) -> bytes:
        assert 0 <= offset <= offset + size <= self.size
        return self.data[offset : offset + size]


def test_every_stretch_of_the_row_is_what_the_files_hold(row: FileBytes) -> None:
    assert row.size == len(WHOLE)
    for offset in range(0, row.size, 37):
        for wanted in (0, 1, 99, 1000):
            size = min(wanted, row.size - offset)
            assert row.read_at(offset, size) == WHOLE[offset : offset + size]
    assert row.read_at(0, row.size) == WHOLE


@pytest.mark.parametrize(
    ("offset", "size"), [(-1, 1), (0, -1), (len(WHOLE), 1), (0, len(WHOLE) + 1), (1 << 63, 1)]
)
def test_nothing_is_read_outside_of_the_row(row: FileBytes, offset: int, size: int) -> None:
    with pytest.raises(ArchiveError, match="outside of the tree"):
        row.read_at(offset, size)


def test_few_files_are_open_at_once_and_none_after_the_end(row: FileBytes) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (only their number)
    row.read_at(0, row.size)
    during = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    row.close()

    assert 0 < during - before <= 16
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_nobody_waits_for_a_pipe_in_the_place_of_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    with closing(FileBytes(tmp_path, [("a", 3)])) as row, pytest.raises((OSError, ArchiveError)):
        row.read_at(0, 3)


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"12345")
    (tmp_path / "a").symlink_to("secret")
    row = FileBytes(tmp_path, [("a", 5)])

    with pytest.raises(OSError, match="symbolic links"):
        row.read_at(0, 5)


def _decode(old: bytes, patch: bytes, size_bytes: int) -> bytes:
    """Return what comes out, and hold what came to its limit even where it fails."""
    made = b""
    try:
        for piece in zstd_patch.decode(Memory(old), io.BytesIO(patch), size_bytes=size_bytes):
            made += piece
    finally:
        assert len(made) <= size_bytes
    return made


def _segment(old: bytes, new: bytes, *, announced: int, behind: bytes = b"") -> bytes:
    prefix = zstd.ZstdDict(old, is_raw=True).as_prefix
    frame = zstd.compress(new, options={}, zstd_dict=prefix) + behind
    return struct.pack("<QIII", 0, len(old), announced, len(frame)) + frame


def test_segments_follow_one_another() -> None:
    old, new = noise(1, 3 << 20), noise(1, 3 << 20)[: 2 << 20] + noise(2, 1 << 20)
    patch = io.BytesIO()
    # So little memory that a segment is as small as it can be: 1 MiB.
    zstd_patch.encode(Memory(old), Memory(new), patch, memory_bytes=1)

    assert _decode(old, patch.getvalue(), len(new)) == new
    assert patch.tell() < (1 << 20) + 1000


def test_a_frame_yields_no_byte_more_than_its_segment_announces() -> None:
    old = noise(1, 100)
    for announced in (1, 4999, 5001):
        patch = _segment(old, bytes(5000), announced=announced)
        with pytest.raises(ArchiveError):
            _decode(old, patch, announced)


def test_bytes_behind_a_frame_are_refused() -> None:
    old = noise(1, 100)
    with pytest.raises(ArchiveError, match="not as long as announced"):
        _decode(old, _segment(old, b"new", announced=3, behind=b"\0"), 3)


def test_a_frame_for_other_old_bytes_fails_or_makes_other_bytes() -> None:
    old = noise(1, 5000)
    patch = _segment(old, old[1000:], announced=4000)
    assert _decode(old, patch, 4000) == old[1000:]
    assert _decode(noise(2, 5000), patch, 4000) != old[1000:]


@pytest.mark.parametrize(("old", "new"), [(17 << 20, 10), (10, 9 << 20)])
def test_a_segment_larger_than_any_that_is_made_is_refused(old: int, new: int) -> None:
    patch = struct.pack("<QIII", 0, old, new, 100) + bytes(100)
    with pytest.raises(ArchiveError, match="out of its bounds"):
        _decode(bytes(17 << 20), patch, new)
