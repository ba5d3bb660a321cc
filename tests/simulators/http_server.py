"""The simulated repository on a loopback port, with ranges and with bodies that misbehave."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from lockgate_release.errors import TransportError
from lockgate_release.trust.verify import NotFoundError
from tests.simulators.faults import Fault, Kind, spoil, zeros
from tests.simulators.repository import RepositorySimulator

_STALL_LIMIT_S = 30.0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A small body would wait 40 ms for the acknowledgement of its headers.
    disable_nagle_algorithm = True
    server: "Server"

    def log_message(self, *_: Any) -> None:
        """Say nothing: the tests' output is for the tests."""

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_GET(self) -> None:
        self.server.headers_seen.append(dict(self.headers.items()))
        self.server.paths_seen.append(self.path)
        if self.path in self.server.redirects:
            self.send_response(302)
            self.send_header("Location", self.server.redirects[self.path])
            self.send_header("Content-Length", "0")
            return self.end_headers()
        try:
            data, fault = self.server.repository.answer(urlsplit(self.path).path.lstrip("/"))
        except NotFoundError:
            return self._refuse(404)
        except TransportError as exc:
            return self._refuse(int(exc.found))
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        wanted = self._range_of(len(data), tag)
        if wanted is None:
            self.send_response(200)
            start, end = 0, len(data)
        else:
            start, end = wanted
            if start >= len(data):
                return self._refuse(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        if self.server.tells_tags:
            self.send_header("ETag", tag)
        return self._send_body(data[start:end], fault)

    def _range_of(self, size: int, tag: str) -> tuple[int, int] | None:
        """The part that is asked for and may be given: first byte, and the one behind the last."""
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        is_same = self.headers.get("If-Range", tag) == tag
        if match is None or not self.server.honours_ranges or not is_same:
            return None
        return int(match[1]), min(int(match[2]) + 1, size) if match[2] else size

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        for name, value in self.server.refusal_headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_body(self, data: bytes, fault: Fault | None) -> None:
        body = spoil(data, fault)
        kind = fault.kind if fault else None
        if kind is not Kind.ENDLESS:
            shown = len(body) if kind is Kind.TRUNCATE else len(data)
            self.send_header("Content-Length", str(shown))
        else:
            self.close_connection = True
        self.end_headers()
        try:
            self.wfile.write(body)
            self.wfile.flush()
            if kind is Kind.ENDLESS:
                for chunk in zeros():
                    self.wfile.write(chunk)
        except OSError:
            self.close_connection = True
        if kind is Kind.STALL:
            self.server.released.wait(_STALL_LIMIT_S)
        if kind in {Kind.CUT, Kind.STALL}:
            self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, repository: RepositorySimulator) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repository = repository
        self.released = threading.Event()
        self.honours_ranges = True
        self.tells_tags = False
        self.redirects: dict[str, str] = {}
        self.refusal_headers: dict[str, str] = {}
        self.headers_seen: list[dict[str, str]] = []
        self.paths_seen: list[str] = []
        self.connections = 0

    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients here break off on purpose."""

    def stop(self) -> None:
        """Go down: nobody can connect any more."""
        self.shutdown()
        self.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serve(repository: RepositorySimulator) -> Iterator[Server]:
    """Serve the repository until the block ends; the server's `address` is its base address."""
    server = Server(repository)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
