"""A job of CI that is cancelled while deltas are made leaves no process and no folder behind."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from lockgate_release.instants import utc_now
from tests.simulators.archives import make_archive
from tests.simulators.release_desk import APP, open_desk

_COMMAND = [sys.executable, "-c", "from lockgate_cli.entry import main; main()"]
_MIB = 1 << 20
_LONG_S = 60


def _wait_for(above: Path, pattern: str) -> None:
    """Return once there is such a path: a worker is at it."""
    deadline = time.monotonic() + _LONG_S
    while not list(above.glob(pattern)):
        assert time.monotonic() < deadline, list(above.rglob("*"))
        time.sleep(0.005)


def _workers(above: Path) -> list[str]:
    """The processes that make deltas below a folder, by what the system knows of their files."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={above}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(process.name)
        except OSError:
            continue
    return found


def test_a_cancelled_publish_ends_its_workers_and_takes_its_folders_along(tmp_path: Path) -> None:
    above = tmp_path / "tmp"
    above.mkdir()
    noise = random.Random(5)
    blocks = [noise.randbytes(2048) for _ in range(4 * _MIB // 2048)]
    with open_desk(tmp_path, utc_now()) as desk:
        desk.init()
        for version in ("1.0.0", "1.1.0"):
            path = desk.folder / f"{APP}-{version}.tar.gz"
            path.write_bytes(make_archive({"bin/app": b"".join(blocks)}))
            noise.shuffle(blocks)
        desk.publish("1.0.0")
        environ = {**os.environ, **desk.person.environ, "TMPDIR": str(above)}
        with subprocess.Popen(
            [*_COMMAND, *desk.publish_arguments("1.1.0")],
            cwd=desk.folder,
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            _wait_for(above, "lockgate-deltas-*/**/trees-*/old/bin/app")
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=_LONG_S)
    assert process.returncode == 143, said
    assert "ended by SIGTERM; running it again goes on from here" in said
    assert list(above.iterdir()) == []
    assert _workers(above) == []
