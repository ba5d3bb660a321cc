"""What moved in a program is predicted: its delta holds what was written, not where it went."""

from __future__ import annotations

import io
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate_release.deltas import arm64, x86
from lockgate_release.deltas.blocks import Block
from lockgate_release.deltas.columns import pack_column, write_varint
from lockgate_release.deltas.decoding import (
    COLUMNS,
    FAR_GAP,
    MAX_PIECE_COVERS,
    MAX_STRETCHES,
    decode_solid,
)
from lockgate_release.deltas.encoding import encode_block
from lockgate_release.deltas.images import find_parts
from lockgate_release.deltas.references import MAX_PIECE_BYTES, RegionKind
from lockgate_release.deltas.stretches import Stretches
from lockgate_release.errors import ArchiveError
from tests.unit.release.deltas.programs import ARM64, X86_64, program
from tests.unit.release.deltas.rows import Bytes, decoded, encoded


@pytest.mark.parametrize("machine", [X86_64, ARM64])
@pytest.mark.parametrize("inserted_bytes", [16, 64, 4096])
def test_a_program_whose_functions_moved_is_made_again(machine: int, inserted_bytes: int) -> None:
    old, new = program(machine), program(machine, inserted_bytes=inserted_bytes)
    assert decoded(old, encoded(old, new), len(new)) == new
    assert decoded(new, encoded(new, old), len(old)) == old


@pytest.mark.parametrize("machine", [X86_64, ARM64])
def test_thousands_of_addresses_that_moved_cost_less_than_a_byte_each(machine: int) -> None:
    old, new = program(machine), program(machine, inserted_bytes=16)
    assert find_parts(new)[0].kind in {RegionKind.X86, RegionKind.ARM64}
    changed = sum(a != b for a, b in zip(old[0x1000:], new[0x1000:], strict=False))
    assert changed > 20_000
    assert len(encoded(old, new)) < 1800


def test_several_programs_in_one_row_have_addresses_of_their_own() -> None:
    rows = []
    for inserted_bytes in (0, 16):
        parts = [program(X86_64, inserted_bytes=inserted_bytes), b"text " * 99, b"odd"]
        rows.append(b"".join([*parts, program(ARM64, inserted_bytes=inserted_bytes)]))
    old, new = rows
    patch = encoded(old, new)
    assert decoded(old, patch, len(new)) == new
    assert len(patch) < 4000


@pytest.mark.parametrize("stretches", [10, MAX_STRETCHES])
def test_a_program_behind_thousands_of_old_files_that_lie_apart_is_made_again(
    stretches: int,
) -> None:
    old, new = program(ARM64), program(ARM64, inserted_bytes=16)
    start = 2 * stretches + 999
    row = bytes(start) + old
    ends = [(at, at + 1) for at in range(0, 2 * stretches, 2)]
    block = Block(
        old=Stretches(Bytes(row), [*ends, (start, len(row))]),
        new=Stretches(Bytes(new), [(0, len(new))]),
    )
    out = io.BytesIO()
    encode_block(block, out, 100 << 20)
    assert decoded(row, out.getvalue(), len(new)) == new


@pytest.mark.parametrize("cut", [10, 63, 64, 100, 0x1000, 0x1100, -1, -64, -200])
def test_half_a_program_is_bytes_like_any_other(cut: int) -> None:
    old, new = program(X86_64), program(X86_64, inserted_bytes=16)[:cut]
    assert decoded(old, encoded(old, new), len(new)) == new
    assert decoded(new, encoded(new, old), len(old)) == old


@pytest.mark.parametrize("machine", [X86_64, ARM64])
def test_old_bytes_with_more_operands_than_the_delta_knows_are_refused(machine: int) -> None:
    old, new = program(machine), program(machine, inserted_bytes=16)
    calls = b"\xe8\0\0\0\0" if machine == X86_64 else b"\0\0\0\x94"
    with pytest.raises(ArchiveError, match="fewer bits"):
        decoded((calls * len(old))[: len(old)], encoded(old, new), len(new))


SMALL = program(X86_64, functions=40)
MOVED = program(X86_64, functions=40, inserted_bytes=16)
HEADERS = [*range(16, 120), *range(-320, -8)]
EXTREME = st.one_of(
    st.sampled_from([0, 1, 0xFFFF, 1 << 31, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]),
    st.just(0xFFFFFFFF81000000),  # where the kernel of Linux lies
    st.integers(0, (1 << 64) - 1),
)


@pytest.mark.parametrize("section", [2, 3])
@pytest.mark.parametrize("field", range(0, 64, 8))
@pytest.mark.parametrize("value", [(1 << 63) - 1, 0xFFFFFFFF81000000, (1 << 64) - 1])
def test_a_section_that_says_anything_of_itself_is_made_again(
    section: int, field: int, value: int
) -> None:
    new, old = bytearray(MOVED), bytearray(SMALL)
    for data in (new, old):
        at = len(data) - 64 * section + field
        data[at : at + 8] = value.to_bytes(8, "little")
    assert decoded(bytes(old), encoded(bytes(old), bytes(new)), len(new)) == new


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(HEADERS), EXTREME), min_size=1, max_size=4), st.booleans()
)
def test_a_program_that_says_anything_of_itself_is_made_again(
    changes: list[tuple[int, int]], is_old_too: bool
) -> None:
    new, old = bytearray(MOVED), bytearray(SMALL)
    for at, value in changes:
        for data in (new, old) if is_old_too else (new,):
            start = at % len(data)
            data[start : start + 8] = value.to_bytes(8, "little")
    assert decoded(bytes(old), encoded(bytes(old), bytes(new)), len(new)) == new


SCRAPS = st.lists(
    st.sampled_from([b"\xe8", b"\x8d\x05", b"\xff\x15", b"\0", b"\0\0", b"\xff", b"\1"]),
    max_size=60,
).map(b"".join)


@settings(max_examples=300)
@given(SCRAPS, st.lists(st.integers(-(1 << 40), 1 << 40), min_size=1, max_size=4))
def test_addresses_in_literals_turn_back_into_what_they_were(
    data: bytes, addresses: list[int]
) -> None:
    ends = [len(data) * (index + 1) // len(addresses) for index in range(len(addresses))]
    places = list(zip(ends, addresses, strict=True))
    turned = x86.turn_literals(data, places, sign=1)
    assert x86.turn_literals(turned, places, sign=-1) == data


@given(
    st.lists(st.sampled_from([b"\0\0\0\x94", b"\xff\xff\xff\x97", b"\1\2\3\4"])).map(b"".join),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), max_size=9),
    st.integers(-(1 << 40), 1 << 40),
)
def test_calls_in_literals_of_arm64_turn_back_into_what_they_were(
    data: bytes, lengths: list[tuple[int, int]], address: int
) -> None:
    spans, at = [], 0
    for literals, copied in [*lengths, (len(data), 0)]:
        start = min(at + literals, len(data))
        at = min(start + copied, len(data))
        spans.append((start, at, 64))
    words = arm64.words_of(data)
    arm64.turn_literals(words, data[3::4], spans, address, sign=1)
    arm64.turn_literals(words, data[3::4], spans, address, sign=-1)
    assert words == arm64.words_of(data)


OLD = program(X86_64, functions=40)
NUMBERS = st.one_of(st.integers(0, 300), st.integers(0, (1 << 56) - 1))
REGION = st.tuples(NUMBERS, NUMBERS, st.integers(0, 6), NUMBERS, NUMBERS)
COLUMN = st.one_of(
    st.binary(max_size=40),
    st.lists(NUMBERS, max_size=12).map(lambda numbers: b"".join(map(write_varint, numbers))),
)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5000),
    st.tuples(st.integers(0, 12), st.integers(0, 23), st.integers(0, 11)),
    st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3),
    st.lists(REGION, max_size=3),
    st.lists(COLUMN, min_size=len(COLUMNS), max_size=len(COLUMNS)),
)
def test_whatever_a_block_says_of_itself_it_makes_its_bytes_or_is_refused(
    size: int,
    counts: tuple[int, int, int],
    segments: list[tuple[int, int]],
    regions: list[tuple[int, int, int, int, int]],
    columns: list[bytes],
) -> None:
    packed = [pack_column(raw, spec) for raw, (_, spec) in zip(columns, COLUMNS, strict=True)]
    head = [size, *counts, len(segments), *(n for segment in segments for n in segment)]
    head += [len(regions), *(n for region in regions for n in region)]
    for raw, data in zip(columns, packed, strict=True):
        head += [len(data), len(raw)]
    patch = b"".join([*map(write_varint, head), *packed])
    try:
        made = decoded(OLD, patch, size)
    except ArchiveError:
        return
    assert len(made) == size


def _block(kind: RegionKind, size: int, columns: dict[str, bytes], *, covers: int = 1) -> bytes:
    """Return a block of one region, its table and cells of 16 addresses."""
    raw = [columns.get(name, b"") for name, _ in COLUMNS]
    packed = [pack_column(data, spec) for data, (_, spec) in zip(raw, COLUMNS, strict=True)]
    head = [size, covers, 4, 4, 0, 1, 0, 0, kind, 0, 0]
    for data, column in zip(packed, raw, strict=True):
        head += [len(data), len(column)]
    return b"".join([*map(write_varint, head), *packed])


CALL = b"\x90" * 15 + b"\xe8\0\0\0\0"
NEEDED = {
    "gaps": b"\0",
    "lengths": bytes([len(CALL)]),
    "seeks": b"\0",
    "literals": b"!",
    "fix-counts": b"\1",
    "fix-gaps": b"\0",
    "fix-values": b"\1\0\0\0",
    "targets": b"\2\0\0\0",
    "flags-unknown": b"\1",
}


@pytest.mark.parametrize(
    ("column", "more"),
    [
        *((name, b"\0") for name in ("gaps", "lengths", "seeks", "literals")),
        *((name, b"\0") for name in ("fix-counts", "fix-gaps")),
        *((name, bytes(4)) for name in ("fix-values", "targets")),
        *((name, b"\0") for name in ("flags-stayed", "flags-moved", "flags-unknown")),
    ],
)
def test_a_value_that_nothing_needs_is_refused(column: str, more: bytes) -> None:
    size = len(CALL) + 1
    made = decoded(CALL, _block(RegionKind.X86, size, NEEDED), size)
    assert made == b"\x91" + CALL[1:-4] + b"\2\0\0\0!"
    too_much = NEEDED | {column: NEEDED.get(column, b"") + more}
    with pytest.raises(ArchiveError):
        decoded(CALL, _block(RegionKind.X86, size, too_much), size)


PLAIN = {
    "gaps": b"\0",
    "lengths": write_varint(600),
    "seeks": b"\0",
    "fix-counts": b"\0",
}


@pytest.mark.parametrize("place", [254, 255, 256, 596, 597, 599])
def test_a_fix_up_stands_as_far_from_the_last_one_as_it_says(place: int) -> None:
    excess = write_varint(place - FAR_GAP) if place >= FAR_GAP else b""
    fixed = {
        "fix-counts": b"\2" + excess,
        "fix-gaps": bytes([0, min(place, FAR_GAP)]),
        "fix-values": b"\1\0\0\0\2\0\0\0",
    }
    expected = bytearray(600)
    expected[0], expected[place] = 1, 2
    assert decoded(bytes(600), _block(RegionKind.PLAIN, 600, PLAIN | fixed), 600) == expected


@pytest.mark.parametrize(
    ("counts", "gaps", "values"),
    [
        (write_varint(601), bytes(601), bytes(4 * 601)),
        (b"\2", b"\0", bytes(8)),
        (b"\2", bytes(2), bytes(4)),
        (b"\1" + write_varint(600 - FAR_GAP), b"\xff", bytes(4)),
        (b"\3" + write_varint(600 - FAR_GAP), b"\0\xff\0", bytes(12)),
        (b"", b"", b""),
        (b"\1", b"\xff", bytes(4)),
    ],
    ids=[
        "too many",
        "fewer gaps",
        "fewer values",
        "behind the end",
        "one of them behind it",
        "nothing said of the piece",
        "nothing said of a far gap",
    ],
)
def test_fix_ups_that_cannot_be_are_refused(counts: bytes, gaps: bytes, values: bytes) -> None:
    fixed = {"fix-counts": counts, "fix-gaps": gaps, "fix-values": values}
    with pytest.raises(ArchiveError):
        decoded(bytes(600), _block(RegionKind.PLAIN, 600, PLAIN | fixed), 600)


def test_an_empty_column_that_takes_bytes_is_refused() -> None:
    packed = {name: pack_column(PLAIN.get(name, b""), spec) for name, spec in COLUMNS}
    packed["targets"] = b"\0"  # LZMA2's end, and nothing in front of it
    head = [600, 1, 4, 4, 0, 0]
    for name, data in packed.items():
        head += [len(data), len(PLAIN.get(name, b""))]
    patch = b"".join([*map(write_varint, head), *packed.values()])
    with pytest.raises(ArchiveError, match="empty column"):
        decoded(bytes(600), patch, 600)


def test_a_bit_that_nothing_needs_is_refused_in_the_last_byte_too() -> None:
    block = _block(RegionKind.X86, len(CALL) + 1, NEEDED | {"flags-unknown": b"\3"})
    with pytest.raises(ArchiveError, match="more than is needed"):
        decoded(CALL, block, len(CALL) + 1)


@pytest.mark.parametrize("more", [0, 1])
def test_a_piece_of_very_many_covers_is_refused_before_it_takes_memory(more: int) -> None:
    covers = MAX_PIECE_COVERS + more
    seeks = b"\0" + b"\1" * (covers - 1)
    columns = {"gaps": bytes(covers), "lengths": b"\1" * covers, "seeks": seeks}
    columns["fix-counts"] = b"\0"
    patch = _block(RegionKind.PLAIN, covers, columns, covers=covers)
    if more:
        with pytest.raises(ArchiveError, match="number of covers in a piece"):
            decoded(b"a", patch, covers)
    else:
        assert decoded(b"a", patch, covers) == b"a" * covers


def test_fix_ups_that_all_lie_far_behind_their_piece_are_refused_before_they_take_memory() -> None:
    size = MAX_PIECE_BYTES
    counts = write_varint(size) + b"\xff\xff\1" * size
    fixed = {"literals": bytes(size), "fix-counts": counts, "fix-gaps": bytes([FAR_GAP]) * size}
    patch = _block(RegionKind.PLAIN, size, fixed, covers=0)
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="behind the end"):
            decoded(b"a", patch, size)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_column_that_ends_far_behind_the_delta_is_refused(tmp_path: Path) -> None:
    head = [1, 0, 0, 0, 0, 0]
    for name, _ in COLUMNS:
        head += {"gaps": [(1 << 56) - 1, 0], "literals": [1, 1]}.get(name, [0, 0])
    path = tmp_path / "delta"
    path.write_bytes(b"".join(map(write_varint, head)))
    # No file system has files of that size: to seek there fails.
    with path.open("rb") as stream, pytest.raises(ArchiveError, match="cut off"):
        list(decode_solid(Bytes(b"a"), stream, size_bytes=1))


def test_thousands_of_small_tables_that_reach_everything_are_no_more_work_than_others() -> None:
    region = [4, 0, RegionKind.RELATIVE_32, 0, 1 << 50]
    count = 1 << 10
    columns = {"gaps": bytes(count), "lengths": b"\4" * count, "fix-counts": bytes(count)}
    columns["seeks"] = b"\0" + b"\7" * (count - 1)
    raw = [columns.get(name, b"") for name, _ in COLUMNS]
    packed = [pack_column(data, spec) for data, (_, spec) in zip(raw, COLUMNS, strict=True)]
    head = [4 * count, count, 4, 4, 0, count, 0, *region[1:], *region * (count - 1)]
    for data, column in zip(packed, raw, strict=True):
        head += [len(data), len(column)]
    patch = b"".join([*map(write_varint, head), *packed])
    began = time.process_time()
    assert decoded(b"abcd", patch, 4 * count) == b"abcd" * count
    assert time.process_time() - began < 2
