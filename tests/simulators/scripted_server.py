"""An HTTP server that gives the answers it was told to, in turn, and keeps the requests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer. The connection ends after a body that is shorter than promised."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    promised_bytes: int | None = None
    silent: bool = False
    """Say nothing at all until the server ends."""
    hangs_up: bool = False
    """Say nothing at all, and close the connection."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ScriptedServer(ThreadingHTTPServer):
    """What comes after the last answer is the last answer again."""

    daemon_threads = True

    def __init__(self, answers: list[Answer]) -> None:
        self.requests: list[Request] = []
        self.ended = threading.Event()
        self._answers = answers
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def log_message(self, *_: Any) -> None:
        """Say nothing: the tests' output is for the tests."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.next_answer(Request(self.command, self.path, headers, body))
        if answer.silent:
            self.server.ended.wait()
        if answer.silent or answer.hangs_up:
            self.close_connection = True
            return
        promised = len(answer.body) if answer.promised_bytes is None else answer.promised_bytes
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.close_connection = promised != len(answer.body)

    # The names http.server looks for.
    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815


@contextmanager
def scripted_server(*answers: Answer) -> Iterator[ScriptedServer]:
    """Yields a running server."""
    with ScriptedServer(list(answers)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()
