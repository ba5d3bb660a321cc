"""Attacks that only a tar can carry."""

import gzip
import io
import lzma
import tarfile
from pathlib import Path

import pytest
from backports import zstd

from lockgate_release.archives import ArchiveKind, Limits
from lockgate_release.errors import ArchiveError
from tests.unit.release.archives.craft import (
    PADDED,
    TARS,
    Entry,
    Room,
    compress,
    file,
    hard_link,
    link,
    pack,
    tar_of,
    tree_of,
)

GZ, XZ, ZST = ArchiveKind.TAR_GZ, ArchiveKind.TAR_XZ, ArchiveKind.TAR_ZST
END = bytes(1024)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def _refuse(room: Room, kind: ArchiveKind, data: bytes, words: str = "") -> None:
    with pytest.raises(ArchiveError) as caught:
        room.unpack(kind, data)
    room.assert_nothing_happened_outside()
    assert words in str(caught.value)


def _header(name: str, *, size: int = 0, type_: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = type_, size
    return info.tobuf(tarfile.GNU_FORMAT)


def _extended(type_: bytes, body: bytes) -> bytes:
    return _header("x", size=len(body), type_=type_) + body + bytes(-len(body) % 512)


def _record(keyword: str, value: str) -> bytes:
    body = f" {keyword}={value}\n".encode()
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([hard_link("a", "../../secret")], "name that leaves its folder"),
        ([hard_link("a", "/etc/passwd")], "name that is not a relative path"),
        ([hard_link("a", "b"), file("b")], "hard link to no earlier file"),
        ([hard_link("a", "a")], "hard link to no earlier file"),
        ([link("a", "b"), hard_link("c", "a"), file("b")], "hard link to no earlier file"),
        ([file("d/a"), hard_link("c", "d")], "hard link to no earlier file"),
        ([file("A"), hard_link("c", "a")], "hard link to no earlier file"),
        ([file("a"), hard_link("a", "a")], "name that appears twice"),
        ([Entry(name="a", pax={"path": "b\0c"})], "name that is not a relative path"),
        ([Entry(name="a", type=b"2", link="b", pax={"linkpath": "b\0c"})], "link out of the tree"),
        ([Entry(name="a", pax={"path": "../evil"})], "name that leaves its folder"),
        ([Entry(name="a", type=b"2", link="b", pax={"linkpath": ".."})], "link out of the tree"),
        ([link("a/", "x")], "name that leaves its folder"),
        ([Entry(name="a", type=b"Z")], "entry that is no file, folder or link"),
        ([Entry(name="a", type=b"1", link="b", mode=0o4755)], "set-id bit"),
    ],
)
@pytest.mark.parametrize("kind", TARS)
def test_attack(room: Room, kind: ArchiveKind, entries: list[Entry], words: str) -> None:
    _refuse(room, kind, pack(kind, *entries), words)


def test_copies_by_hard_link_count_as_bytes(room: Room) -> None:
    entries = [file("a", bytes(1 << 19)), hard_link("b", "a"), hard_link("c", "a")]
    _refuse(room, GZ, pack(GZ, *entries), "unpacks to more than it may")


def test_a_name_or_a_link_that_is_not_utf8_is_refused(room: Room) -> None:
    for header in (_header("n\udcff"),):
        _refuse(room, GZ, compress(header + END, GZ), "name that is not UTF-8")
    info = tarfile.TarInfo("a")
    info.type, info.linkname = tarfile.SYMTYPE, "n\udcff"
    data = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    _refuse(room, GZ, compress(data + END, GZ), "not UTF-8")


@pytest.mark.parametrize("type_", [b"x", b"g", b"X", b"L", b"K"])
def test_an_extended_header_larger_than_any_name_is_refused(room: Room, type_: bytes) -> None:
    data = _extended(type_, _record("comment", "x" * 200_000)) + _header("a") + END
    _refuse(room, GZ, compress(data, GZ), "extended header")


@pytest.mark.parametrize("type_", [b"x", b"g", b"L"])
def test_extended_headers_without_end_are_refused(room: Room, type_: bytes) -> None:
    data = _extended(type_, _record("comment", "y")) * 3000 + _header("a") + END
    _refuse(room, GZ, compress(data, GZ))


def test_global_headers_cannot_fill_the_memory(room: Room) -> None:
    data = b"".join(
        _extended(b"g", _record(f"comment{n}", "y")) + _header(f"{n}") for n in range(150)
    )
    _refuse(room, GZ, compress(data + END, GZ), "global")


@pytest.mark.parametrize(
    "body",
    [
        b"0 path=x\n",
        b"99999999999999 path=x\n",
        b"9" * 5000 + b" path=x\n",
        b"12 size=-512\n",
        _record("size", "-1"),
        _record("size", "9" * 4000),
        _record("size", str(1 << 62)),
        _record("size", "NaN"),
        _record("mtime", "NaN"),
        _record("uid", "1e999"),
        _record("hdrcharset", "BINARY"),
        _record("hdrcharset", "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")),
        _record("path", ""),
        _record("GNU.sparse.map", "0,1,x"),
        _record("GNU.sparse.map", "0"),
        _record("GNU.sparse.size", "99999"),
        _record("GNU.sparse.major", "1") + _record("GNU.sparse.minor", "0"),
    ],
)
def test_a_hostile_extended_header_is_refused(room: Room, body: bytes) -> None:
    data = _extended(b"x", body) + _header("a", size=3) + b"abc" + bytes(509) + END
    try:
        found = room.unpack(GZ, compress(data, GZ))
    except ArchiveError:
        room.assert_nothing_happened_outside()
    else:
        # Some of these are only odd: what comes out is the file, and nothing else.
        assert list(found.values()) in (["f abc"], [])


def test_an_odd_extended_header_changes_the_next_entry_only(room: Room) -> None:
    data = _extended(b"x", _record("path", "renamed")) + _header("a") + _header("b") + END
    assert room.unpack(GZ, compress(data, GZ)) == {"renamed": "f ", "b": "f "}


def test_sparse_files_are_refused(room: Room) -> None:
    old = bytearray(_header("a", size=512, type_=tarfile.GNUTYPE_SPARSE))
    old[483:495] = b"%011o\0" % (1 << 33)
    old[148:156] = b" " * 8
    old[148:156] = b"%06o\0 " % sum(old)
    _refuse(room, GZ, compress(bytes(old) + bytes(512) + END, GZ), "sparse")
    for body in (
        _record("GNU.sparse.map", "0,1") + _record("GNU.sparse.size", "5"),
        _record("GNU.sparse.size", "99999"),
        _record("GNU.sparse.major", "1") + _record("GNU.sparse.minor", "0"),
    ):
        data = _extended(b"x", body) + _header("a", size=512) + b"1\n0\n1\n".ljust(512, b"\0") + END
        _refuse(room, GZ, compress(data, GZ), "sparse")


def test_a_negative_size_is_refused(room: Room) -> None:
    header = bytearray(_header("a"))
    header[124:136] = b"\xff" * 12
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    _refuse(room, GZ, compress(bytes(header) + END, GZ))


@pytest.mark.parametrize("kind", TARS)
def test_a_tar_cut_off_inside_an_intact_stream_is_refused(room: Room, kind: ArchiveKind) -> None:
    tar = tar_of([file("a", b"1" * 600), file("b", b"2" * 600)])
    for at in (100, 512, 700, 1100, 1536, 1600, 2048, 2600, 3072):
        other = Room(room.home / str(at))
        _refuse(other, kind, compress(tar[:at], kind), "damaged")


@pytest.mark.parametrize("kind", TARS)
def test_a_spoilt_header_in_the_middle_does_not_end_the_archive_in_silence(
    room: Room, kind: ArchiveKind
) -> None:
    tar = bytearray(tar_of([file("a"), file("b"), file("c")]))
    tar[1024] ^= 1
    _refuse(room, kind, compress(bytes(tar), kind), "damaged")


@pytest.mark.parametrize("kind", TARS)
def test_what_stands_behind_the_end_of_a_tar_is_refused(room: Room, kind: ArchiveKind) -> None:
    tar = tar_of([file("a")])
    for rest in (tar, b"x", bytes(100_000) + b"x", bytes(30_000) + tar_of([file("b")])):
        other = Room(room.home / str(len(rest)))
        _refuse(other, kind, compress(tar + rest, kind), "bytes after its end")


@pytest.mark.parametrize("kind", TARS)
def test_zeros_behind_the_end_of_a_tar_are_padding(room: Room, kind: ArchiveKind) -> None:
    assert room.unpack(kind, compress(tar_of([file("a")]) + bytes(50_000), kind)) == {"a": "f x"}


@pytest.mark.parametrize("kind", TARS)
@pytest.mark.parametrize("rest", [b"x", b"rubbish" * 1000, b"\0\0\0\0x"])
def test_what_stands_behind_the_compressed_stream_is_refused(
    room: Room, kind: ArchiveKind, rest: bytes
) -> None:
    words = "damaged" if kind is not ZST else "bytes after its end"
    _refuse(room, kind, pack(kind, file("a")) + rest, words)


@pytest.mark.parametrize("kind", PADDED)
def test_a_stream_in_two_pieces_is_one_stream(room: Room, kind: ArchiveKind) -> None:
    tar = tar_of([file("a", b"1" * 3000), file("b")])
    data = compress(tar[:2000], kind) + compress(tar[2000:], kind)
    assert set(room.unpack(kind, data)) == {"a", "b"}


@pytest.mark.parametrize("kind", PADDED)
def test_zeros_behind_the_compressed_stream_are_padding(room: Room, kind: ArchiveKind) -> None:
    assert room.unpack(kind, pack(kind, file("a")) + bytes(200_000)) == {"a": "f x"}


@pytest.mark.parametrize("kind", TARS)
def test_a_stream_that_never_ends_is_refused_before_it_is_read(
    room: Room, kind: ArchiveKind
) -> None:
    tar = tar_of([file("a")]) + bytes(60 << 20)
    with pytest.raises(ArchiveError, match="unpacks to more than it may"):
        room.unpack(kind, compress(tar, kind), limits=Limits(size_bytes=10, entries=10))


def test_many_empty_files_need_no_bytes(room: Room) -> None:
    entries = [file(f"{n:0100}", b"") for n in range(2000)]
    limits = Limits(size_bytes=0, entries=2000)
    assert len(room.unpack(GZ, pack(GZ, *entries), limits=limits)) == 2000


def test_an_xz_that_asks_for_more_memory_than_a_program_has_is_refused(room: Room) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(tar_of([file("a")]), filters=filters))
    # The dictionary's size is one byte in the block header (xz file format, 5.3.1).
    header_size = (data[12] + 1) * 4
    at = data.index(b"\x21\x01", 12) + 2
    data[at] = 39  # 3.5 GiB
    from binascii import crc32

    end = 12 + header_size - 4
    data[end : end + 4] = crc32(data[12:end]).to_bytes(4, "little")
    _refuse(room, XZ, bytes(data), "damaged")


def test_lzma_without_a_container_is_another_kind(room: Room) -> None:
    data = lzma.compress(tar_of([file("a")]), format=lzma.FORMAT_ALONE)
    _refuse(room, XZ, data, "damaged")


@pytest.mark.parametrize("size_bytes", [None, 3000])
def test_a_zst_that_asks_for_more_memory_than_a_small_machine_has_is_refused(
    room: Room, size_bytes: int | None
) -> None:
    """Also where it is small: what counts is what a client would have to hold for it."""
    tar = tar_of([file("a", b"1" * 3000)])
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 24})
    data = packer.compress(tar[:size_bytes]) + packer.compress(tar) + packer.flush()
    _refuse(room, ZST, data, "asks for too much memory")
    largest = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 23})
    assert set(room.unpack(ZST, largest.compress(tar) + largest.flush())) == {"a"}


def test_a_zst_is_one_frame_and_nothing_else(room: Room) -> None:
    tar = tar_of([file("a", b"1" * 3000), file("b")])
    data = compress(tar, ZST)
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0evil"
    for rest in (compress(b"", ZST), skippable, bytes(512)):
        _refuse(Room(room.home / str(len(rest))), ZST, data + rest, "bytes after its end")
    two = compress(tar[:2000], ZST) + compress(tar[2000:], ZST)
    _refuse(Room(room.home / "two"), ZST, two)


def test_a_zst_cut_off_anywhere_is_refused(room: Room) -> None:
    data = compress(tar_of([file("a", bytes(range(256)) * 40)]), ZST)
    for at in range(0, len(data), 23):
        _refuse(Room(room.home / str(at)), ZST, data[:at], "damaged")


def test_a_checksum_at_the_very_end_is_checked(room: Room) -> None:
    for kind in TARS:
        data = bytearray(pack(kind, file("a")))
        data[{GZ: -6, XZ: -20, ZST: -1}[kind]] ^= 1
        _refuse(Room(room.home / kind), kind, bytes(data), "damaged")


def test_memory_does_not_grow_with_the_number_of_entries(room: Room) -> None:
    """python's own list of what it has read is emptied as it goes."""
    packed = io.BytesIO(gzip.compress(tar_of([file(f"{n}", b"") for n in range(50)])))
    room.unpack(GZ, packed.getvalue())
    assert len(tree_of(room.target)) == 50
