"""Attacks that only a zip can carry."""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from lockgate_release.archives import ArchiveKind, Limits
from lockgate_release.errors import ArchiveError
from tests.unit.release.archives.craft import Room, file, folder, zip_of

ZIP = ArchiveKind.ZIP


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def _refuse(room: Room, data: bytes, words: str = "", limits: Limits | None = None) -> None:
    with pytest.raises(ArchiveError) as caught:
        room.unpack(ZIP, data, limits=limits or Limits(size_bytes=1 << 20, entries=1000))
    room.assert_nothing_happened_outside()
    assert words in str(caught.value)


def _central(
    name: bytes, *, offset: int, crc: int, packed: int, size: int, method: int = 8
) -> bytes:
    return (
        struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, method, 0, 0x21, crc, packed, size,
            len(name), 0, 0, 0, 0, 0, offset,
        )
        + name
    )  # fmt: skip


def _local(name: bytes, *, crc: int, packed: int, size: int, method: int = 8) -> bytes:
    return (
        struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, method, 0, 0x21, crc, packed, size, len(name), 0)
        + name
    )


def _end(count: int, size: int, offset: int) -> bytes:
    return struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, offset, 0)


def _one(content: bytes, *, size: int, crc: int | None = None, method: int = 8) -> bytes:
    raw = zlib.compressobj(wbits=-15)
    packed = raw.compress(content) + raw.flush() if method == 8 else content
    crc = zlib.crc32(content) if crc is None else crc
    head = _local(b"a", crc=crc, packed=len(packed), size=size, method=method)
    toc = _central(b"a", offset=0, crc=crc, packed=len(packed), size=size, method=method)
    return head + packed + toc + _end(1, len(toc), len(head) + len(packed))


def test_a_hand_made_zip_is_read(room: Room) -> None:
    assert room.unpack(ZIP, _one(b"abc", size=3)) == {"a": "f abc"}


def test_an_encrypted_entry_is_refused(room: Room) -> None:
    data = bytearray(_one(b"abc", size=3))
    for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(signature) + at] |= 1
    _refuse(room, bytes(data), "encrypted entry; found 'a'")


@pytest.mark.parametrize(
    ("content", "size", "crc"),
    [
        (b"abcdef", 3, None),
        (b"abc", 6, None),
        (b"abc", 0, None),
        (b"", 7, 0),
        (b"abc", 3, 0),
    ],
)
@pytest.mark.parametrize("method", [0, 8])
def test_sizes_and_checksums_that_lie_are_refused(
    room: Room, content: bytes, size: int, crc: int | None, method: int
) -> None:
    _refuse(room, _one(content, size=size, crc=crc, method=method), "damaged")


@pytest.mark.parametrize("method", [0, 8])
def test_nothing_comes_out_beyond_the_size_and_checksum_that_were_announced(
    room: Room, method: int
) -> None:
    data = _one(b"abcdef", size=3, crc=zlib.crc32(b"abc"), method=method)
    assert room.unpack(ZIP, data) == {"a": "f abc"}


def test_a_size_that_lies_low_cannot_hide_a_bomb(room: Room) -> None:
    _refuse(room, _one(bytes(10 << 20), size=10), "damaged")
    other = Room(room.home / "other")
    _refuse(other, _one(bytes(10 << 20), size=10 << 20), "unpacks to more than it may")


def test_entries_that_share_their_bytes_count_each_time(room: Room) -> None:
    """The bomb of D. Fifield, "A better zip bomb", WOOT 2019: one kernel, many names."""
    content = bytes(1 << 19)
    raw = zlib.compressobj(wbits=-15)
    packed = raw.compress(content) + raw.flush()
    crc = zlib.crc32(content)
    head = _local(b"a", crc=crc, packed=len(packed), size=len(content)) + packed
    toc = b"".join(
        _central(b"a", offset=0, crc=crc, packed=len(packed), size=len(content)) for _ in range(50)
    )
    _refuse(room, head + toc + _end(50, len(toc), len(head)), "appears twice")


def test_quoted_entries_count_each_time(room: Room) -> None:
    """The same, with each entry's data quoting the header of the next."""
    content = bytes(1 << 19)
    raw = zlib.compressobj(wbits=-15)
    kernel = raw.compress(content) + raw.flush()
    crc = zlib.crc32(content)
    names = [b"%03d" % n for n in range(8)]
    body = _local(names[-1], crc=crc, packed=len(kernel), size=len(content)) + kernel
    blocks = [(names[-1], len(kernel), len(content), crc)]
    for name in reversed(names[:-1]):
        # A stored block of DEFLATE quotes the next header, and its stream goes on into the next.
        quoted = body[: 30 + 3]
        prefix = struct.pack("<BHH", 0, len(quoted), len(quoted) ^ 0xFFFF)
        inner_name, inner_packed, inner_size, inner_crc = blocks[-1]
        assert inner_name
        size = inner_size + len(quoted)
        data = quoted + content if len(blocks) == 1 else b""
        whole = zlib.crc32(data) if data else inner_crc
        packed = inner_packed + len(prefix) + len(quoted)
        body = _local(name, crc=whole, packed=packed, size=size) + prefix + body
        blocks.append((name, packed, size, whole))
    toc, at = b"", 0
    for name, packed, size, crc_ in reversed(blocks):
        toc += _central(name, offset=at, crc=crc_, packed=packed, size=size)
        at += 30 + 3 + 5
    _refuse(room, body + toc + _end(len(blocks), len(toc), len(body)))


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (b"a\0b", "name that is not a relative path"),
        (b"../x\0", "name that is not a relative path"),
        (b"d/\0x", "name that is not a relative path"),
        (b"..\\x", "name that is not a relative path"),
        (b"", "name that is not a relative path"),
        (b"./", "name that leaves its folder"),
        (b"/", "name that is not a relative path"),
    ],
)
def test_the_name_that_is_stored_is_the_one_that_is_judged(
    room: Room, stored: bytes, words: str
) -> None:
    head = _local(stored, crc=0, packed=0, size=0, method=0)
    toc = _central(stored, offset=0, crc=0, packed=0, size=0, method=0)
    _refuse(room, head + toc + _end(1, len(toc), len(head)), words)


def test_two_names_for_one_entry_are_refused(room: Room) -> None:
    head = _local(b"b", crc=0, packed=0, size=0, method=0)
    toc = _central(b"a", offset=0, crc=0, packed=0, size=0, method=0)
    _refuse(room, head + toc + _end(1, len(toc), len(head)), "damaged")


@pytest.mark.parametrize("method", [1, 9, 12, 14, 93, 99])
def test_only_stored_and_deflated_entries_are_read(room: Room, method: int) -> None:
    """BZIP2 says that it is damaged with an OSError, and LZMA takes as much memory as it likes."""
    _refuse(room, _one(b"abc" * 50, size=150, method=method), "compress")


def test_a_link_longer_than_any_is_refused_and_not_cut(room: Room) -> None:
    info = zipfile.ZipInfo("a")
    info.external_attr = 0o120777 << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(info, "b/" * 5000)
    _refuse(room, packed.getvalue(), "link")


def test_a_link_that_is_not_utf8_is_refused(room: Room) -> None:
    info = zipfile.ZipInfo("a")
    info.external_attr = 0o120777 << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(info, b"\xff")
    _refuse(room, packed.getvalue(), "")


@pytest.mark.parametrize("kind", [0o140000, 0o010000, 0o020000, 0o060000])
def test_what_is_no_file_folder_or_link_is_refused(room: Room, kind: int) -> None:
    info = zipfile.ZipInfo("a")
    info.external_attr = (kind | 0o755) << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(info, b"")
    _refuse(room, packed.getvalue(), "entry that is no file, folder or link")


def test_a_zip_from_a_system_without_modes_is_read(room: Room) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        info = zipfile.ZipInfo("d/a")
        info.external_attr, info.create_system = 0, 0
        archive.writestr(info, b"1")
        archive.writestr(zipfile.ZipInfo("e/"), b"")
    assert room.unpack(ZIP, packed.getvalue()) == {"d": "d", "d/a": "f 1", "e": "d"}


def test_a_folder_by_its_mode_is_a_folder(room: Room) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        info = zipfile.ZipInfo("d")
        info.external_attr = 0o040755 << 16
        archive.writestr(info, b"")
    assert room.unpack(ZIP, packed.getvalue()) == {"d": "d"}


def test_a_table_of_contents_that_lies_about_itself_is_refused(room: Room) -> None:
    good = zip_of([file("a"), folder("d")])
    at = good.rindex(b"PK\5\6")
    for count, size, offset in (
        (2, 1 << 30, 0),
        (2, 10, 1 << 31),
        (65_535, 0xFFFFFFFF, 0xFFFFFFFF),
    ):
        _refuse(Room(room.home / str(size)), good[:at] + _end(count, size, offset), "damaged")
