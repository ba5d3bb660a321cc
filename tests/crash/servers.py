"""A server that misbehaves at one request of an update, in one way, and then in the next way.

The way and the request stand in the address that the updater is given, so that the server keeps no
state but a count: `http://127.0.0.1:PORT/<way>.<request>.<try>` is a repository of its own.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from lockgate_release.digests import digest_tree
from lockgate_release.errors import ExitCode, LockgateError
from lockgate_updater import Updater
from lockgate_updater.fetch.transport import HttpTransport, Limits
from tests.crash.bench import Bench
from tests.crash.process import in_a_child, run
from tests.crash.tally import Sample, Tally, timed

__all__ = ["misbehave"]

_IMPATIENT = Limits(connect_s=2.0, silence_s=0.3, grace_s=0.2, min_speed_bytes_s=1 << 20)
_DRIP_S = 0.02
_LOOK_EVERY_S = 0.5
_NUMBER_OR_DIGEST = re.compile(r"^([0-9]+|[0-9a-f]{64})\.")

_Files = Mapping[str, bytes]


class _Way(StrEnum):
    """What the server does wrong, at one request unless it says otherwise."""

    NONE = "none"
    FREEZE = "freeze"
    """From this request on, what stood there when the client last came."""
    ROLL_BACK = "roll-back"
    """From this request on, what stood there before that."""
    MIX = "mix"
    """This file as it was when the client last came, under its new name."""
    SWAP = "swap"
    """Another file of the repository, rightly signed, under this name."""
    FORGE = "forge"
    """Bytes of the right length that nobody signed."""
    CORRUPT = "corrupt"
    """One bit is flipped in the middle."""
    TRUNCATE = "truncate"
    """Half of it, as if that were all."""
    CUT = "cut"
    """Half of it, and the connection breaks."""
    STALL = "stall"
    """Half of it, and then nothing more."""
    DRIP = "drip"
    """One byte after the other, slowly."""
    ENDLESS = "endless"
    """All of it, and then zeros that never end."""
    MISSING = "missing"
    BUSY = "busy"
    EMPTY = "empty"


class _Answers:
    """What is served: the repository now, and as the client has met it before."""

    def __init__(self, history: Sequence[_Files], now: _Files) -> None:
        self._now = now
        self._last = history[-1] if history else now
        self._first = history[0] if history else now
        self._seen: Counter[str] = Counter()
        self.paths: dict[str, list[str]] = {}

    def find(self, case: str, path: str) -> tuple[_Way, bytes | None]:
        """What goes wrong with this answer, and the file it goes wrong with, if there is one."""
        name, at_text, _ = case.split(".")
        way, at = _Way(name), int(at_text)
        self._seen[case] += 1
        number = self._seen[case]
        self.paths.setdefault(case, []).append(path)
        if way in {_Way.FREEZE, _Way.ROLL_BACK}:
            before = self._last if way is _Way.FREEZE else self._first
            return _Way.NONE, (before if number >= at else self._now).get(path)
        data = self._now.get(path)
        if number != at or data is None:
            return _Way.NONE, data
        return way, self._spoiled(way, path, data)

    def _spoiled(self, way: _Way, path: str, data: bytes) -> bytes:
        middle = len(data) // 2
        spoiled: dict[_Way, Callable[[], bytes]] = {
            _Way.MIX: lambda: _namesake(self._last, path) or data,
            _Way.SWAP: lambda: next(self._now[name] for name in sorted(self._now) if name != path),
            _Way.FORGE: lambda: b"\x1f" * len(data),
            _Way.CORRUPT: lambda: data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
            _Way.TRUNCATE: lambda: data[:middle],
            _Way.EMPTY: lambda: b"",
        }
        return spoiled[way]() if way in spoiled else data


def _namesake(files: _Files, path: str) -> bytes | None:
    """The newest file of the same role or kind."""
    folder, _, name = path.rpartition("/")
    kind = _NUMBER_OR_DIGEST.sub("", name)
    found = [
        other
        for other in files
        if other.rpartition("/")[0].split("/")[:2] == folder.split("/")[:2]
        and _NUMBER_OR_DIGEST.sub("", other.rpartition("/")[2]) == kind
    ]
    return files[max(found, key=lambda other: (len(other), other))] if found else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        case, _, path = self.path.lstrip("/").partition("/")
        if case == "seen":
            return self._send(json.dumps(self.server.answers.paths.get(path, [])).encode())
        way, data = self.server.answers.find(case, path)
        if data is None or way is _Way.MISSING:
            return self._send(b"", status=404)
        if way is _Way.BUSY:
            return self._send(b"", status=503)
        with suppress(OSError):
            self._send_wrongly(way, data)
        return None

    def _send(self, data: bytes, *, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _send_wrongly(self, way: _Way, data: bytes) -> None:
        if way not in {_Way.CUT, _Way.STALL, _Way.DRIP, _Way.ENDLESS}:
            return self._send(data)
        self.close_connection = True
        self.send_response(200)
        if way is not _Way.ENDLESS:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        half = data[: len(data) // 2]
        match way:
            case _Way.DRIP:
                for byte in data:
                    self.wfile.write(bytes([byte]))
                    time.sleep(_DRIP_S)
            case _Way.ENDLESS:
                self.wfile.write(data)
                while True:
                    self.wfile.write(bytes(1 << 16))
            case _:
                self.wfile.write(half)
                self.wfile.flush()
                if way is _Way.STALL:
                    time.sleep(_IMPATIENT.silence_s * 2)
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answers: _Answers) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers

    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients here break off on purpose."""


@contextmanager
def _serving(answers: _Answers) -> Iterator[str]:
    """Serve from a process of its own; the address of the server."""

    def live(say: int) -> None:
        server = _Server(answers)
        os.write(say, f"http://127.0.0.1:{server.server_address[1]}".encode())
        server.serve_forever(poll_interval=_LOOK_EVERY_S)

    with in_a_child(live) as address:
        yield address


def _update(home: Path, address: str) -> int:
    """The library's update, with a transport that gives up soon."""
    updater = Updater.open(
        home,
        flags={"repository": address},
        environ={"PATH": os.environ["PATH"]},
        transport=lambda: HttpTransport(environ={}, limits=_IMPATIENT),
    )
    try:
        outcome = updater.update().outcome
    except LockgateError as exc:
        print(exc, file=sys.stderr)  # noqa: T201 (the rig reads it)
        return exc.exit_code
    return ExitCode.ROLLED_BACK if outcome.value == "rolled-back" else ExitCode.OK


def misbehave(bench: Bench, sample: Sample) -> Tally:
    """Misbehave in each way at each request; the next update, from a good server, converges."""
    with timed("server", bench.name) as tally, _serving(_answers(bench)) as address:
        bench.put_back()
        run(bench.home, lambda: _update(bench.home, f"{address}/none.0.0"))
        with urlopen(f"{address}/seen/none.0.0") as answer:
            requests = json.load(answer)
        points = [
            (at, path, way) for at, path in enumerate(requests, 1) for way in _Way if way != "none"
        ]
        tally.points = len(points)
        for at, path, way in sample.of(points):
            bench.put_back()
            case = f"{address}/{way}.{at}.1"
            ending = run(bench.home, lambda case=case: _update(bench.home, case))  # type: ignore[misc]
            wrong = _wrong_code(bench, ending.code, ending.said) or _unsigned(bench)
            where = f"{way} at request {at}, {path}"
            tally.add(where, wrong or bench.judge() or bench.converge())
    return tally


def _answers(bench: Bench) -> _Answers:
    return _Answers(bench.history, bench.files)


def _wrong_code(bench: Bench, code: int, said: str) -> str:
    expected = {0, bench.scenario.code, ExitCode.REFUSED, ExitCode.TRANSPORT}
    return "" if code in expected else f"it ended with {code}: {said[-600:]}"


def _unsigned(bench: Bench) -> str:
    """What stands among the trees and was not signed, or ""."""
    for tree in (bench.home / "versions").iterdir():
        if bench.expected.trees.get(tree.name) != digest_tree(tree).sha256:
            return f"versions/{tree.name} is not what was signed"
    return ""
