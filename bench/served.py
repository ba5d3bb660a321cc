"""Servers that are measured by the processor time they take, under a load over kept connections."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.simulators.server_process import ServerProcess

CONNECTIONS = 8
_TICKS = os.sysconf("SC_CLK_TCK")
_SETTLE_S = 1.5
"""What a server does after its answers, a flush to the disk say, is counted as well."""

Hear = Callable[[socket.socket], None]
"""Reads one answer, and raises RuntimeError where it is not the expected one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that is measured: its address, and the process above its workers."""

    address: tuple[str, int]
    pid: int


def public_side(server: ServerProcess) -> Served:
    """Return the public side of a running server."""
    parts = urlsplit(server.public)
    child = next(pid for pid in _children_of(server.pid) if b".public" in _command_of(pid))
    return Served(address=(str(parts.hostname), int(parts.port or 0)), pid=child)


@contextmanager
def flask_view(rule: str, view: str) -> Iterator[Served]:
    """Run a Flask app whose only view is an expression of Python, in the public side's gunicorn.

    Args:
        rule: Its address.
        view: A call without arguments, which may name `Response` and `request`.
    """
    script = (
        "import sys\n"
        "from flask import Flask, Response, request\n"
        "from lockgate_server.children.common import serve\n"
        "def make():\n"
        "    app = Flask('bare', static_folder=None)\n"
        f"    app.add_url_rule({rule!r}, 'v', {view}, methods=['GET', 'POST'])\n"
        "    return app\n"
        "serve('bare', int(sys.argv[1]), make, workers=2, threads=64)\n"
    )
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(listening.fileno())],
            pass_fds=(listening.fileno(),),
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Served(address=listening.getsockname(), pid=process.pid)
        finally:
            process.terminate()
            process.wait()


def in_turns(
    rivals: Mapping[str, tuple[Served, Hear]],
    requests_of: Callable[[int], Sequence[bytes]],
    rounds: int,
) -> dict[str, float]:
    """Return requests per second of each server's processor time: the median of its turns.

    Args:
        rivals: The servers, and how an answer of theirs is read.
        requests_of: Returns the requests of a turn, by its number; turn 0 warms up.
        rounds: How many turns count.
    """
    found: dict[str, list[float]] = {name: [] for name in rivals}
    for number in range(rounds + 1):
        requests = requests_of(number)
        for name, (served, hear) in rivals.items():
            before = processor_s(served.pid)
            send(served.address, requests, hear)
            time.sleep(_SETTLE_S)
            found[name].append(len(requests) / (processor_s(served.pid) - before))
    return {name: statistics.median(turns[1:]) for name, turns in found.items()}


def send(
    address: tuple[str, int], requests: Sequence[bytes], hear: Hear, *, per_s: float = 0.0
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
            for line, _request in group:
                hear(line)
            if per_s:
                time.sleep(max(0.0, began + (start + CONNECTIONS) / per_s - time.monotonic()))
    finally:
        for line in lines:
            line.close()


def hear_until(status: bytes, end: bytes, holding: bytes = b"") -> Hear:
    """Return how an answer is read that has this status, holds these bytes, and ends with those."""

    def hear(line: socket.socket) -> None:
        answer = b""
        while not answer.endswith(end):
            received = line.recv(1 << 16)
            answer += received
            if not received:
                break
        if status not in answer[:16] or holding not in answer:
            raise RuntimeError(f"not as expected: {answer!r}")

    return hear


def processor_s(pid: int) -> float:
    """Return the processor time of a process and its children, in seconds."""
    total = 0
    for one in [pid, *_children_of(pid)]:
        fields = Path(f"/proc/{one}/stat").read_text("ascii").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def memory_bytes(pid: int) -> int:
    """Return the memory that a process and its children have to themselves, in bytes."""
    total = 0
    for one in [pid, *_children_of(pid)]:
        for line in Path(f"/proc/{one}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total += int(line.split()[1]) << 10
    return total


def open_files(pid: int) -> int:
    """Return how many files and sockets a process and its children hold open."""
    return sum(len(list(Path(f"/proc/{one}/fd").iterdir())) for one in [pid, *_children_of(pid)])


def _children_of(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    return [int(text) for text in found.split()]


def _command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
