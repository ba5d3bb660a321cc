"""Which old bytes a block gets: those that it is like, so that making it takes no longer."""

from __future__ import annotations

import io
import os
import random
import struct
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from lockgate_release.deltas.blocks import Block, cut_blocks
from lockgate_release.deltas.codec import decode_solid, encode_solid
from lockgate_release.deltas.columns import read_varint
from lockgate_release.deltas.encoding import encode_block
from lockgate_release.deltas.file_bytes import FileBytes
from lockgate_release.deltas.grouping import find_groups
from lockgate_release.deltas.stretches import Stretches
from tests.unit.release.deltas.rows import Bytes

MB = 1 << 20
TIGHT_BYTES = 47 * MB
"""Blocks of 1 MiB of new bytes, with twice as many old ones at most."""
FILE_BYTES = 900_000


def files_of(root: Path, contents: Mapping[str, bytes]) -> FileBytes:
    root.mkdir()
    for name, data in contents.items():
        (root / name).write_bytes(data)
    return FileBytes(root, [(name, len(contents[name])) for name in sorted(contents)])


def changed(data: bytes) -> bytes:
    return data[:500] + b"new" + data[503:]


def noise(seed: int, size: int = FILE_BYTES) -> bytes:
    return random.Random(seed).randbytes(size)


def encoded(old: FileBytes, new: FileBytes) -> bytes:
    out = io.BytesIO()
    encode_solid(old, new, out, memory_bytes=TIGHT_BYTES)
    out.seek(0)
    assert b"".join(decode_solid(old, out, size_bytes=new.size)) == new.read_at(0, new.size)
    return out.getvalue()


def test_a_block_gets_no_old_files_that_nothing_is_like_although_there_is_room(
    tmp_path: Path,
) -> None:
    olds = {name: noise(seed) for seed, name in enumerate("abcdef")}
    news = {"a": noise(10), "b": changed(olds["e"]), "c": noise(11), "d": noise(12)}
    old, new = files_of(tmp_path / "old", olds), files_of(tmp_path / "new", news)
    with closing(old), closing(new):
        blocks = cut_blocks(old, new, memory_bytes=TIGHT_BYTES)
    taken = [[block.old.place(at) for at in block.old.starts] for block in blocks]
    assert taken == [[], [4 * FILE_BYTES], [], []]
    assert blocks[1].old.size == FILE_BYTES


def test_what_is_like_nothing_is_no_block_with_what_is_like_something(tmp_path: Path) -> None:
    size = MB + 65536
    memory_bytes = 100 * MB  # blocks of some 8 MB
    olds = {name: noise(seed, size) for seed, name in enumerate("abcdefghij")}
    news = {name: changed(olds[name]) for name in "abcdij"}
    news |= {name: noise(seed, size) for seed, name in enumerate("efgh", 20)}
    old, new = files_of(tmp_path / "old", olds), files_of(tmp_path / "new", news)
    with closing(old), closing(new):
        blocks = cut_blocks(old, new, memory_bytes=memory_bytes)
    assert [(block.new.size // size, block.old.size // size) for block in blocks] == [
        (4, 4),
        (4, 0),
        (2, 2),
    ]


def test_small_old_files_are_taken_with_their_neighbours(tmp_path: Path) -> None:
    olds = {name: noise(seed, 100_000) for seed, name in enumerate("abcdef")}
    news = {"a": changed(olds["c"]), "b": noise(10, 2 * MB)}
    old, new = files_of(tmp_path / "old", olds), files_of(tmp_path / "new", news)
    with closing(old), closing(new):
        first = cut_blocks(old, new, memory_bytes=TIGHT_BYTES)[0]
    assert (first.old.place(0), first.old.size) == (200_000, 200_000)


@pytest.mark.parametrize(("size", "is_taken"), [(200_000, True), (FILE_BYTES, False)])
def test_a_small_old_file_is_taken_even_if_little_of_it_is_met(
    tmp_path: Path, size: int, *, is_taken: bool
) -> None:
    olds = {"a": noise(1, size)}
    news = {"a": noise(10) + olds["a"][100_000:103_000], "b": noise(11)}
    old, new = files_of(tmp_path / "old", olds), files_of(tmp_path / "new", news)
    with closing(old), closing(new):
        assert bool(cut_blocks(old, new, memory_bytes=TIGHT_BYTES)[0].old.size) is is_taken


def test_small_files_find_their_like_wherever_it_stands(tmp_path: Path) -> None:
    size = 3000
    olds = {f"{number:03}": noise(number, size) for number in range(700)}
    news = {f"{699 - number:03}": changed(data) for number, data in enumerate(olds.values())}
    old, new = files_of(tmp_path / "old", olds), files_of(tmp_path / "new", news)
    with closing(old), closing(new):
        assert len(encoded(old, new)) < 700 * 40


def test_what_has_no_anchors_is_looked_for_at_its_height(tmp_path: Path) -> None:
    """Numbers of 32 bits that are small: every fourth byte is 0, and an anchor has four others."""
    chance = random.Random(5)
    olds = {
        name: struct.pack("<200000I", *(chance.randrange(1 << 16) for _ in range(200_000)))
        for name in "abcdef"
    }
    news = {name: changed(data) for name, data in olds.items()}
    old, new = files_of(tmp_path / "old", olds), files_of(tmp_path / "new", news)
    with closing(old), closing(new):
        assert all(block.old.size for block in cut_blocks(old, new, memory_bytes=TIGHT_BYTES))
        assert len(encoded(old, new)) < 2000


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[FileBytes]:
    """Return three files of 130, 60 and 60 MB that hold nothing, and take no room."""
    sizes = {"a": 130 * MB, "b": 60 * MB, "c": 60 * MB}
    for name, size in sizes.items():
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, size)
    with closing(FileBytes(tmp_path, list(sizes.items()))) as row:
        yield row


def test_a_program_larger_than_other_blocks_stays_whole_where_the_memory_allows_it(
    empty: FileBytes,
) -> None:
    def sizes(memory_bytes: int) -> list[int]:
        blocks = cut_blocks(Bytes(b""), empty, memory_bytes=memory_bytes)
        return [block.new.size // MB for block in blocks]

    assert sizes(1200 * MB) == [130, 120]
    assert sizes(900 * MB) == [65, 65, 60, 60]


def test_groups_stay_small_however_much_memory_there_is(empty: FileBytes) -> None:
    groups = list(find_groups(empty, Bytes(b"new"), memory_bytes=100_000 * MB))
    assert all(olds.size < 160 * MB for olds, _ in groups)


def test_nothing_is_matched_where_there_are_no_old_bytes() -> None:
    assert list(find_groups(Bytes(b""), Bytes(b"new"), memory_bytes=1)) == []


def pieces_from(old: bytes, count: int, size: int) -> bytes:
    """Return that many pieces of the old bytes, of that size, from anywhere, with noise between."""
    chance = random.Random(9)
    places = (chance.randrange(len(old) - size) for _ in range(count))
    return b"".join(old[at : at + size] + chance.randbytes(12) for at in places)


@pytest.mark.parametrize(("short", "is_whole"), [(30, True), (60, False)])
def test_short_covers_are_dropped_before_a_block_is_cut(short: int, is_whole: bool) -> None:
    old = noise(1, 200_000)
    new = pieces_from(old, 200, short) + pieces_from(old, 50, 300)
    block = Block(Stretches(Bytes(old), [(0, len(old))]), Stretches(Bytes(new), [(0, len(new))]))
    out = io.BytesIO()
    encode_block(block, out, 64 * MB, most_found=100)
    assert (
        b"".join(decode_solid(Bytes(old), io.BytesIO(out.getvalue()), size_bytes=len(new))) == new
    )
    assert (read_varint(io.BytesIO(out.getvalue())) == len(new)) is is_whole
