"""What taking reports in costs, beside a Flask view that does nothing, in the same gunicorn.

Both are the public child's gunicorn: its workers, its threads, its keep-alive. The rival's only
view answers 204. Requests a second are what the server's processor time allows, flushes to the disk
included; the load comes over kept connections, in turns. Every report must be accepted.
Transactions are the flushes found in the file of counts afterwards, at a load and at four times
that load: one a second in each process at most, so they do not grow.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench.served import Served, flask_view, hear_until, in_turns, public_side, send
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
SLOW_PER_S, PACED_S = 40, 8
BATCHES = (1, 20)
WORKERS = 2
BARS = {1: 0.7, 20: 0.5}
_APP = AppName("demo")
_PLATFORM = Platform("linux-x86_64")
_HEAR = hear_until(b"202", b"}", b'"dropped": 0}')
"""An answer of ours must say that nothing was dropped."""


def run() -> Table:
    """Measure ours and the rival in turns, then transactions at two loads."""
    table = Table(heads=("what", "rival", "ours", "rival's", "ratio"))
    view = flask_view("/demo/reports", "lambda: Response(status=204)")
    with tempfile.TemporaryDirectory() as folder, _ours(Path(folder)) as ours, view as bare:
        for size in BATCHES:
            rivals = {"ours": (ours, _HEAR), "bare": (bare, hear_until(b"204", b"\r\n\r\n"))}
            found = in_turns(rivals, partial(_bodies, size, REQUESTS), ROUNDS)
            ratio = round(found["ours"] / found["bare"], 2)
            bar = BARS[size]
            table.missed += ratio < bar
            table.add(
                f"requests/s, batches of {size}",
                "Flask view, 204",
                f"{found['ours']:.0f}",
                f"{found['bare']:.0f}",
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
def _ours(folder: Path) -> Iterator[Served]:
    environ = {"LOCKGATE_TRUSTED_PROXIES": "127.0.0.1", "LOCKGATE_REPORT_SHARE": "100%"}
    with ServerProcess(folder / "data", **environ) as server:
        publisher = PublisherSimulator(_APP, now=datetime.now(UTC).replace(microsecond=0))
        server.register(publisher)
        server.publish(publisher, publisher.build("1.0.0"))
        build = publisher.build("1.1.0", {_PLATFORM: b"a program"})
        server.publish(publisher, build, exposure_bp=1_000)
        yield public_side(server)


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


def _transactions_per_s(ours: Served, folder: Path, per_s: int) -> float:
    bodies = _bodies(1, per_s * PACED_S, 1_000 + per_s)
    before = _flushes(folder)
    began = time.monotonic()
    send(ours.address, bodies, _HEAR, per_s=per_s)
    time.sleep(1.5)
    return (_flushes(folder) - before) / (time.monotonic() - began)


def _flushes(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "data" / "reports.sqlite3")) as raw:
        return int(raw.execute("SELECT coalesce(max(position), 0) FROM nonces").fetchone()[0])
