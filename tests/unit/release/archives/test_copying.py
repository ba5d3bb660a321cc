"""Copies of open files: whole, or refused, whatever the kernel can do for them."""

import errno
import os
from pathlib import Path

import pytest

from lockgate_release.archives.copying import copy_content
from lockgate_release.errors import ArchiveError

DATA = bytes(range(256)) * 40


@pytest.fixture
def source(tmp_path: Path) -> int:
    (tmp_path / "source").write_bytes(DATA)
    return os.open(tmp_path / "source", os.O_RDONLY)


def test_a_file_is_copied_from_its_beginning_wherever_it_stands(
    tmp_path: Path, source: int
) -> None:
    os.lseek(source, 77, os.SEEK_SET)
    with (tmp_path / "target").open("wb") as target:
        copy_content(source, target.fileno(), len(DATA), subject="a")
    os.close(source)

    assert (tmp_path / "target").read_bytes() == DATA


def test_what_the_kernel_cannot_copy_is_read_and_written(source: int) -> None:
    # Into a pipe copy_file_range(2) copies nothing.
    out, into = os.pipe()
    copy_content(source, into, len(DATA), subject="a")
    os.close(into)
    with os.fdopen(out, "rb") as found:
        assert found.read() == DATA
    os.close(source)


def test_a_source_that_is_shorter_than_it_was_is_no_copy(tmp_path: Path, source: int) -> None:
    with (
        (tmp_path / "target").open("wb") as target,
        pytest.raises(ArchiveError, match="shorter than it was"),
    ):
        copy_content(source, target.fileno(), len(DATA) + 1, subject="a")
    os.close(source)


def test_a_full_disk_is_told_as_one(source: int) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OSError, match="No space left") as caught:
        copy_content(source, full, len(DATA), subject="a")
    os.close(full)
    os.close(source)

    assert caught.value.errno == errno.ENOSPC


def test_a_file_with_holes_is_copied_with_what_they_hold(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        stream.seek(1 << 20)
        stream.write(b"end")
        stream.truncate(2 << 20)
    source = os.open(tmp_path / "sparse", os.O_RDONLY)
    target = os.open(tmp_path / "copy", os.O_RDWR | os.O_CREAT)
    copy_content(source, target, 2 << 20, subject="a")
    os.close(source)
    os.close(target)
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "sparse").read_bytes()
