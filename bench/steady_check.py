"""What a client downloads to learn that there is nothing new, with 1 and with 200 releases made.

A real server, a real client, and between them a proxy that counts. The rival is python-tuf itself:
its refresh of an unchanged repository is the least that any client of TUF can fetch.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tuf.ngclient import Updater as BareUpdater

from bench.table import Table

RELEASES = (1, 200)
KEPT = 50
MAX_REQUESTS = 2
MAX_BODY_BYTES = 2048
_BIN = Path(sys.executable).parent
_READY_TIMEOUT_S = 60


def run() -> Table:
    """Publish, check, count; publish many more, check, count again."""
    table = Table(heads=("releases ever made", "client", "requests", "bytes of bodies"))
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as (public, api):
        maker = _Maker(Path(folder), api)
        with _counting_proxy(public) as proxy:
            for wanted in RELEASES:
                maker.publish_until(wanted)
                _count(table, Path(folder), proxy, wanted)
    return table


def _count(table: Table, folder: Path, proxy: _Proxy, releases: int) -> None:
    home = folder / f"home-{releases}"
    _updater("init", home, "--app", "demo", "--repository", proxy.address, "--channel", "stable",
             "--root", str(folder / "keys" / "root.json"))  # fmt: skip
    _updater("update", home)
    proxy.forget()
    _updater("check", home)
    table.add(
        releases,
        "lockgate-updater check",
        table.judge(proxy.requests, at_most=MAX_REQUESTS),
        table.judge(proxy.body_bytes, at_most=MAX_BODY_BYTES),
    )
    cache = folder / f"cache-{releases}"
    cache.mkdir()
    root = (folder / "keys" / "root.json").read_bytes()
    for _ in range(2):
        proxy.forget()
        BareUpdater(str(cache), f"{proxy.address}/demo/metadata/", bootstrap=root).refresh()
    table.add(releases, "python-tuf refresh", proxy.requests, proxy.body_bytes)


def _updater(command: str, home: Path, *more: str) -> None:
    subprocess.run(
        [str(_BIN / "lockgate-updater"), command, "--home", str(home), *more],
        check=True,
        capture_output=True,
    )


class _Maker:
    """Release CI: publishes one small release after another."""

    def __init__(self, folder: Path, api: str) -> None:
        self._folder = folder
        self._made = 0
        token = self._run(
            "lockgate-server", "token", "create", "--data", "data", "--scope", "admin"
        )
        self._environ = {"LOCKGATE_TOKEN": token.strip()}
        self._run("lockgate", "init", "demo", "--server", api, "--keys", "keys")

    def publish_until(self, wanted: int) -> None:
        """Publish until so many releases have ever been made."""
        program = self._folder / "program"
        for number in range(self._made + 1, wanted + 1):
            program.write_text(f"#!/bin/sh\necho {number}\n", encoding="utf-8")
            self._run("lockgate", "publish", "--version", f"1.0.{number}", "--channel", "stable",
                      "--artifact", f"any={program}", "--keep", str(KEPT))  # fmt: skip
        self._made = wanted

    def _run(self, command: str, *arguments: str) -> str:
        environ = {**os.environ, **getattr(self, "_environ", {})}
        done = subprocess.run(
            [str(_BIN / command), *arguments],
            cwd=self._folder,
            env=environ,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, str]]:
    """Run a real server below `folder`; yields the public and the API address."""
    command = [str(_BIN / "lockgate-server"), "run", "--data", "data", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    try:
        ready = folder / "data" / "run.json"
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the server did not start")
            time.sleep(0.05)
        found = json.loads(ready.read_text(encoding="utf-8"))
        yield found["public"], found["api"]
    finally:
        process.terminate()
        process.wait(timeout=_READY_TIMEOUT_S)


class _Proxy(ThreadingHTTPServer):
    """Passes GET requests on, and counts them and the bytes of the answers' bodies."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.forget()

    def forget(self) -> None:
        """Begin to count anew."""
        self.requests = 0
        self.body_bytes = 0


class _Handler(BaseHTTPRequestHandler):
    server: _Proxy

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        upstream = http.client.HTTPConnection(self.server.upstream)
        upstream.request("GET", self.path)
        answer = upstream.getresponse()
        body = answer.read()
        upstream.close()
        self.server.requests += 1
        self.server.body_bytes += len(body)
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def _counting_proxy(upstream: str) -> Iterator[_Proxy]:
    proxy = _Proxy(upstream)
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()
