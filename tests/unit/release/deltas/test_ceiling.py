"""What a ceiling of memory changes: not what is found, only how much is looked at at once."""

from __future__ import annotations

import io
import random
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from lockgate_release.deltas.blocks import cut_blocks, cut_covers
from lockgate_release.deltas.codec import decode_solid, encode_solid
from lockgate_release.deltas.file_bytes import FileBytes
from lockgate_release.deltas.grouping import find_all_covers, find_groups
from lockgate_release.deltas.matching import Cover
from lockgate_release.deltas.stretches import Stretches
from tests.unit.release.deltas.rows import Bytes

MB = 1 << 20
TIGHT_BYTES = 47 * MB
FILE_BYTES = 400_000
"""Too little for these rows in one block."""


def shuffled(data: bytes, size: int, seed: int) -> bytes:
    """Return the data with its parts of that size in another order, each a little changed."""
    chance = random.Random(seed)
    parts = [bytearray(data[at : at + size]) for at in range(0, len(data), size)]
    chance.shuffle(parts)
    for part in parts:
        part[chance.randrange(len(part))] ^= 1
    return b"".join(parts)


@pytest.fixture(scope="module")
def old() -> bytes:
    return random.Random(7).randbytes(4 * MB)


@pytest.fixture(scope="module")
def new(old: bytes) -> bytes:
    return shuffled(old, 150_000, 8)


def test_what_moved_far_is_found_although_only_a_part_is_looked_at_at_once(
    old: bytes, new: bytes
) -> None:
    memory_bytes = 14 * MB
    assert len(list(find_groups(Bytes(old), Bytes(new), memory_bytes=memory_bytes))) > 2
    covers = find_all_covers(Bytes(old), Bytes(new), memory_bytes=memory_bytes)
    looked_at = [(c, at) for c in covers for at in range(0, c.length, 500)]
    alike = sum(old[c.old + at] == new[c.new + at] for c, at in looked_at)
    assert alike > 0.97 * len(new) / 500


def test_covers_of_all_groups_are_in_order_and_never_overlap(old: bytes, new: bytes) -> None:
    covers = find_all_covers(Bytes(old), Bytes(new), memory_bytes=9 * MB)
    assert all(a.new + a.length <= b.new for a, b in pairwise(covers))
    assert all(c.old + c.length <= len(old) and c.new + c.length <= len(new) for c in covers)


@pytest.mark.parametrize("memory_bytes", [6 * MB, 9 * MB, 14 * MB, 64 * MB])
def test_no_group_takes_more_than_the_ceiling_and_each_new_byte_is_in_one(
    old: bytes, new: bytes, memory_bytes: int
) -> None:
    groups = list(find_groups(Bytes(old), Bytes(new), memory_bytes=memory_bytes))
    room = memory_bytes + 6 * 4 * 65536  # the edges that neighbours share
    assert all(6 * olds.size + news.size <= room for olds, news in groups)
    assert sum(news.size for _, news in groups) == len(new)


@pytest.fixture
def rows(tmp_path: Path, old: bytes) -> tuple[FileBytes, FileBytes]:
    """Return ten files, and the same a little changed, in the opposite order."""
    names = "abcdefghij"
    for side in ("old", "new"):
        (tmp_path / side).mkdir()
    for number, name in enumerate(names):
        part = old[number * FILE_BYTES :][:FILE_BYTES]
        (tmp_path / "old" / name).write_bytes(part)
        (tmp_path / "new" / names[-1 - number]).write_bytes(part[:500] + b"new" + part[500:])
    sizes = ((tmp_path / "old", FILE_BYTES), (tmp_path / "new", FILE_BYTES + 3))
    before, after = (FileBytes(root, [(name, size) for name in names]) for root, size in sizes)
    return before, after


def test_each_block_gets_the_old_files_that_it_resembles_wherever_they_stand(
    rows: tuple[FileBytes, FileBytes],
) -> None:
    old, new = rows
    with closing(old), closing(new):
        out = io.BytesIO()
        encode_solid(old, new, out, memory_bytes=TIGHT_BYTES)
        assert len(cut_blocks(old, new, memory_bytes=TIGHT_BYTES)) == 5
        assert len(out.getvalue()) < 2000
        out.seek(0)
        made = b"".join(decode_solid(old, out, size_bytes=new.size))
        assert made == new.read_at(0, new.size)


def test_blocks_hold_whole_files_as_long_as_that_goes(
    rows: tuple[FileBytes, FileBytes],
) -> None:
    old, new = rows
    with closing(old), closing(new):
        for block in cut_blocks(old, new, memory_bytes=TIGHT_BYTES):
            assert block.new.place(0) % (FILE_BYTES + 3) == 0
            assert block.new.size == 2 * (FILE_BYTES + 3)
            assert block.old.size < old.size
            assert all(block.old.place(at) % FILE_BYTES == 0 for at in block.old.starts)


def test_more_covers_than_a_block_may_have_make_several_blocks() -> None:
    covers = [Cover(0, 10 * number, 5) for number in range(7)]
    cut = list(cut_covers(covers, 100, most=3))
    assert [(start, end, len(part)) for start, end, part in cut] == [
        (0, 25, 3),
        (25, 55, 3),
        (55, 100, 1),
    ]
    assert [start + cover.new for start, _, part in cut for cover in part] == [
        cover.new for cover in covers
    ]
    assert list(cut_covers([], 9, most=3)) == [(0, 9, [])]


def test_stretches_are_one_row_that_knows_where_each_byte_is_from() -> None:
    whole = Bytes(bytes(range(100)))
    row = Stretches(whole, [(10, 20), (20, 25), (50, 60)])
    assert row.read() == bytes([*range(10, 25), *range(50, 60)])
    assert row.read_at(13, 4) == bytes([23, 24, 50, 51])
    assert [row.place(at) for at in (0, 14, 15, 24, 25)] == [10, 24, 50, 59, 60]
    assert [row.left(at) for at in (0, 14, 15, 24)] == [15, 1, 10, 1]
