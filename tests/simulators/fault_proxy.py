"""A proxy on a loopback port between an S3 client and a real S3 service, that misbehaves by plan.

Without a plan every request reaches the service byte for byte, with its own `Host` header, which
the signature covers. A fault strikes the requests that it names, the `skip` first of them excepted:

    with fault_proxy(service) as proxy:
        store = open_store(proxy.endpoint)
        proxy.plan(Fault(Trouble.SLOW_DOWN, "PUT", "*/timestamp.json"))    # never got there
        proxy.plan(Fault(Trouble.LOST_ANSWER, "PUT", "*/timestamp.json"))  # written, not said
        gate = proxy.hold("PUT", "*/timestamp.json")                       # until gate.open()
"""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = ["Fault", "FaultProxy", "Gate", "Seen", "Trouble", "fault_proxy"]

_PATIENCE_S = 120.0
_OURS = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})


class Trouble(StrEnum):
    """What can go wrong. Before the line the service never sees the request; behind it, it does."""

    ERROR = "500"
    SLOW_DOWN = "503 SlowDown"
    FULL = "507 disk full"
    EXPIRED = "403 expired"
    SKEWED = "403 clock skew"
    RESET = "reset in the body"
    # Behind the line.
    LOST_ANSWER = "reset behind it"
    ERROR_AFTER = "500 behind it"
    LATE = "answer too late"
    TRUNCATED = "answer cut short"
    WRONG_ETAG = "wrong ETag"
    WRONG_DATE = "wrong Date"
    STALE_LIST = "stale listing"

    @property
    def reaches(self) -> bool:
        """Whether the service sees the request, and does what it asks for."""
        return self not in _REFUSALS and self is not Trouble.RESET


_REFUSALS = {
    Trouble.ERROR: (500, "InternalError", "We encountered an internal error."),
    Trouble.SLOW_DOWN: (503, "SlowDown", "Please reduce your request rate."),
    Trouble.FULL: (507, "InsufficientStorage", "No space left on the device."),
    Trouble.EXPIRED: (403, "AccessDenied", "Request has expired"),
    Trouble.SKEWED: (403, "RequestTimeTooSkewed", "The difference is too large."),
}


class Gate:
    """Where requests wait until a test lets them go on."""

    def __init__(self) -> None:
        """Let nobody through yet."""
        self._reached = threading.Event()
        self._opened = threading.Event()

    def wait_until_reached(self) -> None:
        """Return once a request waits here."""
        assert self._reached.wait(_PATIENCE_S), "no such request came"

    def open(self) -> None:
        """Let everybody through, from now on."""
        self._opened.set()

    def pass_through(self) -> None:
        """Wait, as a request."""
        self._reached.set()
        assert self._opened.wait(_PATIENCE_S), "nobody opened the gate"


@dataclass
class Fault:
    """What happens at some requests. `skip` of those that fit go well first; `times` are struck.

    Attributes:
        trouble: What happens; a gate holds the request back before the service sees it.
        method: The HTTP method, or `*`, or `write` for all that change something.
        key: A pattern for the path.
        skip: How many go well first.
        times: How many are struck; -1 for all.
        behind: For a gate: hold the answer back instead.
    """

    trouble: Trouble | Gate
    method: str = "*"
    key: str = "*"
    skip: int = 0
    times: int = 1
    behind: bool = False

    def strikes(self, method: str, path: str) -> bool:
        """Whether it is this fault's turn. Counts down, so ask once a request."""
        same = self.method in {"*", method} or (self.method == "write" and _is_write(method))
        if self.times == 0 or not same or not fnmatchcase(path, self.key):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


def _is_write(method: str) -> bool:
    return method not in {"GET", "HEAD"}


@dataclass(frozen=True)
class Seen:
    """One request that came, and what it got: 0 where no whole answer was given."""

    method: str
    path: str
    query: str
    status: int
    struck: str = ""

    @property
    def is_write(self) -> bool:
        """Whether it wanted to change something."""
        return _is_write(self.method)


@dataclass(frozen=True)
class _Answer:
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def replace(self, name: str, value: str) -> _Answer:
        """The same, where one header says something else."""
        headers = [(n, value if n.lower() == name.lower() else v) for n, v in self.headers]
        return _Answer(self.status, self.reason, headers, self.body)


@dataclass
class FaultProxy:
    """What is planned, and what has come.

    Attributes:
        endpoint: The address to use in the service's place.
        seen: Every request so far, in the order of their answers.
    """

    endpoint: str
    seen: list[Seen] = field(default_factory=list)
    _faults: list[Fault] = field(default_factory=list)
    _listings: dict[str, _Answer] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, *faults: Fault) -> None:
        """Let these happen, besides what is planned already."""
        with self._lock:
            self._faults.extend(faults)

    def hold(self, method: str, key: str, *, skip: int = 0, behind: bool = False) -> Gate:
        """Return a gate that one request will wait at, or `behind` it the answer to one."""
        gate = Gate()
        self.plan(Fault(gate, method, key, skip=skip, behind=behind))
        return gate

    def heal(self) -> bool:
        """Forget the plan, and say whether all of it had happened."""
        with self._lock:
            waiting = [fault for fault in self._faults if fault.times > 0]
            self._faults.clear()
        return not waiting

    def writes(self) -> list[Seen]:
        """The requests that wanted to change something."""
        return [seen for seen in self.seen if seen.is_write]

    def forget(self) -> None:
        """Count from here."""
        self.seen.clear()

    def _choose(self, method: str, path: str) -> Fault | None:
        with self._lock:
            # All are asked, so that one fault's turn does not stop another from counting.
            turns = [fault for fault in self._faults if fault.strikes(method, path)]
        return turns[0] if turns else None

    def _note(self, seen: Seen) -> None:
        with self._lock:
            self.seen.append(seen)

    def _remember_listing(self, address: str, answer: _Answer, *, stale: bool) -> _Answer:
        """Return the first answer that this listing ever got, where it is to be stale."""
        with self._lock:
            first = self._listings.setdefault(address, answer)
        return first if stale else answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Say nothing: the tests' output is for the tests."""

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        fault = self.server.proxy._choose(self.command, path)
        trouble = fault.trouble if fault else None
        status = 0
        with suppress(OSError):
            body = self._read_body(cut=trouble is Trouble.RESET)
            if isinstance(trouble, Gate):
                status = self._pass_gate(trouble, body, behind=bool(fault and fault.behind))
            else:
                status = self._meet(trouble, body)
        struck = trouble.value if isinstance(trouble, Trouble) else "held" if trouble else ""
        self.server.proxy._note(Seen(self.command, path, parts.query, status, struck))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 (http.server's names)

    def _pass_gate(self, gate: Gate, body: bytes, *, behind: bool) -> int:
        if not behind:
            gate.pass_through()
        answer = self._ask(body)
        if behind:
            gate.pass_through()
        return self._send(answer)

    def _meet(self, trouble: Trouble | None, body: bytes) -> int:
        if trouble is Trouble.RESET:
            self._send_half_upstream(body)
            return self._reset()
        if trouble in _REFUSALS:
            return self._send(_refusal(trouble))
        answer = self._ask(body)
        if trouble in {Trouble.LOST_ANSWER, Trouble.LATE, Trouble.TRUNCATED}:
            return self._break_off(trouble, answer)
        if trouble is Trouble.ERROR_AFTER:
            answer = _refusal(Trouble.ERROR)
        elif trouble is Trouble.WRONG_ETAG:
            answer = answer.replace("ETag", '"00000000000000000000000000000000"')
        elif trouble is Trouble.WRONG_DATE:
            answer = answer.replace("Date", "Thu, 01 Jan 2015 00:00:00 GMT")
        return self._send(answer, stale=trouble is Trouble.STALE_LIST)

    def _break_off(self, trouble: Trouble, answer: _Answer) -> int:
        if trouble is Trouble.TRUNCATED:
            return self._send_half(answer)
        if trouble is Trouble.LATE:
            self._wait_until_given_up()
        return self._reset()

    # Towards the service.

    def _read_body(self, *, cut: bool) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return self._read_chunks()
        length = int(self.headers.get("Content-Length", 0))
        return self.rfile.read(length // 2 if cut else length)

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def _open_upstream(self) -> http.client.HTTPConnection:
        upstream = self.server.upstream
        connection = http.client.HTTPConnection(upstream[0], upstream[1], timeout=_PATIENCE_S)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in {"connection", "expect", "transfer-encoding"}:
                connection.putheader(name, value)
        return connection

    def _ask(self, body: bytes) -> _Answer:
        connection = self._open_upstream()
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            connection.putheader("Content-Length", str(len(body)))
        try:
            connection.endheaders(body or None)
            found = connection.getresponse()
            return _Answer(found.status, found.reason, found.getheaders(), found.read())
        except OSError:
            # The service is down: what a load balancer says then.
            return _refusal(Trouble.ERROR)
        finally:
            connection.close()

    def _send_half_upstream(self, half: bytes) -> None:
        """Let the service see the beginning of a body whose end never comes."""
        if not half:
            return
        connection = self._open_upstream()
        with suppress(OSError):
            connection.endheaders(half)
        connection.close()

    # Towards the client.

    def _send(self, answer: _Answer, *, stale: bool = False) -> int:
        if "list-type=2" in self.path:
            answer = self.server.proxy._remember_listing(self.path, answer, stale=stale)
        self._send_head(answer)
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        return answer.status

    def _send_half(self, answer: _Answer) -> int:
        if self.command == "HEAD" or not answer.body:
            return self._reset()
        self._send_head(answer)
        self.wfile.write(answer.body[: len(answer.body) // 2])
        self.wfile.flush()
        return self._reset(abruptly=False)

    def _send_head(self, answer: _Answer) -> None:
        self.send_response_only(answer.status, answer.reason)
        length = str(len(answer.body))
        for name, value in answer.headers:
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in _OURS:
                self.send_header(name, value)
        if answer.status not in {204, 304}:
            self.send_header("Content-Length", length)
        self.end_headers()

    def _wait_until_given_up(self) -> None:
        self.connection.settimeout(_PATIENCE_S)
        with suppress(OSError):
            self.connection.recv(1, socket.MSG_PEEK)

    def _reset(self, *, abruptly: bool = True) -> int:
        self.close_connection = True
        if abruptly:
            linger = struct.pack("ii", 1, 0)
            with suppress(OSError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return 0


def _refusal(trouble: Trouble) -> _Answer:
    status, code, message = _REFUSALS[trouble]
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return _Answer(status, code, [("Content-Type", "application/xml")], body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        parts = urlsplit(upstream)
        assert re.fullmatch(r"127\.0\.0\.1", parts.hostname or ""), "the service is on loopback"
        self.upstream = (str(parts.hostname), int(parts.port or 80))
        self.proxy = FaultProxy(f"http://127.0.0.1:{self.server_port}{parts.path}")

    def shutdown_request(self, request: Any) -> None:
        """Close without the polite ending, so that a reset is one."""
        request.close()

    def handle_error(self, *_: Any) -> None:
        """Say nothing: connections break off here on purpose."""


@contextmanager
def fault_proxy(service: str) -> Iterator[FaultProxy]:
    """Stand before the service at this address until the block ends."""
    server = _Server(service)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
