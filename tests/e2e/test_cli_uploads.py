"""Uploads as CI meets them: the real command, the real api app, and files of several parts."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import ExitCode
from lockgate_release.instants import utc_now
from lockgate_release.layout import artifact_path
from lockgate_release.uploads import LEAST_PART_BYTES
from tests.simulators.api_server import serve_app
from tests.simulators.buckets import BucketAt, moto_bucket, r2_bucket
from tests.simulators.command_line import CommandLine
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk
from tests.simulators.server_process import ServerProcess

COMMAND = str(Path(sys.executable).with_name("lockgate"))
PATIENT_S = 60.0


class Doorkeeper:
    """Stands before the api app, counts the parts that go in, and can hold one back."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.part_bytes = 0
        self.numbers: list[int] = []
        self.asked: list[str] = []
        self.holds_back: int | None = None
        self.is_held = threading.Event()
        self.released = threading.Event()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        self.asked.append(f"{environ['REQUEST_METHOD']} {path}")
        if "/parts/" in path:
            number = int(path.rpartition("/")[2])
            if number == self.holds_back:
                self.is_held.set()
                self.released.wait(PATIENT_S)
                start_response("503 Held back", [("Content-Length", "0")])
                return [b""]
            self.numbers.append(number)
            self.part_bytes += int(environ["CONTENT_LENGTH"])
        return self.app(environ, start_response)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    # A process of its own goes by the real clock.
    with open_desk(tmp_path, now=utc_now()) as made:
        made.init()
        yield made


@pytest.fixture
def door(desk: ReleaseDesk) -> Iterator[Doorkeeper]:
    made = Doorkeeper(desk.server.api())
    with serve_app(made) as address:
        desk.person.environ["LOCKGATE_SERVER"] = address
        try:
            yield made
        finally:
            made.released.set()


@pytest.fixture
def program(desk: ReleaseDesk) -> Path:
    """A program of three parts."""
    path = desk.folder / "app"
    path.write_bytes(random.Random(1).randbytes(2 * LEAST_PART_BYTES + 7))
    return path


def arguments(*more: str) -> list[str]:
    said = ["publish", "--app", APP, "--version", "1.0.0", "--channel", "stable"]
    return [*said, "--artifact", "any=app", *more]


def test_a_publish_that_is_killed_goes_on_where_it_stopped(
    desk: ReleaseDesk, door: Doorkeeper, program: Path, tmp_path: Path
) -> None:
    environ = {**desk.person.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    door.holds_back = 3
    killed = subprocess.Popen(
        [COMMAND, *arguments("--parallel", "1")], cwd=desk.folder, env=environ, stderr=-3
    )
    try:
        assert door.is_held.wait(PATIENT_S)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert door.numbers == [1, 2]
    assert desk.versions() == set()
    door.released.set()
    door.holds_back = None
    door.part_bytes = 0
    desk.person.must(*arguments())
    assert door.numbers == [1, 2, 3]
    assert door.part_bytes == 7
    assert desk.versions() == {"1.0.0"}
    assert program.read_bytes() in desk.files().values()
    assert not any("/uploads/" in key for key in desk.files())


def test_a_dry_run_sends_nothing(desk: ReleaseDesk, door: Doorkeeper, program: Path) -> None:
    before = desk.files()
    desk.person.must(*arguments("--dry-run"))
    assert not any("/uploads" in asked or "PUT" in asked for asked in door.asked)
    assert desk.files() == before
    assert program.exists()


def test_a_publish_that_is_refused_after_it_began_to_send_leaves_nothing(
    desk: ReleaseDesk, door: Doorkeeper, program: Path
) -> None:
    before = desk.files()
    desk.person.must_end(ExitCode.USAGE, arguments("--entrypoint", "other"), "no such program")
    assert any("/uploads" in asked for asked in door.asked)
    assert desk.files() == before
    assert program.exists()


def test_without_keys_nothing_is_sent(desk: ReleaseDesk, door: Doorkeeper, program: Path) -> None:
    key = "keys/root/maintainer-1.pem"
    desk.person.must_end(ExitCode.USAGE, arguments("--key", key), "maintainer-1.pem")
    assert not any("/uploads" in asked for asked in door.asked)
    assert program.exists()


def test_a_release_that_is_live_is_not_sent_again(
    desk: ReleaseDesk, door: Doorkeeper, program: Path
) -> None:
    desk.person.must(*arguments())
    door.asked.clear()
    assert "Nothing to do" in desk.person.must(*arguments()).err
    assert not any("/uploads" in asked for asked in door.asked)
    assert program.exists()


def test_an_upload_alone_goes_the_same_way(
    desk: ReleaseDesk, door: Doorkeeper, program: Path
) -> None:
    ended = desk.person.must("upload", "app", "--json")
    assert ended.json()["uploaded"] is True
    assert sorted(door.numbers) == [1, 2, 3]
    assert desk.person.must("upload", "app", "--json").json()["uploaded"] is False
    assert program.read_bytes() in desk.files().values()


def test_quiet_says_nothing_of_progress(desk: ReleaseDesk, program: Path) -> None:
    assert "app (33.6 MB)" in desk.person.must("upload", "app").err
    assert "MB" not in desk.person.must("upload", "app", "--quiet").err
    assert program.exists()


@pytest.mark.parametrize("said", ["0", "33", "-1", "many", "1.5", "\u0663"])
def test_an_impossible_number_of_parts_at_once_is_refused(desk: ReleaseDesk, said: str) -> None:
    (desk.folder / "app").write_bytes(b"x")
    desk.person.must_end(
        ExitCode.USAGE, ["upload", "app", "--parallel", said], "upload_parallel", "1 to 32"
    )
    desk.person.environ["LOCKGATE_UPLOAD_PARALLEL"] = said
    desk.person.must_end(ExitCode.USAGE, ["upload", "app"], "upload_parallel")


@pytest.mark.parametrize("said", ["3", '"3"'])
def test_the_settings_file_says_the_number_of_parts_as_a_number_or_a_text(
    desk: ReleaseDesk, said: str
) -> None:
    (desk.folder / "app").write_bytes(b"x")
    settings = desk.folder / "lockgate.toml"
    settings.write_text(f"{settings.read_text()}\nupload_parallel = {said}\n")
    desk.person.must("upload", "app")


@pytest.mark.parametrize("said", ["0", "33", "true", "1.5", "[4]"])
def test_an_impossible_number_in_the_settings_file_is_refused(desk: ReleaseDesk, said: str) -> None:
    (desk.folder / "app").write_bytes(b"x")
    settings = desk.folder / "lockgate.toml"
    settings.write_text(f"{settings.read_text()}\nupload_parallel = {said}\n")
    desk.person.must_end(ExitCode.USAGE, ["upload", "app"], "upload_parallel")


# Straight to a bucket, everything real: the command, the server, and the services that stand in
# for S3 and R2.

BUCKETS: dict[str, Callable[[Path], AbstractContextManager[BucketAt]]] = {
    "moto": lambda _: moto_bucket(),
    "r2": r2_bucket,
}


@pytest.fixture(params=BUCKETS)
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BucketAt]:
    with BUCKETS[request.param](tmp_path / "r2") as made:
        yield made


def test_a_file_that_was_cut_off_on_its_way_to_a_bucket_gets_there(
    bucket: BucketAt, tmp_path: Path
) -> None:
    content = random.Random(2).randbytes(2 * LEAST_PART_BYTES + 7)
    (tmp_path / "app").write_bytes(content)
    cache = tmp_path / "cache"
    with ServerProcess(tmp_path / "data", **bucket.environ) as server:
        environ = {
            "LOCKGATE_SERVER": server.api,
            "LOCKGATE_TOKEN": server.token,
            "LOCKGATE_KEYS": "keys/publisher/publisher-1.pem",
            "LOCKGATE_ROOT": "keys/root.json",
            "XDG_CACHE_HOME": str(cache),
        }
        person = CommandLine(folder=tmp_path, environ=environ, now=utc_now())
        person.must("init", APP, "--keys", "keys")
        killed = subprocess.Popen(
            [COMMAND, *arguments("--parallel", "1")],
            cwd=tmp_path,
            env=environ,
            stderr=subprocess.DEVNULL,
        )
        while killed.poll() is None and not list(cache.rglob("*.jsonl")):
            time.sleep(0.005)
        killed.kill()
        killed.wait()
        person.must(*arguments())
        path = f"/{APP}/{artifact_path(digest_bytes(content))}"
        assert server.call("GET", path, side="public").body == content
        kept = bucket.keys()
        assert not any("/uploads/" in key for key in kept)
    assert list(cache.rglob("*.jsonl")) == []
