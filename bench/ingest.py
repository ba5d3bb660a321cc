"""What taking reports in costs, beside a Flask view that does nothing, in the same gunicorn.

Both are the public child's gunicorn: its workers, its threads, its keep-alive. The rival's only
view answers 204. Requests a second are what the server's processor time allows, flushes to the disk
included; the load comes over kept connections, in turns. Every report must be accepted.
Transactions are the flushes found in the file of counts afterwards, at a load and at four times
that load: one a second in each process at most, so they do not grow.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from bench.table import Table
from lockgate_release.gate import Arm
from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.reports import (
    CohortKey,
    Enrolled,
    Fared,
    Outcome,
    Report,
    dump_reports,
    hour_of,
)
from lockgate_server.services.reports.intake import FLUSH_S
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_process import ServerProcess

ROUNDS = 5
REQUESTS = 1_500
CONNECTIONS = 8
SLOW_PER_S, PACED_S = 40, 8
BATCHES = (1, 20)
WORKERS = 2
BARS = {1: 0.7, 20: 0.5}
_APP = AppName("demo")
_PLATFORM = Platform("linux-x86_64")
_TICKS = os.sysconf("SC_CLK_TCK")
_BARE = """
import sys
from flask import Flask, Response
from lockgate_server.children.common import serve
def make():
    app = Flask("bare", static_folder=None)
    app.add_url_rule("/demo/reports", "r", lambda: Response(status=204), methods=["POST"])
    return app
serve("bare", int(sys.argv[1]), make, workers=2, threads=64)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """A server that is measured: its address, and the process above its workers."""

    address: tuple[str, int]
    pid: int


def run() -> Table:
    """Measure ours and the rival in turns, then transactions at two loads."""
    table = Table(heads=("what", "rival", "ours", "rival's", "ratio"))
    with tempfile.TemporaryDirectory() as folder, _ours(Path(folder)) as ours, _bare() as bare:
        for size in BATCHES:
            mine, rivals = _in_turns(ours, bare, size)
            ratio = round(mine / rivals, 2)
            bar = BARS[size]
            table.missed += ratio < bar
            table.add(
                f"requests/s, batches of {size}",
                "Flask view, 204",
                f"{mine:.0f}",
                f"{rivals:.0f}",
                f"{ratio} (bar {bar}{'' if ratio >= bar else ', MISSED'})",
            )
        one = _transactions_per_s(ours, Path(folder), SLOW_PER_S)
        four = _transactions_per_s(ours, Path(folder), 4 * SLOW_PER_S)
        table.add(
            f"transactions/s at {4 * SLOW_PER_S} requests/s",
            f"at {SLOW_PER_S} requests/s",
            f"{four:.2f}",
            f"{one:.2f}",
            table.judge(round(four, 2), at_most=WORKERS / FLUSH_S),
        )
    return table


@contextmanager
def _ours(folder: Path) -> Iterator[_Served]:
    environ = {"LOCKGATE_TRUSTED_PROXIES": "127.0.0.1", "LOCKGATE_REPORT_SHARE": "100%"}
    with ServerProcess(folder / "data", **environ) as server:
        publisher = PublisherSimulator(_APP, now=datetime.now(UTC).replace(microsecond=0))
        server.register(publisher)
        server.publish(publisher, publisher.build("1.0.0"))
        build = publisher.build("1.1.0", {_PLATFORM: b"a program"})
        server.publish(publisher, build, exposure_bp=1_000)
        parts = urlsplit(server.public)
        child = next(pid for pid in _children_of(server.pid) if b".public" in _command_of(pid))
        yield _Served(address=(str(parts.hostname), int(parts.port or 0)), pid=child)


@contextmanager
def _bare() -> Iterator[_Served]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        process = subprocess.Popen(
            [sys.executable, "-c", _BARE, str(listening.fileno())],
            pass_fds=(listening.fileno(),),
            stderr=subprocess.DEVNULL,
        )
        try:
            yield _Served(address=listening.getsockname(), pid=process.pid)
        finally:
            process.terminate()
            process.wait()


def _in_turns(ours: _Served, bare: _Served, size: int) -> tuple[float, float]:
    """Return the requests per second of the server's processor time: the median turn of each."""
    mine, rivals = [], []
    for number in range(ROUNDS + 1):  # the first one warms up
        bodies = _bodies(size, REQUESTS, number)
        mine.append(_cost(ours, bodies, b"202"))
        rivals.append(_cost(bare, bodies, b"204"))
    return statistics.median(mine[1:]), statistics.median(rivals[1:])


def _cost(served: _Served, bodies: list[bytes], expected: bytes) -> float:
    before = _processor_s(served.pid)
    _load(served.address, bodies, expected)
    time.sleep(1.5)  # what waits is counted as well
    return len(bodies) / (_processor_s(served.pid) - before)


def _bodies(size: int, count: int, turn: int) -> list[bytes]:
    """Return requests as bytes: clients that enrol, and fare well where there is room for it."""
    cohort = CohortKey(
        channel=ChannelName("stable"),
        version="1.1.0",
        epoch=1,
        arm=Arm.OFFERED,
        platform=_PLATFORM,
        from_version="1.0.0",
        hour=hour_of(datetime.now(UTC)),
    )
    return [
        _request(_reports(size, f"{turn:04x}{number:012x}", cohort), number, size)
        for number in range(count)
    ]


def _reports(size: int, name: str, cohort: CohortKey) -> list[Report]:
    nonces = [f"{size:08x}{name}{index:08x}" for index in range(max(1, size // 2))]
    found: list[Report] = [Enrolled(nonce=nonce, cohort=cohort) for nonce in nonces]
    found += [Fared(nonce=nonce, cohort=cohort, outcome=Outcome.HEALTHY) for nonce in nonces]
    return found[:size]


def _request(reports: list[Report], number: int, size: int) -> bytes:
    body = dump_reports(reports)
    return (
        f"POST /demo/reports HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n"
        f"X-Forwarded-For: 198.{number >> 8 & 255}.{number & 255}.{size}\r\n\r\n"
    ).encode() + body


def _load(
    address: tuple[str, int], requests: list[bytes], expected: bytes, *, per_s: float = 0.0
) -> None:
    """Send requests over kept connections, as fast as they are answered or at a pace.

    Raises:
        RuntimeError: One was not answered as expected.
    """
    lines = [socket.create_connection(address) for _ in range(CONNECTIONS)]
    began = time.monotonic()
    try:
        for start in range(0, len(requests), CONNECTIONS):
            group = list(zip(lines, requests[start : start + CONNECTIONS], strict=False))
            for line, request in group:
                line.sendall(request)
            for line, _request_bytes in group:
                _hear(line, expected)
            if per_s:
                time.sleep(max(0.0, began + (start + CONNECTIONS) / per_s - time.monotonic()))
    finally:
        for line in lines:
            line.close()


def _hear(line: socket.socket, expected: bytes) -> None:
    """Read an answer; one of ours must say that nothing was dropped."""
    answer = b""
    is_ours = expected == b"202"
    while not answer.endswith(b"}" if is_ours else b"\r\n\r\n"):
        received = line.recv(1 << 16)
        answer += received
        if not received:
            break
    if expected not in answer[:16] or (is_ours and b'"dropped": 0}' not in answer):
        raise RuntimeError(f"not as expected: {answer!r}")


def _transactions_per_s(ours: _Served, folder: Path, per_s: int) -> float:
    bodies = _bodies(1, per_s * PACED_S, 1_000 + per_s)
    before = _flushes(folder)
    began = time.monotonic()
    _load(ours.address, bodies, b"202", per_s=per_s)
    time.sleep(1.5)
    return (_flushes(folder) - before) / (time.monotonic() - began)


def _flushes(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "data" / "reports.sqlite3")) as raw:
        return int(raw.execute("SELECT coalesce(max(position), 0) FROM nonces").fetchone()[0])


def _children_of(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    return [int(text) for text in found.split()]


def _command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _processor_s(pid: int) -> float:
    """Return the processor time of a process and its children, in seconds."""
    total = 0
    for one in [pid, *_children_of(pid)]:
        fields = Path(f"/proc/{one}/stat").read_text("ascii").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS
