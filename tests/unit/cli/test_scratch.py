"""A folder for what is made on the way goes, also that of a process that was killed."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lockgate_cli.scratch import scratch_folder
from lockgate_release.errors import LocalError

LOCK = ".lockgate-scratch"


@pytest.fixture(autouse=True)
def above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


def _left_behind(above: Path, *, age_s: int = 7200, name: str = "lockgate-deltas-killed1") -> Path:
    """What a process leaves that was killed with SIGKILL."""
    folder = above / name
    (folder / "work" / "tree").mkdir(parents=True)
    (folder / "work" / "tree" / "file").write_bytes(b"large")
    folder.chmod(0o700)
    lock = folder / LOCK
    lock.write_bytes(b"")
    os.utime(lock, (time.time() - age_s,) * 2)
    return folder


def _use() -> None:
    with scratch_folder("deltas") as folder:
        assert list(folder.iterdir()) == []


def test_a_folder_is_closed_to_others_and_goes_with_all_that_is_in_it(above: Path) -> None:
    with scratch_folder("deltas") as folder:
        (folder / "tree").mkdir(mode=0o500)
        (holder,) = above.iterdir()
        assert holder.name.startswith("lockgate-deltas-")
        assert holder.stat().st_mode & 0o777 == 0o700
    assert list(above.iterdir()) == []


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, ValueError])
def test_it_goes_whatever_ends_its_use(above: Path, ending: type[BaseException]) -> None:
    with suppress(ending), scratch_folder("deltas"):
        raise ending
    assert list(above.iterdir()) == []


GOING = """
import os, sys
from lockgate_cli.scratch import scratch_folder

def listen(event, arguments):
    if event in {"os.remove", "os.rmdir"}:
        print(os.path.basename(os.fsdecode(arguments[0])))

with scratch_folder("deltas") as folder:
    for number in range(20):
        (folder / f"file{number}").write_bytes(b"")
    sys.addaudithook(listen)
"""
"""In a process of its own: a hook cannot be taken away again, and while one runs, no other thread
can begin that coverage watches (Python 3.11)."""


@pytest.mark.usefixtures("unmeasured")
def test_what_is_cut_off_while_it_goes_can_be_swept_by_the_next(above: Path) -> None:
    """A second Ctrl-C while much is removed: until all is gone, it is known as ours."""
    said = subprocess.run(
        [sys.executable, "-c", GOING],
        env={**os.environ, "TMPDIR": str(above)},
        capture_output=True,
        text=True,
        check=True,
    )
    gone = said.stdout.split()
    assert len(gone) > 20
    assert gone.index(LOCK) == len(gone) - 2, "but the folder itself"
    assert list(above.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next(above: Path) -> None:
    left = _left_behind(above)
    _use()
    assert not left.exists()


def test_a_folder_that_somebody_holds_stays_however_old_it_is(above: Path) -> None:
    left = _left_behind(above)
    with (left / LOCK).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _use()
        assert (left / "work" / "tree" / "file").exists()
    _use()
    assert not left.exists()


def test_a_folder_in_use_is_held() -> None:
    with scratch_folder("deltas") as folder:
        os.utime(folder.parent / LOCK, (0, 0))
        _use()
        assert folder.is_dir()


def test_a_young_one_stays_as_its_process_may_be_about_to_hold_it(above: Path) -> None:
    left = _left_behind(above, age_s=60)
    _use()
    assert left.exists()
    with scratch_folder("deltas", clock=lambda: time.time() + 7200):
        assert not left.exists()


def test_what_is_not_surely_ours_stays(above: Path) -> None:
    without_lock = _left_behind(above, name="lockgate-notes")
    (without_lock / LOCK).unlink()
    opened = _left_behind(above, name="lockgate-deltas-open")
    opened.chmod(0o755)
    foreign = _left_behind(above, name="other-deltas-1")
    target = _left_behind(above, name="elsewhere")
    (above / "lockgate-deltas-link").symlink_to(target)
    (above / "lockgate-file").write_bytes(b"")
    os.mkfifo(above / "lockgate-pipe")
    before = sorted(above.rglob("*"))
    _use()
    assert sorted(above.rglob("*")) == before
    assert foreign.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that is another's")
def test_what_is_somebody_elses_stays(above: Path) -> None:
    left = _left_behind(above)
    os.chown(left, 12345, 12345)
    _use()
    assert left.exists()


def test_a_full_disk_is_said_and_other_errors_stay_what_they_are(above: Path) -> None:
    with pytest.raises(LocalError, match="no room for deltas"), scratch_folder("deltas"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(FileNotFoundError), scratch_folder("deltas") as folder:
        (folder / "none").read_bytes()
    assert list(above.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/dev/null")
    with pytest.raises(LocalError, match="no room for deltas"), scratch_folder("deltas"):
        pass
