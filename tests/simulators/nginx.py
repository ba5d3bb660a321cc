"""A real nginx on a loopback port, run with a server block from a page of ours.

with Nginx(folder, server_block) as nginx:
    nginx.address
"""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

__all__ = ["Nginx", "need_nginx"]

_PROGRAM = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
_TIMEOUT_S = 20.0
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def need_nginx() -> None:
    """Skips the test where nginx is not installed; where CI is set, fails it."""
    if _PROGRAM is not None:
        return
    missing = "nginx is not installed: apt-get install nginx-light"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


class Nginx:
    """nginx with one server block; entering it starts it."""

    def __init__(self, folder: Path, server_block: str, *, root: Path) -> None:
        """Use a folder for what it writes, and a block that listens on 80 and serves /srv/www."""
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        assert "listen 80;" in server_block
        assert "root /srv/www;" in server_block
        self._block = server_block.replace("listen 80;", f"listen 127.0.0.1:{self.port};").replace(
            "root /srv/www;", f"root {root};"
        )

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Nginx":
        assert _PROGRAM is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "nginx.conf"
        config.write_text(self._config(), "utf-8")
        self._process = subprocess.Popen(
            [_PROGRAM, "-p", str(self._folder), "-c", str(config), "-e", "error.log"],
            stdin=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _TIMEOUT_S
        while not self._answers():
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(_TIMEOUT_S)

    def said(self) -> str:
        """What it complained of."""
        return (self._folder / "error.log").read_text("utf-8", "replace")

    def answered(self) -> list[str]:
        """Each request so far, in nginx's usual format: status and bytes are words 9 and 10."""
        return (self._folder / "access.log").read_text("utf-8").splitlines()

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
        except OSError:
            return False
        return True

    def _config(self) -> str:
        """The block in the least that nginx asks for around it."""
        # Its workers would be another user, whom a test's folder is closed to.
        user = "user root;\n" if os.geteuid() == 0 else ""
        temporary = "".join(f"{name}_temp_path temporary-{name};\n" for name in _TEMPORARY)
        return (
            f"{user}daemon off;\nmaster_process on;\nworker_processes 1;\npid nginx.pid;\n"
            f"events {{}}\nhttp {{\naccess_log access.log;\n{temporary}{self._block}}}\n"
        )


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
