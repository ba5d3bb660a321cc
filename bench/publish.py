"""What `lockgate publish` costs beside `aws s3 cp` of the same files to the same bucket.

One file of 500 MB, then 20 of 5 MB, in turns. Wall time from the start of the process; a ratio is
the median of the ratios of each turn, as a shared machine is never twice as busy. "uploaded" ends
when the last byte has arrived in the bucket, "published" when the command ends: the server has
read and hashed everything by then, and the release is signed and offered. Both clients have their
default settings, the same endpoint, and files that nobody has sent before.

Our command runs in the developers' environment, which has boto3: securesystemslib imports that
with its other signers where it is installed, 0.1 to 0.2 s of each of our times that CI, with what
`pip install lockgate` brings, does not pay. It is left in, so that the figure errs on that side.

The bucket is a stand-in of our own (`bench/bucket.py`) on a tmpfs: moto and the R2 emulator are
slower than either client, so that both would look alike. AWS's command is installed at the time of
the run, for the run alone.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.table import Table
from tests.simulators.server_process import ServerProcess

RIVAL = "awscli==1.46.3"
_ROUNDS = 5
_LARGE = {"one file of 500 MB": (1, 500_000_000)}
_SMALL = {"20 files of 5 MB": (20, 5_000_000)}
_BIN = Path(sys.executable).parent
_TMPFS = Path("/dev/shm")
_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of one command: when it ended, when the last byte had arrived, what it took."""

    total_s: float
    upload_s: float
    peak_mb: float


@dataclass(kw_only=True)
class Scene:
    """A bucket, a server on it, a maintainer's folder, and AWS's command.

    Attributes:
        folder: Everything is in here.
        endpoint: The bucket's service.
        environ: The maintainer's environment.
        rounds: How many publishes there have been.
    """

    folder: Path
    endpoint: str
    environ: Mapping[str, str]
    rounds: int = 0

    def make_files(self, count: int, size_bytes: int) -> Path:
        """Return a folder of new files."""
        self.rounds += 1
        target = self.folder / "files" / str(self.rounds)
        target.mkdir(parents=True)
        for number in range(count):
            _make_file(target / f"app-{number}", size_bytes)
        return target

    def publish(self, files: Path) -> Run:
        """Publish them as one release, each for a platform of its own."""
        command = [str(_BIN / "lockgate"), "publish", "--version", f"1.0.{self.rounds}"]
        # What is measured is how files get there: AWS's command makes no deltas either.
        command += ["--channel", "stable", "--quiet", "--deltas", "0"]
        for path in sorted(files.iterdir()):
            command += ["--artifact", f"bench-{path.name}={path}"]
        return self._measure(command, self.environ)

    def copy(self, files: Path) -> Run:
        """Copy them to the bucket with AWS's command."""
        command = [sys.executable, "-m", "awscli", "s3", "cp", "--only-show-errors"]
        command += ["--endpoint-url", self.endpoint, "--recursive", str(files)]
        command += [f"s3://bench/copies/{self.rounds}"]
        environ = {**os.environ, **_CREDENTIALS, "PYTHONPATH": str(self.folder / "awscli")}
        return self._measure(command, environ)

    def _measure(self, command: list[str], environ: Mapping[str, str]) -> Run:
        started = time.monotonic()
        process = subprocess.Popen(
            command, cwd=self.folder, env=dict(environ), stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        ended = time.monotonic()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError(f"{command[:3]} exited with {process.returncode}")
        return Run(
            total_s=ended - started,
            upload_s=self._last_part_at() - started,
            peak_mb=usage.ru_maxrss * 1024 / 1e6,
        )

    def _last_part_at(self) -> float:
        with urllib.request.urlopen(f"{self.endpoint}/-/last") as answer:
            return float(answer.read())


@dataclass(kw_only=True)
class Figures:
    """The runs of both commands over the same files."""

    ours: list[Run] = field(default_factory=list)
    rival: list[Run] = field(default_factory=list)

    def copied_s(self) -> float:
        """Return the median time that AWS's command took."""
        return statistics.median(run.total_s for run in self.rival)

    def median_s(self, time_s: Callable[[Run], float]) -> float:
        """Return the median of one of our times."""
        return statistics.median(map(time_s, self.ours))

    def ratio(self, time_s: Callable[[Run], float]) -> float:
        """Return how much of AWS's time one of ours is, the median of all turns."""
        turns = zip(self.ours, self.rival, strict=True)
        return round(statistics.median(time_s(ours) / rival.total_s for ours, rival in turns), 2)


def run() -> Table:
    """Publish and copy, in turns."""
    heads = ("files", "aws s3 cp", "uploaded", "ratio", "published", "ratio", "peak memory in MB")
    table = Table(heads=heads)
    with _scene() as scene:
        for name, (count, size_bytes) in (_LARGE | _SMALL).items():
            figures = _compare(scene, count, size_bytes)
            published = figures.ratio(_total_s)
            table.add(
                name,
                f"{figures.copied_s():.2f} s",
                f"{figures.median_s(_upload_s):.2f} s",
                table.judge(figures.ratio(_upload_s), at_most=1.15),
                f"{figures.median_s(_total_s):.2f} s",
                table.judge(published, at_most=1.5) if name in _LARGE else str(published),
                table.judge(round(max(run.peak_mb for run in figures.ours)), at_most=150),
            )
    return table


def _total_s(run: Run) -> float:
    return run.total_s


def _upload_s(run: Run) -> float:
    return run.upload_s


def _make_file(path: Path, size_bytes: int) -> None:
    """Leave random bytes, in pieces: a process begins with its parent's peak of memory."""
    with path.open("wb") as stream:
        while size_bytes:
            size_bytes -= stream.write(os.urandom(min(size_bytes, 1 << 20)))


def _compare(scene: Scene, count: int, size_bytes: int) -> Figures:
    figures = Figures()
    for number in range(_ROUNDS):
        files = scene.make_files(count, size_bytes)
        # Whoever goes first may find a colder machine.
        if number % 2:
            figures.ours.append(scene.publish(files))
        figures.rival.append(scene.copy(files))
        if not number % 2:
            figures.ours.append(scene.publish(files))
        for path in files.iterdir():
            path.unlink()
    return figures


@contextmanager
def _scene() -> Iterator[Scene]:
    place = _TMPFS if _TMPFS.is_dir() else None
    with (
        tempfile.TemporaryDirectory(dir=place, prefix="bench-") as name,
        _bucket(Path(name) / "bucket") as endpoint,
    ):
        folder = Path(name)
        install = [str(_BIN / "uv"), "pip", "install", "--quiet"]
        subprocess.run([*install, "--target", str(folder / "awscli"), RIVAL], check=True)
        storage = f"s3://bench/repository?endpoint={endpoint}&region=us-east-1&style=path"
        server = ServerProcess(folder / "server", LOCKGATE_STORAGE=storage, **_CREDENTIALS)
        with server:
            environ = {
                **os.environ,
                "LOCKGATE_TOKEN": server.token,
                "LOCKGATE_SERVER": server.api,
                "LOCKGATE_KEYS": "keys/publisher/publisher-1.pem",
                "XDG_CACHE_HOME": str(folder / "cache"),
            }
            init = [str(_BIN / "lockgate"), "init", "bench", "--keys", "keys"]
            subprocess.run(
                init, cwd=folder, env=environ, check=True, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
            yield Scene(folder=folder, endpoint=endpoint, environ=environ)


@contextmanager
def _bucket(folder: Path) -> Iterator[str]:
    """Yield the address of an empty bucket's service."""
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "bench.bucket", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
