"""Every format: what is good comes out as it went in, and this machine's own faults are said."""

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
    TARS,
    Room,
    file,
    folder,
    hard_link,
    link,
    pack,
    tree_of,
)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


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
