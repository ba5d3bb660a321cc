"""Every format: what attacks is refused, and leaves nothing outside."""

import contextlib
from pathlib import Path

import pytest

from lockgate_release.archives import ArchiveKind, Limits
from lockgate_release.archives.safe_tree import remove_tree
from lockgate_release.errors import ArchiveError
from tests.unit.release.archives.craft import (
    PACKED,
    SMALL,
    Entry,
    Room,
    compress,
    file,
    folder,
    link,
    pack,
    tar_of,
    tree_of,
)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def _refuse(room: Room, kind: ArchiveKind, data: bytes, words: str, limits: Limits = SMALL) -> None:
    with pytest.raises(ArchiveError) as caught:
        room.unpack(kind, data, limits=limits)
    room.assert_nothing_happened_outside()
    assert caught.value.subject == "a.bin"
    assert words in str(caught.value)
    assert len(str(caught.value)) < 600


# -- Attacks that every format can carry ------------------------------------------------------

DEEP = "/".join("d" * 250 for _ in range(4))
CHAIN = [file("l0")] + [link(f"l{n}", f"l{n - 1}") for n in range(1, 60)]
ATTACKS: list[tuple[str, list[Entry], str]] = [
    ("parent", [file("../evil")], "name that leaves its folder"),
    ("parent-inside", [file("a/../../evil")], "name that leaves its folder"),
    ("parent-harmless", [file("a/../b")], "name that leaves its folder"),
    ("parent-folder", [folder("../evil")], "name that leaves its folder"),
    ("parent-link", [link("../evil", "x")], "name that leaves its folder"),
    ("absolute", [file("/tmp/evil")], "name that is not a relative path"),
    ("absolute-folder", [folder("/evil")], "name that is not a relative path"),
    ("double-slash", [file("//evil")], "name that is not a relative path"),
    ("empty-part", [file("a//b")], "name that leaves its folder"),
    ("backslash", [file("..\\evil")], "name that is not a relative path"),
    ("backslash-inside", [file("a\\b")], "name that is not a relative path"),
    ("drive", [file("C:evil")], "name that is not a relative path"),
    ("drive-absolute", [file("c:/evil")], "name that is not a relative path"),
    ("only-dots", [link("./.", "x")], "name that leaves its folder"),
    ("part-too-long", [file("a" * 256)], "name too long"),
    ("part-too-long-in-bytes", [file("\u00fc" * 128)], "name too long"),
    ("path-too-long", [file(f"{DEEP}/{'e' * 30}")], "name too long"),
    ("link-out", [link("a", "../evil")], "link out of the tree"),
    ("link-out-and-back", [link("a", "../tree/b"), file("b")], "link out of the tree"),
    ("link-absolute", [link("a", "/etc/passwd")], "link out of the tree"),
    ("link-empty", [Entry(name="a", type=link("a", "b").type, link="")], "link out of the tree"),
    ("link-backslash", [link("a", "..\\evil")], "link out of the tree"),
    ("link-too-long", [link("a", "b/" * 600)], "link"),
    ("link-deep-out", [folder("d/e"), link("d/e/a", "../../../x")], "link out of the tree"),
    ("link-by-chain", [folder("d"), link("d/up", ".."), link("a", "d/up/../x")], "link out of"),
    ("link-by-deep-folder", [folder("d/e/f"), link("s", "d/e/f"), link("a", "s/../../../../x")],
     "link out of the tree"),
    ("link-by-later-link", [link("a", "b/../../x"), folder("c/d"), link("b", "c/d"),
                            link("e", "b/../../../x")], "link out of the tree"),
    ("link-by-case", [folder("d/e"), link("d/up", ".."), link("d/e/a", "../UP/../x")], "link out"),
    ("link-ring", [link("a", "b"), link("b", "a")], "link that cannot be followed"),
    ("link-to-itself", [link("a", "a")], "link that cannot be followed"),
    ("link-ring-out", [link("a", "a/../../x")], "link that cannot be followed"),
    ("link-chain", CHAIN, "link that cannot be followed"),
    ("link-chain-backwards", CHAIN[::-1], "link that cannot be followed"),
    ("through-a-link", [folder("d"), link("a", "d"), file("a/evil")], "folder that is also"),
    ("through-a-link-out", [link("a", ".."), file("a/evil")], "folder that is also a file or a"),
    ("folder-through-a-link", [link("a", ".."), folder("a/evil")], "folder that is also a file"),
    ("link-through-a-link", [link("a", ".."), link("a/evil", "x")], "folder that is also a file"),
    ("over-a-link", [link("a", "../../secret"), file("a", b"evil")], "name that appears twice"),
    ("folder-over-a-link", [link("a", "."), folder("a")], "folder that is also a file or a link"),
    ("through-a-file", [file("a"), file("a/b")], "folder that is also a file or a link"),
    ("file-over-folder", [folder("a"), file("a")], "name that appears twice"),
    ("link-over-folder", [folder("a"), link("a", "b")], "name that appears twice"),
    ("folder-over-file", [file("a"), folder("a")], "folder that is also a file or a link"),
    ("twice", [file("a"), file("a", b"other")], "name that appears twice"),
    ("twice-by-dot", [file("a"), file("./a")], "name that appears twice"),
    ("case", [file("a/README"), file("a/readme")], "two names that differ only by case or form"),
    ("case-of-folder", [file("A/x"), file("a/y")], "two names that differ only by case or form"),
    ("case-of-folder-and-file", [file("a"), file("A/x")], "two names that differ only by case"),
    ("case-of-link", [link("a", "x"), file("A")], "two names that differ only by case or form"),
    ("case-sharp-s", [file("stra\u00dfe"), file("STRASSE")], "two names that differ only by case"),
    ("form", [file("\u00fc"), file("u\u0308")], "two names that differ only by case or form"),
    ("form-and-case", [file("\u1f80"), file("\u1f00\u0399")], "two names that differ only by case"),
    ("form-order", [file("a\u0345\u0313"), file("A\u0313\u0345")], "two names that differ only by"),
    ("form-of-folder", [file("\u00fc/x"), file("u\u0308/y")], "two names that differ only by case"),
    ("too-many-bytes", [file("a", bytes(2 << 20))], "unpacks to more than it may"),
    ("too-many-bytes-together", [file(str(n), bytes(1 << 19)) for n in range(3)], "unpacks to"),
    ("too-many-entries", [file(str(n), b"") for n in range(201)], "more entries than it may"),
    ("too-many-folders", [folder("/".join(map(str, range(n, n + 45)))) for n in range(6)],
     "more entries than it may"),
    ("too-many-links", [link(str(n), "x") for n in range(201)], "more entries than it may"),
    ("set-user-id", [file("a", mode=0o4755)], "set-id bit"),
    ("set-group-id", [file("a", mode=0o2755)], "set-id bit"),
    ("fifo", [Entry(name="a", type=b"6")], "entry that is no file, folder or link"),
    ("character-device", [Entry(name="a", type=b"3")], "entry that is no file, folder or link"),
    ("block-device", [Entry(name="a", type=b"4")], "entry that is no file, folder or link"),
]  # fmt: skip


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize(
    ("entries", "words"), [case[1:] for case in ATTACKS], ids=[case[0] for case in ATTACKS]
)
def test_attack(room: Room, kind: ArchiveKind, entries: list[Entry], words: str) -> None:
    _refuse(room, kind, pack(kind, *entries), words)


@pytest.mark.parametrize("kind", PACKED)
def test_no_link_exists_before_all_of_them_are_proven(room: Room, kind: ArchiveKind) -> None:
    data = pack(kind, link("good", "a"), link("bad", ".."), link("bad2", "../../secret"), file("a"))
    _refuse(room, kind, data, "link out of the tree")
    assert tree_of(room.target) == {"a": "f x"}


@pytest.mark.parametrize("kind", PACKED)
def test_as_many_bytes_and_entries_as_allowed_are_unpacked(room: Room, kind: ArchiveKind) -> None:
    data = pack(kind, file("d/a", b"1234"), link("b", "d"))
    room.unpack(kind, data, limits=Limits(size_bytes=4, entries=3))
    other = Room(room.home / "other")
    _refuse(other, kind, data, "bytes", limits=Limits(size_bytes=3, entries=3))
    other = Room(room.home / "another")
    _refuse(other, kind, data, "at most 2", limits=Limits(size_bytes=4, entries=2))


@pytest.mark.parametrize("kind", PACKED)
def test_thousands_of_links_are_proven_without_asking_the_disk(
    room: Room, kind: ArchiveKind
) -> None:
    path = "/".join("d" * 20)
    links = [link(f"{n}", f"{path}/" + "../" * 20 + str(n + 30)) for n in range(1500)]
    data = pack(kind, folder(path), *links)
    with pytest.raises(ArchiveError, match="cannot be followed"):
        room.unpack(kind, data, limits=Limits(size_bytes=0, entries=5000))
    short = [link(f"{n}", f"{path}/" + "../" * 20 + f"f{n}") for n in range(1500)]
    other = Room(room.home / "other")
    found = other.unpack(
        kind, pack(kind, folder(path), *short), limits=Limits(size_bytes=0, entries=5000)
    )
    assert len(found) == 1520


@pytest.mark.parametrize("kind", PACKED)
def test_an_archive_cut_off_anywhere_is_refused(room: Room, kind: ArchiveKind) -> None:
    data = pack(kind, file("a", bytes(range(256)) * 20), file("b"))
    for at in (0, 1, 5, 17, len(data) // 2, len(data) - 9, len(data) - 1):
        remove_tree(room.target)
        room.target.mkdir()
        _refuse(room, kind, data[:at], "")


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("other", [*PACKED, None])
def test_an_archive_of_another_kind_is_refused(
    room: Room, kind: ArchiveKind, other: ArchiveKind | None
) -> None:
    if kind is other:
        return
    data = pack(other, file("a")) if other else b"\x7fELF" + bytes(2000)
    _refuse(room, kind, data, "damaged")


@pytest.mark.parametrize("kind", PACKED)
def test_a_spoilt_byte_never_raises_anything_but_an_archive_error(
    room: Room, kind: ArchiveKind
) -> None:
    data = pack(kind, file("a/b", b"some content", 0o755), link("c", "a/b"), folder("d"))
    for at in range(len(data)):
        spoilt = bytearray(data)
        spoilt[at] ^= (0x01, 0x80, 0xFF)[at % 3]
        remove_tree(room.target)
        room.target.mkdir()
        with contextlib.suppress(ArchiveError):
            room.unpack(kind, bytes(spoilt))
    room.assert_nothing_happened_outside()


def test_a_spoilt_tar_inside_never_raises_anything_but_an_archive_error(room: Room) -> None:
    tar = tar_of(
        [
            Entry(name="a\u00fc" * 60, data=b"1", pax={"comment": "x" * 30, "size": "1"}),
            link("c", "b" * 150),
        ]
    )
    for at in range(0, len(tar) - 9 * 1024):
        if tar[at] == 0 and tar[at - 1] == 0:
            continue
        for change in (b"\xff", b"9"):
            spoilt = tar[:at] + change + tar[at + 1 :]
            header = at // 512 * 512
            if b"ustar" in spoilt[header : header + 512]:
                spoilt = _sum_again(spoilt, header)
            remove_tree(room.target)
            room.target.mkdir()
            with contextlib.suppress(ArchiveError):
                room.unpack(ArchiveKind.TAR_GZ, compress(spoilt, ArchiveKind.TAR_GZ))
    room.assert_nothing_happened_outside()


def _sum_again(tar: bytes, header: int) -> bytes:
    """Put the right checksum into a header, so that what is wrong in it is read."""
    block = tar[header : header + 148] + b" " * 8 + tar[header + 156 : header + 512]
    total = b"%06o\0 " % sum(block)
    return tar[: header + 148] + total + tar[header + 156 :]


# -- A single file ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../evil", "/evil", "a/b", "a\\b", "C:", "a\0", "a" * 300]
)
def test_a_single_file_with_a_name_that_is_none_is_refused(room: Room, name: str) -> None:
    with pytest.raises(ArchiveError, match="name"):
        room.unpack(ArchiveKind.FILE, b"x", name=name)
    room.assert_nothing_happened_outside()
    assert tree_of(room.target) == {}


def test_a_single_file_larger_than_it_may_be_is_refused(room: Room) -> None:
    _refuse(
        room, ArchiveKind.FILE, b"12345", "more than it may", limits=Limits(size_bytes=4, entries=9)
    )
