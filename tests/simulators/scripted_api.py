"""A loopback server that answers by a script and remembers what it was asked."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Scripted:
    """One answer. `drop` closes the connection instead; `short_by` promises more than it sends."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    short_by: int = 0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def problem(status: int, **members: object) -> Scripted:
    body = json.dumps({"status": status, **members}).encode()
    return Scripted(status=status, body=body, headers={"Content-Type": "application/problem+json"})


def answer(value: object) -> Scripted:
    return Scripted(body=json.dumps(value).encode(), headers={"Content-Type": "application/json"})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "ScriptedServer"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(method=self.command, path=self.path, headers=headers, body=body)
        with self.server.guard:
            self.server.asked.append(asked)
            script = self.server.script
            said = script.pop(0) if len(script) > 1 else script[0]
        if said.drop:
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(said.body) + said.short_by))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said.body)
        if said.short_by:
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = _serve  # noqa: N815 (http.server's names)


class ScriptedServer(ThreadingHTTPServer):
    """Answers with the script's entries in turn; the last one stays."""

    daemon_threads = True

    def __init__(self, script: list[Scripted]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = list(script)
        self.asked: list[Asked] = []
        self.guard = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """A connection that was closed on purpose is no fault."""


@contextmanager
def serve_script(*script: Scripted) -> Iterator[ScriptedServer]:
    server = ScriptedServer(list(script) or [Scripted()])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
