"""What the directory leaves on the disk, and what it does not let happen there."""

import fcntl
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate_release.errors import DiskFullError, LocalError
from lockgate_server.ports import Always, Etag, IfAbsent, IfMatch, LostRaceError
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.disk import disk_errors

KEY = "app/metadata/timestamp.json"
DAY_NS = 24 * 60 * 60 * 10**9


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> DirectoryStore:
    return DirectoryStore(root)


def content(store: DirectoryStore, key: str = KEY) -> bytes | None:
    found = store.open(key)
    if found is None:
        return None
    with found:
        return found.read()


def files(root: Path) -> set[str]:
    found = (path for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
    return {str(path.relative_to(root)) for path in found}


def objects(root: Path) -> set[str]:
    return {name for name in files(root) if not name.startswith("~")}


# --- what lies where -------------------------------------------------------------------------


def test_an_object_is_a_plain_file_at_its_key(store: DirectoryStore, root: Path) -> None:
    store.put(KEY, b"bytes", IfAbsent())
    store.put("app/x", b"more", Always())
    assert (root / KEY).read_bytes() == b"bytes"
    assert objects(root) == {KEY, "app/x"}


def test_no_temporary_file_is_left(store: DirectoryStore, root: Path) -> None:
    etag = store.put(KEY, b"1", IfAbsent())
    store.put(KEY, io.BytesIO(b"2"), Always())
    for condition in (IfAbsent(), IfMatch(etag), IfMatch(Etag("x"))):
        with pytest.raises(LostRaceError):
            store.put(KEY, b"3", condition)
    assert list((root / "~tmp").iterdir()) == []


def test_a_copy_takes_no_room(store: DirectoryStore, root: Path) -> None:
    store.put("app/uploads/1", b"artifact", Always())
    store.copy("app/uploads/1", "app/x", IfAbsent())
    assert (root / "app/uploads/1").samefile(root / "app/x")


def test_a_lost_race_makes_no_folders(store: DirectoryStore, root: Path) -> None:
    with pytest.raises(LostRaceError):
        store.put("new/folder/x", b"", IfMatch(Etag("x")))
    assert not (root / "new").exists()


def test_the_root_may_be_a_link_and_its_parents_are_made(tmp_path: Path) -> None:
    DirectoryStore(tmp_path / "a/b/c").put(KEY, b"bytes", Always())
    (tmp_path / "link").symlink_to(tmp_path / "a/b/c")
    assert content(DirectoryStore(tmp_path / "link")) == b"bytes"


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(LocalError, match="file"):
            DirectoryStore(path).put(KEY, b"", Always())


def test_the_open_file_can_be_sent_from_where_the_range_begins(store: DirectoryStore) -> None:
    store.put(KEY, b"0123456789", Always())
    found = store.open(KEY, start=4, stop=6)
    assert found is not None
    with found:
        file = found.local_file()
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 4
    assert file.closed


def test_a_file_that_somebody_cut_is_an_error_and_no_shorter_object(
    store: DirectoryStore, root: Path
) -> None:
    store.put(KEY, b"0123456789", Always())
    found = store.open(KEY)
    os.truncate(root / KEY, 3)
    assert found is not None
    with found, pytest.raises(LocalError, match="cut short"):
        found.read()


def test_an_etag_never_comes_back_even_when_the_clock_stands_still(root: Path) -> None:
    store = DirectoryStore(root, clock_ns=lambda: 10**18)
    etags = [store.put(KEY, b"same", Always()) for _ in range(30)]
    assert len(set(etags)) == 30


def test_time_goes_on_for_an_object_when_the_clock_goes_back(root: Path) -> None:
    times = iter([2 * 10**18, 10**18, 10**18])
    store = DirectoryStore(root, clock_ns=lambda: next(times))
    store.put(KEY, b"1", Always())
    before = store.head(KEY)
    store.put(KEY, b"2", Always())
    after = store.head(KEY)
    assert before is not None
    assert after is not None
    assert after.etag != before.etag
    assert after.modified_at >= before.modified_at


# --- durability ------------------------------------------------------------------------------


def test_bytes_are_synced_before_they_have_a_name_and_the_folder_after(
    store: DirectoryStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(KEY, b"1", IfAbsent())
    steps: list[tuple[str, str]] = []

    def spy(name: str, what: Callable[[tuple[object, ...]], str]) -> None:
        real = getattr(os, name)

        def call(*args: object, **options: object) -> object:
            steps.append((name, what(args)))
            return real(*args, **options)

        monkeypatch.setattr(os, name, call)

    def opened(args: tuple[object, ...]) -> str:
        # Linux tells what a descriptor is of.
        path = Path(f"/proc/self/fd/{args[0]}").readlink().relative_to(root)
        return "new file" if path.parts[:1] == ("~tmp",) else str(path)

    spy("fsync", opened)
    spy("link", lambda args: str(args[1]))
    spy("rename", lambda args: str(args[1]))
    etag = store.put("app/new/folder/x", b"2", IfAbsent())
    assert [step for step in steps if step[1] != "."] == [
        ("fsync", "new file"),
        ("fsync", "app"),  # which now holds `new`
        ("fsync", "app/new"),  # which now holds `folder`
        ("link", "x"),
        ("fsync", "app/new/folder"),
    ]
    steps.clear()
    store.put("app/new/folder/x", b"3", IfMatch(etag))
    assert [step for step in steps if step[1] != "."] == [
        ("fsync", "new file"),
        ("rename", "x"),
        ("fsync", "app/new/folder"),
    ]
    steps.clear()
    with pytest.raises(LostRaceError):
        store.put("app/new/folder/x", b"3", IfAbsent())
    assert steps[-1] == ("fsync", "app/new/folder")
    steps.clear()
    store.delete("app/new/folder/x")
    assert steps == [("fsync", "app/new/folder")]


def test_a_folder_that_another_process_made_is_synced_too(
    store: DirectoryStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DirectoryStore(root).put("app/folder/x", b"1", Always())
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store.put("app/folder/y", b"2", Always())
    assert {str(root), str(root / "app"), str(root / "app/folder")} <= set(synced)


# --- the disk is in the way ------------------------------------------------------------------


def test_a_full_disk_is_told_apart() -> None:
    for number in ("ENOSPC", "EDQUOT"):
        code = getattr(__import__("errno"), number)
        with pytest.raises(DiskFullError, match="app/x"), disk_errors("app/x"):
            raise OSError(code, os.strerror(code))
    with pytest.raises(LocalError) as caught, disk_errors("app/x"):
        raise PermissionError(13, "Permission denied")
    assert type(caught.value) is LocalError


def test_a_write_that_does_not_fit_leaves_the_old_object_and_nothing_else(
    store: DirectoryStore, root: Path
) -> None:
    store.put(KEY, b"old", Always())
    before = files(root)
    program = """
import resource, signal, sys
from pathlib import Path
from lockgate_release.errors import LocalError
from lockgate_server.ports import Always
from lockgate_server.stores.directory import DirectoryStore
store = DirectoryStore(Path(sys.argv[1]))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
try:
    store.put(sys.argv[2], bytes(200_000), Always())
except LocalError as exc:
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    print(exc)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(root), KEY], check=True, capture_output=True, text=True
    )
    assert "File too large" in done.stdout
    assert content(store) == b"old"
    assert files(root) == before


def test_a_file_in_the_place_of_a_folder_is_nothing_to_readers_and_in_the_way_of_writers(
    store: DirectoryStore, root: Path
) -> None:
    store.put("app/x", b"file", Always())
    assert store.head("app/x/y") is None
    assert store.open("app/x/y/z") is None
    assert list(store.list("app/x/")) == []
    store.delete("app/x/y")
    for condition in (Always(), IfAbsent()):
        with pytest.raises(LocalError, match="app/x/y"):
            store.put("app/x/y", b"", condition)
    assert objects(root) == {"app/x"}


def test_a_folder_in_the_place_of_a_file_is_nothing_to_readers_and_in_the_way_of_writers(
    store: DirectoryStore, root: Path
) -> None:
    store.put("app/x/y", b"file", Always())
    assert store.head("app/x") is None
    assert store.open("app/x") is None
    store.delete("app/x")
    for condition in (Always(), IfAbsent()):
        with pytest.raises((LocalError, LostRaceError), match="app/x"):
            store.put("app/x", b"", condition)
    assert objects(root) == {"app/x/y"}


# --- what somebody planted -------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"secret")
    return folder


def refusals(store: DirectoryStore, key: str) -> list[Callable[[], object]]:
    return [
        lambda: store.head(key),
        lambda: store.open(key),
        lambda: store.put(key, b"mine", Always()),
        lambda: store.put(key, b"mine", IfAbsent()),
        lambda: store.put(key, b"mine", IfMatch(Etag("x"))),
        lambda: store.copy("app/mine", key, IfAbsent()),
        lambda: store.copy(key, "app/copy", IfAbsent()),
        lambda: store.delete(key),
    ]


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("place", ["app/link", "app/link/secret", "app/link/new", "app/dangling"])
def test_a_planted_link_leads_nowhere(
    store: DirectoryStore, root: Path, outside: Path, place: str, number: int
) -> None:
    store.put("app/mine", b"mine", Always())
    target = outside if place != "app/link" else outside / "secret"
    (root / "app/link").symlink_to(target)
    (root / "app/dangling").symlink_to(outside / "new")
    with pytest.raises(LocalError, match="planted"):
        refusals(store, place)[number]()
    assert files(outside) == {"secret"}
    assert (outside / "secret").read_bytes() == b"secret"
    assert [info.key for info in store.list("")] == ["app/mine"]
    assert objects(root) == {"app/mine", "app/link", "app/dangling"}


def test_a_link_in_the_place_of_the_temporary_folder_leads_nowhere(
    store: DirectoryStore, root: Path, outside: Path
) -> None:
    (root / "~tmp").symlink_to(outside)
    with pytest.raises(LocalError, match="~tmp"):
        store.put(KEY, b"x", Always())
    assert files(outside) == {"secret"}


def test_a_planted_pipe_makes_nobody_wait(store: DirectoryStore, root: Path) -> None:
    store.put("app/mine", b"mine", Always())
    os.mkfifo(root / "app/pipe")
    for ask in refusals(store, "app/pipe"):
        with pytest.raises(LocalError, match="planted"):
            ask()
    assert [info.key for info in store.list("")] == ["app/mine"]


# --- what a kill leaves ----------------------------------------------------------------------


def plant_left_over(root: Path, name: str, age_ns: int, now_ns: int) -> Path:
    path = root / "~tmp" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"half an ob")
    os.utime(path, ns=(now_ns - age_ns, now_ns - age_ns))
    return path


def test_files_of_dead_writers_are_removed_when_older_than_a_day(root: Path) -> None:
    now_ns = 10**18
    DirectoryStore(root)
    old = plant_left_over(root, "old", DAY_NS + 1, now_ns)
    young = plant_left_over(root, "young", DAY_NS - 1, now_ns)
    held = plant_left_over(root, "held", DAY_NS + 1, now_ns)
    with held.open() as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        DirectoryStore(root, clock_ns=lambda: now_ns)
        assert (old.exists(), young.exists(), held.exists()) == (False, True, True)
    DirectoryStore(root, clock_ns=lambda: now_ns)
    assert not held.exists()


def test_clearing_up_after_a_kill_between_two_names_leaves_the_object(root: Path) -> None:
    store = DirectoryStore(root)
    store.put(KEY, b"whole", Always())
    status = (root / KEY).stat()
    (root / "~tmp/second-name").hardlink_to(root / KEY)
    again = DirectoryStore(root, clock_ns=lambda: status.st_mtime_ns + DAY_NS + 1)
    assert list((root / "~tmp").iterdir()) == []
    assert content(again) == b"whole"
    assert (root / KEY).stat().st_mtime_ns == status.st_mtime_ns


def test_a_writer_is_never_cleared_away_by_another_process(root: Path) -> None:
    store = DirectoryStore(root)

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            DirectoryStore(root, clock_ns=lambda: 4 * 10**18)  # a hundred years from now
            return super().read(size)

    store.put(KEY, Slow(b"in time"), IfAbsent())
    assert content(store) == b"in time"
