"""The server as its container runs it: a read-only system, another user, only /data to write to.

The image itself cannot be built in a test, because its base comes from a registry. What it promises
of the program is held here by bubblewrap, which makes the same walls.
"""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.simulators.server_process import COMMAND

USER = "10001"
TIMEOUT_S = 60.0


def walls(data: Path) -> list[str]:
    """What goes before a command to run it as the container does."""
    return [
        *("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"),
        # The program itself may lie below /tmp.
        *("--ro-bind", str(ROOT), str(ROOT)),
        *("--bind", str(data), "/mnt", "--unshare-user", "--uid", USER),
        *("--gid", USER, "--die-with-parent", "--chdir", "/"),
    ]


@pytest.fixture(scope="module", autouse=True)
def can_build_walls(tmp_path_factory: pytest.TempPathFactory) -> None:
    missing = ""
    if shutil.which("bwrap") is None:
        missing = "bubblewrap is not installed: apt-get install bubblewrap"
    else:
        tried = [*walls(tmp_path_factory.mktemp("data")), "true"]
        if subprocess.run(tried, capture_output=True, check=False).returncode:
            pytest.skip("this machine lets nobody make a namespace")
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


def environ() -> dict[str, str]:
    """What the image sets, and nothing that would write elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"}


def inside(pid: int) -> int:
    """The first process behind the walls, which a container's runtime sends its signals to."""
    while Path(f"/proc/{pid}/comm").read_text("utf-8") == "bwrap\n":
        [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()
        pid = int(child)
    return pid


@contextmanager
def running(data: Path, *parts: str) -> Iterator[dict[str, str]]:
    command = [COMMAND, "run", "--data", "/mnt", "--listen", "127.0.0.1:0", *parts]
    with (data.parent / "log").open("wb") as log:
        process = subprocess.Popen([*walls(data), *command], env=environ(), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + TIMEOUT_S
        while not (found := list(data.glob("run*.json"))):
            said = (data.parent / "log").read_text("utf-8")
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        yield json.loads(found[0].read_text("utf-8"))
    finally:
        os.kill(inside(process.pid), signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
    assert not list(data.glob("run*.json"))


def status(address: str) -> str:
    """What a health check of the container is told; it would raise at anything but 200."""
    with urllib.request.urlopen(f"{address}/health/ready", timeout=20) as answer:
        told: str = json.load(answer)["status"]
        return told


def test_on_a_read_only_system_the_server_is_ready_and_its_commands_work(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with running(data) as addresses:
        for side in ("public", "api"):
            assert status(addresses[side]) == "ready"
        token = [COMMAND, "token", "create", "--data", "/mnt", "--scope", "admin"]
        made = subprocess.run(
            [*walls(data), *token], env=environ(), capture_output=True, text=True, check=True
        )
        assert made.stdout.startswith("lg_")
    written = {path.name for path in data.iterdir()}
    assert {"ledger.sqlite3", "objects"} <= written


def test_the_parts_run_apart_over_one_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with running(data, "--parts", "api", "--api-listen", "127.0.0.1:0") as api:
        assert api["public"] == ""
        assert status(api["api"]) == "ready"
    with running(data, "--parts", "public") as public:
        assert public["api"] == ""
        assert status(public["public"]) == "ready"
    with running(data, "--parts", "worker") as worker:
        assert (worker["public"], worker["api"]) == ("", "")
