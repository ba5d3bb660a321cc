"""Cloudflare's own R2 emulator on a loopback port, in a process of its own: `make r2` installs it.

It checks signatures and the expiry of presigned URLs, decides about conditional writes in one step,
and keeps its buckets in a folder, so that it can be killed and come back. It ends when the tests
do. What it lacks of the real R2 stands in `docs/how-to/use-r2-or-s3.md`.

with R2Server(folder, "releases") as r2:
    r2.kill()
    r2.start()
"""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.simulators.certificates import Certificates
from tests.simulators.s3_server import ACCESS_KEY, SECRET_KEY

__all__ = ["R2Server", "need_r2"]

_HERE = Path(__file__).parent / "r2"
_PATH = "/cdn-cgi/local/r2/s3"


def need_r2() -> None:
    """Skips the test where the emulator is not installed; where CI is set, fails it."""
    if (_HERE / "node_modules" / "miniflare").is_dir():
        return
    missing = "the R2 emulator is not installed: make r2 (it takes node and npm)"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


class R2Server:
    """The emulator with its buckets; entering it starts it."""

    def __init__(
        self, folder: Path, *buckets: str, certificates: Certificates | None = None
    ) -> None:
        """Keep these buckets in a folder, over TLS where there are certificates."""
        self._folder = folder
        self._buckets = buckets
        self._certificates = certificates
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def endpoint(self) -> str:
        """The address that S3's language is spoken at; it stays the same after a kill."""
        scheme = "https" if self._certificates else "http"
        return f"{scheme}://127.0.0.1:{self._port}{_PATH}"

    def __enter__(self) -> "R2Server":
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start on the folder as it is, and return once it answers."""
        words = [str(self._port), str(self._folder), ACCESS_KEY, SECRET_KEY, *self._buckets]
        process = subprocess.Popen(
            ["node", str(_HERE / "serve.mjs"), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            cwd=_HERE,
            env={**os.environ, **self._tls()},
        )
        assert process.stdout is not None
        said = process.stdout.readline()
        if not said:
            process.communicate(timeout=30)
            raise AssertionError("the R2 emulator did not start")
        self._port, self._process = int(said), process

    def _tls(self) -> dict[str, str]:
        files = self._certificates
        return {"R2_CERTIFICATE": str(files.server), "R2_KEY": str(files.key)} if files else {}

    def kill(self) -> None:
        """End every process of it at once, as a power cut does."""
        process = self._process
        assert process is not None
        os.killpg(process.pid, signal.SIGKILL)
        self._forget(process)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self._process is not None:
            self._forget(self._process)

    def _forget(self, process: subprocess.Popen[str]) -> None:
        # Closes its standard input, which is what it ends at.
        process.communicate(timeout=30)
        self._process = None
