"""A disk that cannot take an update is refused before anything is downloaded."""

from pathlib import Path
from typing import Any

import pytest

from lockgate_release.errors import DiskFullError, LocalError
from lockgate_updater.state.preflight import check_room, judge_room

HOME = Path("home")


def _judge(**changes: Any) -> None:
    disk: dict[str, Any] = {
        "is_read_only": False,
        "free_bytes": 1000,
        "free_files": 1000,
        "needed_bytes": 1000,
    }
    judge_room(HOME, **{**disk, **changes})


def test_enough_room_is_enough() -> None:
    _judge()
    _judge(free_files=None)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"is_read_only": True}, LocalError, "read-only file system"),
        ({"free_bytes": 999}, DiskFullError, "not enough space"),
        ({"free_files": 63}, DiskFullError, "no room for more files"),
    ],
)
def test_what_is_lacking_is_named(
    changes: dict[str, Any], error: type[LocalError], words: str
) -> None:
    with pytest.raises(error, match=words):
        _judge(**changes)


def test_the_real_disk_is_asked(tmp_path: Path) -> None:
    check_room(tmp_path, 1)
    with pytest.raises(DiskFullError):
        check_room(tmp_path, 1 << 60)
