"""Every format: what is good comes out as it went in, and what attacks leaves nothing outside."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.archives import ArchiveKind, Limits, guess_kind, unpack
from lockgate_release.archives.safe_tree import remove_tree
from lockgate_release.errors import ArchiveError
from tests.unit.release.archives.craft import (
    PACKED,
    SMALL,
    TARS,
    Entry,
    Room,
    compress,
    file,
    folder,
    hard_link,
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


# -- What is good ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PACKED)
def test_files_folders_links_and_executable_bits_come_out_as_they_went_in(
    room: Room, kind: ArchiveKind
) -> None:
    data = pack(
        kind,
        folder("bin"),
        file("bin/demo", b"#!", 0o755),
        file("bin/group", b"", 0o654),
        folder("empty/inner"),
        file("deep/down/file.txt", b"content"),
        link("bin/latest", "demo"),
        link("up", "deep/down/../down/file.txt"),
        link("dangling", "./nothing//here/"),
        link("deep/root", ".."),
        file("./here/./dot", b"1"),
        file("name with spaces \u00fc", b"2"),
        file("bin/..data", b"3"),
    )
    assert room.unpack(kind, data) == {
        "bin": "d",
        "bin/demo": "x #!",
        "bin/group": "x ",
        "bin/latest": "l demo",
        "bin/..data": "f 3",
        "empty": "d",
        "empty/inner": "d",
        "deep": "d",
        "deep/down": "d",
        "deep/down/file.txt": "f content",
        "deep/root": "l ..",
        "up": "l deep/down/../down/file.txt",
        "dangling": "l nothing/here",  # as pathlib shows it
        "here": "d",
        "here/dot": "f 1",
        "name with spaces \u00fc": "f 2",
    }
    room.assert_nothing_happened_outside()


@pytest.mark.parametrize("kind", TARS)
def test_a_hard_link_comes_out_as_a_copy(room: Room, kind: ArchiveKind) -> None:
    data = pack(kind, file("a", b"same"), hard_link("b/c", "./a"))
    assert room.unpack(kind, data) == {"a": "f same", "b": "d", "b/c": "f same"}
    assert (room.target / "a").stat().st_nlink == 1


@pytest.mark.parametrize("kind", TARS)
def test_the_root_may_be_named_in_a_tar(room: Room, kind: ArchiveKind) -> None:
    assert room.unpack(kind, pack(kind, folder("."), folder("./"), file("./a"))) == {"a": "f x"}


@pytest.mark.parametrize("kind", PACKED)
def test_an_empty_archive_is_an_empty_tree(room: Room, kind: ArchiveKind) -> None:
    assert room.unpack(kind, pack(kind)) == {}


@pytest.mark.parametrize("kind", PACKED)
def test_files_can_be_read_by_everybody_and_written_by_their_owner(
    room: Room, kind: ArchiveKind
) -> None:
    room.unpack(kind, pack(kind, file("a", mode=0o400), file("b", mode=0o777), file("c", mode=0)))
    modes = [(room.target / name).stat().st_mode & 0o7777 for name in "abc"]
    assert modes == [0o644, 0o755, 0o644]


@pytest.fixture(params=[0o000, 0o027, 0o077])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    usual = os.umask(request.param)
    yield
    os.umask(usual)


@pytest.mark.usefixtures("_umask")
@pytest.mark.parametrize("kind", PACKED)
def test_modes_are_those_of_the_release_whatever_the_umask(room: Room, kind: ArchiveKind) -> None:
    data = pack(kind, folder("empty/inner"), file("bin/demo", b"#!", 0o755), file("lib/data"))
    room.unpack(kind, data)
    modes = {
        str(path.relative_to(room.target)): path.stat().st_mode & 0o7777
        for path in room.target.rglob("*")
    }
    assert modes == {
        "empty": 0o755,
        "empty/inner": 0o755,
        "bin": 0o755,
        "bin/demo": 0o755,
        "lib": 0o755,
        "lib/data": 0o644,
    }


def test_folders_of_a_tree_keep_the_group_of_the_folder_above_where_that_asks_for_it(
    room: Room,
) -> None:
    room.target.chmod(0o2700)
    room.unpack(ArchiveKind.ZIP, pack(ArchiveKind.ZIP, file("deep/down/file")))
    modes = [(room.target / name).stat().st_mode & 0o7777 for name in ("", "deep", "deep/down")]
    assert modes == [0o2700, 0o2755, 0o2755]


@pytest.mark.parametrize("kind", PACKED)
def test_a_large_file_comes_out_whole(room: Room, kind: ArchiveKind) -> None:
    content = bytes(range(256)) * 12_000
    limits = Limits(size_bytes=len(content), entries=1)
    room.unpack(kind, pack(kind, file("a", content)), limits=limits)
    assert (room.target / "a").read_bytes() == content


def test_a_single_file_is_installed_as_a_program_under_its_name(room: Room) -> None:
    assert room.unpack(ArchiveKind.FILE, b"#!", name="demo") == {"demo": "x #!"}


def test_without_limits_a_publisher_s_are_taken(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "tree").mkdir()
    unpack(tmp_path / "a", ArchiveKind.FILE, tmp_path / "tree", name="a")
    assert tree_of(tmp_path / "tree") == {"a": "x 1"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.tar.gz", ArchiveKind.TAR_GZ),
        ("A.TGZ", ArchiveKind.TAR_GZ),
        ("a.tar.xz", ArchiveKind.TAR_XZ),
        ("a.txz", ArchiveKind.TAR_XZ),
        ("a.tar.zst", ArchiveKind.TAR_ZST),
        ("a.TZST", ArchiveKind.TAR_ZST),
        ("a.zip", ArchiveKind.ZIP),
        ("a-1.0-py3-none-any.whl", ArchiveKind.ZIP),
        ("a.gz", ArchiveKind.FILE),
        ("a.tar", ArchiveKind.FILE),
        ("demo", ArchiveKind.FILE),
    ],
)
def test_the_kind_that_a_name_announces(name: str, kind: ArchiveKind) -> None:
    assert guess_kind(name) is kind


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


# -- This machine -----------------------------------------------------------------------------


def test_an_archive_that_cannot_be_read_is_an_error_of_this_machine(room: Room) -> None:
    with pytest.raises(FileNotFoundError):
        unpack(room.home / "none", ArchiveKind.ZIP, room.target, name="none")


@pytest.mark.parametrize("kind", PACKED)
def test_a_folder_that_is_not_empty_is_never_written_over(room: Room, kind: ArchiveKind) -> None:
    (room.target / "a").symlink_to(room.home / "secret")
    (room.target / "d").symlink_to(room.home)
    for entry in (file("a"), file("d/a"), folder("d"), link("a", "x")):
        with pytest.raises(ArchiveError, match="takes for another"):
            room.unpack(kind, pack(kind, entry))
    assert (room.home / "secret").read_text() == "secret"
    assert not (room.home / "a").exists()


@pytest.mark.parametrize("kind", [*PACKED, ArchiveKind.FILE])
def test_a_full_disk_is_an_error_of_this_machine(tmp_path: Path, kind: ArchiveKind) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    room = Room(tmp_path)
    # The file is opened new, so a full disk has to be a small one: a limit on this process.
    import resource
    import signal

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    data = pack(kind, file("a", bytes(100_000))) if kind in PACKED else bytes(100_000)
    (tmp_path / "archive").write_bytes(data)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, old[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            unpack(tmp_path / "archive", kind, room.target, name="a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.errno == errno.EFBIG


# -- Removing ---------------------------------------------------------------------------------


def test_removing_a_tree_removes_it_and_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/b/c").write_text("")
    (tree / "out").symlink_to(tmp_path)
    (tree / "a/b").chmod(0o500)
    (tree / "a").chmod(0)
    remove_tree(tree)
    assert tree_of(tmp_path) == {"secret": "f secret"}


def test_removing_a_link_or_a_file_removes_that_alone(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("tree")
    (tmp_path / "dangling").symlink_to("nothing")
    for name in ("file", "link", "dangling", "missing"):
        remove_tree(tmp_path / name)
    assert tree_of(tmp_path) == {"tree": "d"}
