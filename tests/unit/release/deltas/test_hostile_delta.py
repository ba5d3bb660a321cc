"""A delta from an enemy can only fail: whatever stands in it, and whatever was signed with it.

What it may fail with is an ArchiveError. What it may leave behind lies in its own folder, within
the limits.
"""

import lzma
import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate_release.archives import Limits
from lockgate_release.deltas import container
from lockgate_release.deltas.algorithms import COLUMNS_1, ZSTD_1
from lockgate_release.deltas.container import Head, read_head, write_head
from lockgate_release.deltas.listing import list_tree
from lockgate_release.deltas.plan_reading import decode_plan
from lockgate_release.deltas.plan_writing import encode_plan
from lockgate_release.deltas.tree_plan import COLUMNS, NewEntry, TreePlan
from lockgate_release.deltas.varints import VarintReader, pack_varint
from lockgate_release.digests import EntryKind, digest_tree
from lockgate_release.errors import ArchiveError
from tests.unit.release.deltas.trees import Pair, noise

ALGORITHMS = [ZSTD_1, COLUMNS_1]
LIMITS = Limits(size_bytes=64 << 10, entries=40)
FILE, FOLDER, LINK = EntryKind.FILE, EntryKind.DIRECTORY, EntryKind.LINK


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    pair = Pair(tmp_path / "room")
    pair.old({"a/one": noise(1, 9000), "a/two": b"text " * 400, "b": (b"#!", 0o755)})
    pair.old_link("link", "b")
    pair.new(
        {
            "a/one": noise(1, 4000) + b"!" + noise(1, 9000)[4000:],
            "a/three": b"text " * 400,
            "a/four": noise(9, 700),
            "b": (b"#!", 0o755),
        }
    )
    pair.new_link("link", "a/one")
    (tmp_path / "outside").write_bytes(b"precious")
    return pair


@pytest.fixture
def made(pair: Pair) -> tuple[Pair, bytes]:
    pair.make(ZSTD_1)
    return pair, pair.delta.read_bytes()


def _assert_nothing_happened_outside(pair: Pair) -> None:
    root = pair.made_root.parent
    assert {path.name for path in root.parent.iterdir()} == {"outside", "room"}
    assert (root.parent / "outside").read_bytes() == b"precious"
    assert {path.name for path in root.iterdir()} == {"a.delta", "made", "new", "old"}
    made = list(pair.made_root.rglob("*"))
    assert len(made) <= LIMITS.entries
    assert sum(p.stat().st_size for p in made if p.is_file()) <= LIMITS.size_bytes


def _empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def _rewrite(pair: Pair, plan: bytes) -> None:
    """Put another plan into the delta that is there."""
    with pair.delta.open("rb") as stream:
        head = read_head(stream, subject="")
        rest = stream.read()
    with pair.delta.open("wb") as out:
        write_head(Head(algorithm=head.algorithm, plan=plan), out)
        out.write(rest)


def _plan(pair: Pair, *entries: NewEntry) -> None:
    listing = list_tree(pair.old_root)
    _rewrite(pair, encode_plan(TreePlan(entries=entries, references=(1, 2)), listing))


def _refuse(pair: Pair, words: str = ".") -> None:
    with pytest.raises(ArchiveError, match=words) as caught:
        pair.apply(LIMITS)
    assert len(str(caught.value)) < 600
    _assert_nothing_happened_outside(pair)


# -- Damage -----------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_delta_that_ends_too_early_or_too_late_is_refused(pair: Pair, algorithm: str) -> None:
    pair.make(algorithm)
    data = pair.delta.read_bytes()
    for size in [*range(60), *range(60, len(data), 29), len(data) - 1]:
        pair.delta.write_bytes(data[:size])
        _refuse(pair)
        _empty(pair.made_root)
    pair.delta.write_bytes(data + b"\0")
    _refuse(pair)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_flipped_bit_fails_or_makes_another_tree_and_no_more(pair: Pair, algorithm: str) -> None:
    pair.make(algorithm)
    data = bytearray(pair.delta.read_bytes())
    wanted = digest_tree(pair.new_root).sha256
    dice = random.Random(algorithm)
    for at in [*range(96), *dice.sample(range(96, len(data)), 160)]:
        bit = 1 << dice.randrange(8)
        data[at] ^= bit
        pair.delta.write_bytes(data)
        try:
            pair.apply(LIMITS)
        except ArchiveError:
            pass
        else:
            # The tree's digest, which the caller checks, is what tells. Some bits are idle.
            assert digest_tree(pair.made_root).sha256 != wanted or at > 28
        _assert_nothing_happened_outside(pair)
        _empty(pair.made_root)
        data[at] ^= bit


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_rubbish_in_place_of_the_codecs_bytes_fails(pair: Pair, algorithm: str) -> None:
    pair.make(algorithm)
    with pair.delta.open("rb") as stream:
        head = read_head(stream, subject="")
    dice = random.Random(7)
    for _ in range(60):
        with pair.delta.open("wb") as out:
            write_head(head, out)
            out.write(dice.choice([b"\xff", b"\0", b"\x01"]) * dice.randrange(9))
            out.write(dice.randbytes(dice.randrange(300)))
        _refuse(pair)
        _empty(pair.made_root)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=120))
def test_a_plan_of_any_bytes_is_refused_or_within_the_limits(pair: Pair, data: bytes) -> None:
    listing = list_tree(pair.old_root)
    right = encode_plan(TreePlan(entries=(), references=()), listing)
    # The numbers in front are right, so that what follows them is read.
    for plan in (data, right[:4] + data):
        try:
            found = decode_plan(plan, listing, limits=LIMITS, subject="plan")
        except ArchiveError:
            continue
        assert found.size_bytes <= LIMITS.size_bytes
        assert len(found.entries) <= LIMITS.entries


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_plan_with_any_bytes_changed_leads_nowhere_outside(
    made: tuple[Pair, bytes], data: st.DataObject
) -> None:
    pair, right = made
    pair.delta.write_bytes(right)
    with pair.delta.open("rb") as stream:
        plan = bytearray(read_head(stream, subject="").plan)
    places = st.integers(0, len(plan) - 1)
    for at, value in data.draw(st.dictionaries(places, st.integers(0, 255), max_size=6)).items():
        plan[at] = value
    _rewrite(pair, bytes(plan))
    try:
        pair.apply(LIMITS)
    except ArchiveError:
        pass
    finally:
        _assert_nothing_happened_outside(pair)
        _empty(pair.made_root)


# -- Plans that are well made, and evil -------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "/etc/passwd",
        "a/../../outside",
        "..",
        ".",
        "",
        "a//b",
        "back\\slash",
        "x" * 300,
        "C:/x",
    ],
)
def test_no_name_leads_out_of_the_new_tree(pair: Pair, name: str) -> None:
    pair.make(ZSTD_1)
    _plan(pair, NewEntry(name, FILE, size_bytes=2, old=3))

    _refuse(pair)


@pytest.mark.parametrize("target", ["../outside", "/etc/passwd", "a/../..", "up", "", "a\0b"])
def test_no_link_leads_out_of_the_new_tree(pair: Pair, target: str) -> None:
    pair.make(ZSTD_1)
    _plan(pair, NewEntry("c", FOLDER), NewEntry("up", LINK, target=target))

    _refuse(pair)
    assert not any(path.is_symlink() for path in pair.made_root.rglob("*"))


def test_nothing_is_written_through_a_link(pair: Pair) -> None:
    pair.make(ZSTD_1)
    _plan(
        pair,
        NewEntry("out", LINK, target="."),
        NewEntry("out/file", FILE, size_bytes=2, old=3),
    )

    _refuse(pair, "also a file or a link")


@pytest.mark.parametrize("second", ["x", "X"])
def test_a_name_appears_once_also_in_another_case(pair: Pair, second: str) -> None:
    pair.make(ZSTD_1)
    file = NewEntry("x", FILE, size_bytes=2, old=3)
    _plan(pair, file, file._replace(path=second))

    _refuse(pair)


def test_copies_of_one_old_file_count_before_the_first_is_written(pair: Pair) -> None:
    pair.make(ZSTD_1)
    _plan(pair, *(NewEntry(f"c{n}", FILE, size_bytes=9000, old=1) for n in range(10, 30)))

    _refuse(pair, "leads to more than it may")
    assert list(pair.made_root.iterdir()) == []


def test_copies_of_one_new_file_count_too(pair: Pair) -> None:
    pair.make(ZSTD_1)
    new = NewEntry("c", FILE, size_bytes=9000)
    _plan(pair, new, *(NewEntry(f"c{n}", FILE, size_bytes=9000, twin=0) for n in range(10, 30)))

    _refuse(pair, "leads to more than it may")


def test_sizes_and_entries_of_astronomic_number_are_refused_at_once(pair: Pair) -> None:
    pair.make(ZSTD_1)
    _plan(pair, NewEntry("c", FILE, size_bytes=1 << 47))
    _refuse(pair, "leads to more than it may")
    _plan(pair, *(NewEntry(f"c{n}", FOLDER) for n in range(41)))
    _refuse(pair, "holds more entries than it may")
    assert list(pair.made_root.iterdir()) == []


@pytest.mark.parametrize("old", [0, 4, 1 << 30])
def test_content_comes_from_old_files_only(pair: Pair, old: int) -> None:
    listing = list_tree(pair.old_root)
    good = encode_plan(
        TreePlan(entries=(NewEntry("c", FILE, size_bytes=2, old=3),), references=(1, 2)), listing
    )
    source = good.index(bytes([6]), 4)  # 3, signed.
    value = old << 1
    packed = bytes([value]) if value < 128 else b"\x80\x80\x80\x80\x08"
    with pytest.raises(ArchiveError):
        decode_plan(
            good[:source] + packed + good[source + 1 :], listing, limits=LIMITS, subject="plan"
        )


@pytest.mark.parametrize("twin", [-3, -1, 0, 1])
def test_a_copy_is_of_an_earlier_new_file_only(pair: Pair, twin: int) -> None:
    pair.make(ZSTD_1)
    _plan(
        pair,
        NewEntry("c0", FOLDER),
        NewEntry("c1", FILE, size_bytes=2, old=3),
        *(NewEntry(f"c{n}", FILE, size_bytes=9) for n in range(2, 7)),
        NewEntry("c7", FILE, size_bytes=9, twin=twin),
    )

    _refuse(pair, "content of what is no new file")


def test_no_size_is_below_nothing(pair: Pair) -> None:
    pair.make(ZSTD_1)
    _plan(pair, NewEntry("c", FILE, size_bytes=9706), NewEntry("d", FILE, size_bytes=-5))

    _refuse(pair, "a size below nothing")


# -- Bombs ------------------------------------------------------------------------------------


def test_a_plan_that_expands_beyond_what_it_announces_is_refused(pair: Pair) -> None:
    pair.make(ZSTD_1)
    bomb = lzma.compress(bytes(1 << 26), lzma.FORMAT_RAW, filters=container._FILTERS)
    name = b"lockgate-zstd-1"
    for announced in (0, 100, 16 << 20, (16 << 20) + 1, 0xFFFFFFFF):
        sizes = struct.pack("<II", announced, len(bomb))
        pair.delta.write_bytes(b"LGDELTA\x01" + bytes([len(name)]) + name + sizes + bomb)
        _refuse(pair)


def test_millions_of_names_are_refused_before_they_take_memory(pair: Pair) -> None:
    listing = list_tree(pair.old_root)
    good = encode_plan(TreePlan(entries=(NewEntry("c", FOLDER),), references=()), listing)
    names_bytes = 8 << 20
    at = good.index(b"c\0")
    reader = VarintReader(good, subject="plan")
    numbers = [reader.number(1 << 40) for _ in range(12)]
    numbers[3 + COLUMNS.index("names")] = names_bytes
    head = b"".join(map(pack_varint, numbers))
    plan = head + good[reader._at : at]
    plan += bytes(names_bytes) + good[at + 2 :]
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="than entries"):
            decode_plan(plan, listing, limits=LIMITS, subject="plan")
        assert tracemalloc.get_traced_memory()[1] < 2 * names_bytes
    finally:
        tracemalloc.stop()


def _segment(at: int, count: int, size: int, packed: int) -> bytes:
    return struct.pack("<QIII", at, count, size, packed)


@pytest.mark.parametrize(
    "segment",
    [
        _segment(0, 0, 0, 0),
        _segment(0, 0, 0xFFFFFFFF, 10),
        _segment(0, 0xFFFFFFFF, 9701, 10),
        _segment(1 << 63, 100, 9701, 10),
        _segment((1 << 64) - 50, 100, 9701, 10),
        _segment(0, 100, 9701, 0xFFFFFFFF),
        _segment(0, 100, 9701, 0),
    ],
)
def test_a_segment_with_impossible_numbers_is_refused(pair: Pair, segment: bytes) -> None:
    pair.make(ZSTD_1)
    with pair.delta.open("rb") as stream:
        head = read_head(stream, subject="")
    with pair.delta.open("wb") as out:
        write_head(head, out)
        out.write(segment + bytes(40))

    _refuse(pair)


def test_a_frame_of_a_gigabyte_stops_at_what_was_announced(
    pair: Pair, zstd_bomb: Callable[[], bytes]
) -> None:
    pair.make(ZSTD_1)
    with pair.delta.open("rb") as stream:
        head = read_head(stream, subject="")
    frame = zstd_bomb()
    with pair.delta.open("wb") as out:
        write_head(head, out)
        out.write(_segment(0, 0, 9701, len(frame)) + frame)

    _refuse(pair)


@pytest.fixture
def zstd_bomb() -> Callable[[], bytes]:
    def make() -> bytes:
        from backports import zstd

        packer = zstd.ZstdCompressor(level=3)
        pieces = [packer.compress(bytes(1 << 20)) for _ in range(64)]
        return b"".join([*pieces, packer.flush()])

    return make
