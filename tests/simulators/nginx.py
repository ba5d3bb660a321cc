"""A real nginx on a loopback port, run with a server block from a page of ours, or a whole file.

with Nginx(folder, server_block, root=files) as nginx:
    nginx.address
"""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest

__all__ = ["Nginx", "NginxProgram", "as_whom", "free_port", "need_nginx", "temporary_paths"]

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


class NginxProgram:
    """nginx with a configuration of its own; entering it starts it."""

    def __init__(self, folder: Path, config: str, port: int) -> None:
        """Use a folder for what it writes, and a port at which the configuration listens."""
        self._folder = folder
        self._text = config
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its master, above its workers."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        assert _PROGRAM is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "nginx.conf"
        config.write_text(self._text, "utf-8")
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


class Nginx(NginxProgram):
    """nginx with one server block."""

    def __init__(self, folder: Path, server_block: str, *, root: Path) -> None:
        """Use a folder for what it writes, and a block that listens on 80 and serves /srv/www."""
        port = free_port()
        assert "listen 80;" in server_block
        assert "root /srv/www;" in server_block
        block = server_block.replace("listen 80;", f"listen 127.0.0.1:{port};").replace(
            "root /srv/www;", f"root {root};"
        )
        # The least that nginx asks for around it.
        config = (
            f"{as_whom()}daemon off;\nmaster_process on;\nworker_processes 1;\npid nginx.pid;\n"
            f"events {{}}\nhttp {{\naccess_log access.log;\n{temporary_paths()}{block}}}\n"
        )
        super().__init__(folder, config, port)


def as_whom() -> str:
    """Return the line by which its workers may read a test's folder."""
    return "user root;\n" if os.geteuid() == 0 else ""


def temporary_paths() -> str:
    """Return the lines that keep its temporary files in its own folder."""
    return "".join(f"{name}_temp_path temporary-{name};\n" for name in _TEMPORARY)


def free_port() -> int:
    """Return a port that nobody listens at now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
