"""What is noted of an upload: a hint that a cut, a stranger or a full disk cannot make a fault."""

import os
import time
from pathlib import Path

import pytest

from lockgate_cli.uploading.journal import Journal, NotedPart, open_journal, uploads_folder
from lockgate_release.names import AppName
from lockgate_release.uploads import UploadId

UPLOAD = UploadId("0" * 32)
NOW_S = time.time()
DAY_S = 24 * 3600.0
PART = NotedPart(crc32=7, etag="etag-of-it")


def opened(folder: Path, *, server: str = "https://a", now_s: float = NOW_S) -> Journal:
    return open_journal(folder, server=server, app=AppName("demo"), upload=UPLOAD, now_s=now_s)


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_what_was_noted_is_there_for_the_next_run(tmp_path: Path) -> None:
    opened(tmp_path).add(3, PART)
    assert opened(tmp_path).find(3) == PART
    assert opened(tmp_path).find(4) is None


def test_a_line_that_was_cut_off_costs_only_itself(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.add(1, PART)
    journal.add(2, PART)
    path = only(tmp_path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        again = opened(tmp_path)
        assert again.find(1) in {None, PART}
        assert again.find(2) in {None, PART}
        again.add(3, PART)
        assert opened(tmp_path).find(3) == PART


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff",
        b"[]",
        b"1",
        b'{"number": 0, "crc32": 1, "etag": ""}',
        b'{"number": 1}',
        b"[" * 9,
    ],
)
def test_a_line_of_another_kind_is_none(tmp_path: Path, line: bytes) -> None:
    opened(tmp_path).add(2, PART)
    with only(tmp_path).open("ab") as stream:
        stream.write(line + b"\n")
    found = opened(tmp_path)
    assert (found.find(1), found.find(2)) == (None, PART)


def test_another_server_has_a_journal_of_its_own(tmp_path: Path) -> None:
    opened(tmp_path).add(1, PART)
    assert opened(tmp_path, server="https://b").find(1) is None


def test_a_finished_upload_leaves_nothing(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.add(1, PART)
    journal.forget()
    assert list(tmp_path.iterdir()) == []
    assert journal.find(1) is None


def test_what_nobody_has_touched_for_a_week_goes(tmp_path: Path) -> None:
    opened(tmp_path, server="https://b").add(1, PART)
    path = only(tmp_path)
    os.utime(path, (NOW_S, NOW_S))
    opened(tmp_path, now_s=NOW_S + 6 * DAY_S)
    assert path.exists()
    opened(tmp_path, now_s=NOW_S + 8 * DAY_S)
    assert not path.exists()


def test_a_folder_that_is_somebody_else_s_file_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    journal = opened(tmp_path / "file" / "below")
    journal.add(1, PART)
    assert journal.find(1) == PART
    journal.forget()


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/c/lockgate/uploads"),
        ({"HOME": "/h"}, "/h/.cache/lockgate/uploads"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/lockgate/uploads"),
        ({"XDG_CACHE_HOME": "", "HOME": "relative"}, None),
        ({}, None),
    ],
)
def test_journals_are_where_caches_are(environ: dict[str, str], folder: str | None) -> None:
    assert uploads_folder(environ) == (None if folder is None else Path(folder))
