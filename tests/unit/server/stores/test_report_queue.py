"""What processes say of the reports that wait in them: added up, and forgotten with the process."""

import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lockgate_release.errors import LocalError
from lockgate_server.stores.report_queue import FRESH, QueueNotes

NOW = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)


def _leave(folder: Path, process: int, line: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / str(process)
    path.write_text(line)
    return path


def test_processes_are_added_up_and_one_that_fell_silent_is_left_out(tmp_path: Path) -> None:
    _leave(tmp_path, 1, f"{5:>20} 2026-01-31T08:29:31Z\n")
    _leave(tmp_path, 2, f"{9:>20} 2026-01-31T08:29:29Z\n")
    with closing(QueueNotes(tmp_path)) as notes:
        notes.note(3, now=NOW)
        assert notes.total(now=NOW) == 8
    assert QueueNotes(tmp_path).total(now=NOW + FRESH) == 3


def test_a_shorter_number_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    with closing(QueueNotes(tmp_path)) as notes:
        notes.note(10**19, now=NOW)
        notes.note(1, now=NOW)
        assert notes.total(now=NOW) == 1
    assert len((tmp_path / str(os.getpid())).read_bytes()) == 42


@pytest.mark.parametrize("line", ["", "many 2026-01-31T08:30:00Z", "7 yesterday", "\xff\xfe"])
def test_what_is_no_line_is_passed_over(tmp_path: Path, line: str) -> None:
    _leave(tmp_path, 1, line)
    assert QueueNotes(tmp_path).total(now=NOW) is None


def test_what_a_process_of_yesterday_left_is_removed_and_a_link_is_not_written_through(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "notes"
    old = _leave(folder, 1, "7 2026-01-30T08:30:00Z")
    kept = _leave(folder, 2, "7 2026-01-30T08:30:01Z")
    with closing(QueueNotes(folder)) as notes:
        notes.note(0, now=NOW)
    assert (old.exists(), kept.exists()) == (False, True)
    theirs = tmp_path / "theirs"
    theirs.write_text("mine")
    mine = folder / str(os.getpid())
    mine.unlink()
    mine.symlink_to(theirs)
    with pytest.raises(LocalError):
        QueueNotes(folder).note(1, now=NOW + timedelta(seconds=1))
    assert theirs.read_text() == "mine"
