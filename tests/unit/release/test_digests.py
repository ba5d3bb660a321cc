"""Tree digests: what must matter matters, what must not does not, and anyone can compute one."""

import hashlib
import os
import random
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.digests import (
    EntryKind,
    TreeEntry,
    digest_bytes,
    digest_entries,
    digest_file,
    digest_stream,
    digest_tree,
    encode_listing,
    parse_listing,
    walk_tree,
)
from lockgate_release.errors import ArchiveError, DigestMismatchError

GOLDEN = "ad34533f8386e8513c4e55ef93d537ad2c482872833d7a79b853b927aa554624"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "bin" / "demo").write_bytes(b"#!")
    (root / "bin" / "demo").chmod(0o755)
    (root / "bin.txt").write_bytes(b"text")
    (root / "latest").symlink_to("bin/demo")
    return root


def test_the_digest_of_a_known_tree_is_the_one_of_its_written_listing(tree: Path) -> None:
    """Written out by hand. `bin.txt` stands before `bin/demo`: a dot is less than a slash."""
    listing = (
        b"lockgate-tree-1\n"
        b"d\0-\0\0bin\0"
        b"f\0-\0982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1\0bin.txt\0"
        b"f\0x\0" + _sha256(b"#!").encode() + b"\0bin/demo\0"
        b"d\0-\0\0empty\0"
        b"l\0-\0bin/demo\0latest\0"
    )
    found = digest_tree(tree)
    assert found.sha256 == _sha256(listing)
    assert (found.size_bytes, found.entries) == (6, 5)


def test_the_digest_of_a_known_tree_never_changes(tree: Path) -> None:
    """Clients in the field hold signed digests: a change here would make them all wrong."""
    assert digest_tree(tree).sha256 == GOLDEN


def test_the_empty_tree_has_the_digest_of_the_header(tmp_path: Path) -> None:
    assert digest_tree(tmp_path).sha256 == _sha256(b"lockgate-tree-1\n")


def _rewrite(root: Path) -> None:
    (root / "bin.txt").write_bytes(b"texT")


def _lengthen(root: Path) -> None:
    (root / "bin.txt").write_bytes(b"text\n")


def _rename(root: Path) -> None:
    (root / "bin.txt").rename(root / "bin.md")


def _make_executable(root: Path) -> None:
    (root / "bin.txt").chmod(0o744)


def _make_plain(root: Path) -> None:
    (root / "bin/demo").chmod(0o644)


def _add_file(root: Path) -> None:
    (root / "new").touch()


def _add_folder(root: Path) -> None:
    (root / "new").mkdir()


def _remove_folder(root: Path) -> None:
    (root / "empty").rmdir()


def _redirect(root: Path) -> None:
    (root / "latest").unlink()
    (root / "latest").symlink_to("./bin/demo")


def _copy_link(root: Path) -> None:
    (root / "latest").unlink()
    (root / "latest").write_bytes(b"#!")
    (root / "latest").chmod(0o755)


def _file_for_folder(root: Path) -> None:
    (root / "empty").rmdir()
    (root / "empty").touch()


def _link_for_folder(root: Path) -> None:
    (root / "empty").rmdir()
    (root / "empty").symlink_to("bin")


@pytest.mark.parametrize(
    "change",
    [
        _rewrite,
        _lengthen,
        _rename,
        _make_executable,
        _make_plain,
        _add_file,
        _add_folder,
        _remove_folder,
        _redirect,
        _copy_link,
        _file_for_folder,
        _link_for_folder,
    ],
)
def test_a_change_that_matters_changes_the_digest(
    tree: Path, change: Callable[[Path], None]
) -> None:
    before = digest_tree(tree).sha256
    change(tree)
    assert digest_tree(tree).sha256 != before


def test_times_owners_and_other_permissions_do_not_matter(tree: Path) -> None:
    before = digest_tree(tree)
    os.utime(tree / "bin.txt", (1, 1))
    (tree / "bin.txt").chmod(0o600)
    (tree / "bin/demo").chmod(0o711)
    (tree / "empty").chmod(0o2700)
    tree.chmod(0o700)
    assert digest_tree(tree) == before


def test_where_the_tree_stands_does_not_matter(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest_tree(tree)
    moved = tree.rename(tmp_path / "elsewhere")
    assert digest_tree(moved) == before
    monkeypatch.chdir(moved)
    assert digest_tree(Path()) == before
    assert digest_tree(Path("bin/..")) == before


def test_hard_links_are_files(tree: Path) -> None:
    (tree / "again").hardlink_to(tree / "bin.txt")
    linked = digest_tree(tree).sha256
    (tree / "again").unlink()
    (tree / "again").write_bytes(b"text")
    assert digest_tree(tree).sha256 == linked


def test_a_name_that_is_not_utf8_is_told_from_every_other(tmp_path: Path) -> None:
    digests = set()
    for name in (b"\xff", b"\xfe", "\u00ff".encode(), b"?"):
        root = tmp_path / name.hex()
        root.mkdir()
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).touch()
        digests.add(digest_tree(root).sha256)
        listing = b"lockgate-tree-1\nf\0-\0" + _sha256(b"").encode() + b"\0" + name + b"\0"
        assert digest_tree(root).sha256 == _sha256(listing)
    assert len(digests) == 4


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").touch()
    (root / "out").symlink_to("../secret")
    (root / "ring").symlink_to("ring")
    (root / "root").symlink_to("/")
    assert {entry.path for entry in walk_tree(root)} == {"out", "ring", "root"}
    assert {entry.kind for entry in walk_tree(root)} == {EntryKind.LINK}


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6644])
def test_a_set_id_file_is_refused(tree: Path, mode: int) -> None:
    (tree / "bin/demo").chmod(mode)
    with pytest.raises(ArchiveError, match="set-id bit"):
        digest_tree(tree)


def test_a_pipe_is_refused_without_being_opened(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    with pytest.raises(ArchiveError, match="not a file, folder or link"):
        digest_tree(tree)


def test_a_socket_is_refused(tree: Path) -> None:
    # Addresses of sockets are short, so the socket is made elsewhere and moved in.
    with tempfile.TemporaryDirectory(dir="/tmp") as short, socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{short}/s")
        Path(f"{short}/s").rename(tree / "socket")
    with pytest.raises(ArchiveError, match="not a file, folder or link"):
        digest_tree(tree)


def test_a_tree_that_is_not_there_is_an_error_of_this_machine(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        digest_tree(tmp_path / "none")


ENTRIES = st.lists(
    st.builds(
        TreeEntry,
        path=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
        kind=st.sampled_from(EntryKind),
        executable=st.booleans(),
        value=st.text(st.sampled_from("abc/."), max_size=3),
    ),
    max_size=5,
    unique_by=lambda entry: entry.path,
)


@given(ENTRIES, ENTRIES, st.randoms())
def test_two_listings_have_one_digest_only_if_they_are_one(
    one: list[TreeEntry], other: list[TreeEntry], shuffler: random.Random
) -> None:
    shuffled = list(one)
    shuffler.shuffle(shuffled)
    assert digest_entries(shuffled) == digest_entries(one)
    same = sorted(map(repr, one)) == sorted(map(repr, other))
    assert (digest_entries(one).sha256 == digest_entries(other).sha256) == same


def test_bytes_files_and_streams_have_one_digest(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "a").write_bytes(content)
    assert digest_bytes(content) == _sha256(content)
    assert digest_file(tmp_path / "a") == _sha256(content)
    with (tmp_path / "a").open("rb") as stream:
        stream.read(100)
        assert digest_stream(stream) == _sha256(content[100:])


def test_a_listing_comes_back_as_its_entries_and_its_digest_is_the_trees(tree: Path) -> None:
    entries = sorted(walk_tree(tree), key=lambda entry: entry.path)
    listing = encode_listing(entries)
    assert digest_bytes(listing) == digest_tree(tree).sha256
    again = parse_listing(listing, sha256=digest_bytes(listing))
    assert encode_listing(again) == listing
    assert [(e.path, e.kind, e.executable, e.value) for e in again] == [
        (e.path, e.kind, e.executable, e.value) for e in entries
    ]


def test_an_empty_tree_has_a_listing_too() -> None:
    listing = encode_listing([])
    assert parse_listing(listing, sha256=digest_bytes(listing)) == ()


def test_a_listing_that_was_not_signed_is_refused(tree: Path) -> None:
    listing = encode_listing(walk_tree(tree))
    with pytest.raises(DigestMismatchError):
        parse_listing(listing.replace(b"bin.txt", b"bin.exe"), sha256=digest_bytes(listing))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"lockgate-tree-2\n",
        b"lockgate-tree-1\nf\0-\0",
        b"lockgate-tree-1\nq\0-\0\0name\0",
        b"lockgate-tree-1\nd\0-\0\0../out\0",
        b"lockgate-tree-1\nd\0-\0\0/etc\0",
    ],
)
def test_signed_bytes_that_are_no_listing_are_refused(data: bytes) -> None:
    with pytest.raises(ArchiveError, match="not a tree's listing"):
        parse_listing(data, sha256=digest_bytes(data))
