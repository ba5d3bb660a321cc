"""Ten minutes of everything at once: the server's memory and open files stay where they were.

Clients ask for the pointer, for metadata, for parts of an artifact, for what is not there, and send
reports, over kept connections and over new ones, as fast as they are answered. Memory is what the
public side's processes have to themselves. LOCKGATE_SOAK_S says how long, in seconds; only what
comes after the first fifth is judged, when caches and pools are full.

It runs when it is named: `make bench ARGS=soak`.
"""

from __future__ import annotations

import http.client
import os
import random
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.served import memory_bytes, open_files, processor_s, public_side
from bench.table import Table
from lockgate_release.digests import digest_bytes
from lockgate_release.layout import artifact_path
from lockgate_release.names import ChannelName, Platform
from lockgate_release.reports import Active, dump_reports
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_process import ServerProcess

LASTS_S = float(os.environ.get("LOCKGATE_SOAK_S", "600"))
CLIENTS = 16
SAMPLES = 20
GROWTH = 1.05
_ARTIFACT = os.urandom(4 << 20)


@dataclass(slots=True)
class _Counts:
    """What clients have seen, together."""

    answered: int = 0
    failed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def run() -> Table:
    """Load a server for as long as it is told, and judge its memory and its open files."""
    table = Table(heads=("what", "after a fifth", "at the end", "growth"))
    with tempfile.TemporaryDirectory() as folder:
        environ = {"LOCKGATE_TRUSTED_PROXIES": "127.0.0.1"}
        with ServerProcess(Path(folder) / "data", **environ) as server:
            publisher = PublisherSimulator(now=datetime.now(UTC).replace(microsecond=0))
            server.register(publisher)
            server.publish(publisher, publisher.build("1.0.0", {"any": _ARTIFACT}))
            samples, counts = _soak(server)
            spent_s = processor_s(public_side(server).pid)
    early, late = samples[SAMPLES // 5], samples[-1]
    growth = round(late[0] / early[0], 3)
    table.add("memory, MiB", f"{early[0] / 2**20:.1f}", f"{late[0] / 2**20:.1f}",
              table.judge(growth, at_most=GROWTH))  # fmt: skip
    table.add("open files", early[1], late[1], table.judge(late[1] - early[1], at_most=CLIENTS))
    table.add("answers", "", f"{counts.answered:,}", "")
    table.add("failures", "", counts.failed, table.judge(counts.failed, at_most=0))
    table.add("answers per second of processor time", "", f"{counts.answered / spent_s:.0f}", "")
    return table


def _soak(server: ServerProcess) -> tuple[list[tuple[int, int]], _Counts]:
    """Return memory and open files at equal steps, and what clients have seen."""
    served, counts, ends_at = public_side(server), _Counts(), time.monotonic() + LASTS_S
    threads = [
        threading.Thread(target=_client, args=(served.address, number, ends_at, counts))
        for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    samples = []
    for _ in range(SAMPLES):
        time.sleep(LASTS_S / SAMPLES)
        samples.append((memory_bytes(served.pid), open_files(served.pid)))
    for thread in threads:
        thread.join()
    return samples, counts


def _client(address: tuple[str, int], number: int, ends_at: float, counts: _Counts) -> None:
    chance = random.Random(number)
    while time.monotonic() < ends_at:
        connection = http.client.HTTPConnection(*address, timeout=30)
        good = bad = 0
        try:
            for _ in range(chance.randrange(1, 200)):
                if _ask(connection, chance, number):
                    good += 1
                else:
                    bad += 1
        except (OSError, http.client.HTTPException):
            bad += 1
        finally:
            connection.close()
        with counts.lock:
            counts.answered += good
            counts.failed += bad


def _ask(connection: http.client.HTTPConnection, chance: random.Random, number: int) -> bool:
    """Ask for one thing; return whether the answer is the right one."""
    what = chance.random()
    if what < 0.6:
        return _get(connection, "metadata/timestamp.json") == 200
    if what < 0.75:
        return _get(connection, "metadata/1.root.json") == 200
    if what < 0.85:
        return _get(connection, f"metadata/{chance.randrange(50, 99)}.root.json") == 404
    if what < 0.9:
        start = chance.randrange(len(_ARTIFACT))
        path = artifact_path(digest_bytes(_ARTIFACT))
        return _get(connection, path, Range=f"bytes={start}-{start + 65_535}") == 206
    report = Active(
        version="1.0.0", platform=Platform("any"), channel=ChannelName("stable"), last_counted=None
    )
    block = f"198.{chance.randrange(256)}.{chance.randrange(256)}.{number}"
    said = {"X-Forwarded-For": block, "Content-Type": "application/json"}
    connection.request("POST", "/demo/reports", body=dump_reports([report]), headers=said)
    answer = connection.getresponse()
    answer.read()
    # A block that has said enough for now is told to wait: that is an answer too.
    return answer.status in {202, 429}


def _get(connection: http.client.HTTPConnection, path: str, **headers: str) -> int:
    connection.request("GET", f"/demo/{path}", headers=headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status
