"""A disk that cannot take an update is refused before anything is downloaded."""

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.errors import DiskFullError, LocalError
from lockgate_updater.state.preflight import Disk, check_room, judge_room
from tests.simulators.client import COMMAND
from tests.simulators.http_server import serve
from tests.simulators.repository import RepositorySimulator

HOME = Path("home")


DISK = Disk(is_read_only=False, is_noexec=False, free_bytes=1000, free_files=1000)
IN_A_NAMESPACE = ("unshare", "--mount", "sh", "-c")


def _judge(*, starts_programs: bool = True, **changes: Any) -> None:
    disk = DISK._replace(**changes)
    judge_room(HOME, disk, needed_bytes=1000, starts_programs=starts_programs)


def test_enough_room_is_enough() -> None:
    _judge()
    _judge(free_files=None)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"is_read_only": True}, LocalError, "read-only file system"),
        ({"free_bytes": 999}, DiskFullError, "not enough space"),
        ({"free_files": 63}, DiskFullError, "no room for more files"),
        ({"is_noexec": True}, LocalError, "mounted noexec"),
    ],
)
def test_what_is_lacking_is_named(
    changes: dict[str, Any], error: type[LocalError], words: str
) -> None:
    with pytest.raises(error, match=words):
        _judge(**changes)


def test_the_real_disk_is_asked(tmp_path: Path) -> None:
    check_room(tmp_path, 1, starts_programs=True)
    with pytest.raises(DiskFullError):
        check_room(tmp_path, 1 << 60, starts_programs=True)


def test_a_release_without_programs_can_be_had_where_none_can_be_started() -> None:
    _judge(is_noexec=True, starts_programs=False)


def test_a_home_mounted_noexec_is_refused_before_a_byte_is_fetched(
    repository: RepositorySimulator, tmp_path: Path
) -> None:
    home, root = tmp_path / "home", tmp_path / "root.json"
    home.mkdir(mode=0o700)
    root.write_bytes(repository.root_bytes)
    with serve(repository) as server:
        command, place = shlex.join(COMMAND), shlex.quote(str(home))
        script = (
            f"mount -t tmpfs -o noexec,mode=0700 none {place} || exit 77\n"
            f"{command} init --home {place} --app demo --channel stable"
            f" --repository {server.address} --root {shlex.quote(str(root))}\n"
            f"{command} update --home {place}\n"
        )
        ran = subprocess.run([*IN_A_NAMESPACE, script], capture_output=True, text=True, check=False)
        if ran.returncode in {1, 77}:
            pytest.skip("nothing can be mounted here")
        assert ran.returncode == 22
        assert "mounted noexec" in ran.stderr
        assert not [path for path in server.paths_seen if "/artifacts/" in path]
