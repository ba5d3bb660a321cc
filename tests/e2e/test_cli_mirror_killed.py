"""`lockgate mirror` killed while it puts files in place: its readers never see half of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate_release.instants import utc_now
from tests.e2e.test_cli_mirror import files_of, installed, mirror
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk

COMMAND = Path(sys.executable).with_name("lockgate")
RENAMES = "?rename,?renameat,?renameat2"
FIRST, STEP, MOST = 1, 3, 60


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_run_killed_at_any_rename_leaves_one_state_and_the_next_run_converges(
    tmp_path: Path,
) -> None:
    with open_desk(tmp_path, utc_now()) as desk:
        desk.init()
        desk.publish("1.0.0")
        mirror(desk, folder="old")
        desk.publish("1.1.0")
        mirror(desk, folder="new")
        whole = files_of(desk.folder / "new")
        seen, was_killed = set(), True
        for number in range(FIRST, MOST, STEP):
            copy = f"copy-{number}"
            shutil.copytree(desk.folder / "old", desk.folder / copy)
            was_killed = run_killed(desk, copy, number)
            seen.add(installed(desk, copy, home=f"client-{number}"))
            mirror(desk, folder=copy)
            held = files_of(desk.folder / copy)
            assert {path: held[path] for path in whole} == whole
            assert installed(desk, copy, home=f"client-{number}") == "1.1.0"
            if not was_killed:
                break
        assert number > FIRST + STEP, "it was never killed"
        assert not was_killed, "it never came to its end"
        assert seen == {"1.0.0", "1.1.0"}


def run_killed(desk: ReleaseDesk, folder: str, number: int) -> bool:
    """Mirror, and be killed at the rename of this number; return whether it came to that."""
    ended = subprocess.run(
        [
            *("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={RENAMES}"),
            *("-e", f"inject={RENAMES}:signal=KILL:when={number}"),
            *(str(COMMAND), "mirror", folder, "--app", APP, "--from", desk.api),
        ],
        cwd=desk.folder,
        env={**os.environ, **desk.person.environ},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode in {0, -9, 137}, ended.stderr.decode()
    return ended.returncode != 0
