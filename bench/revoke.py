"""How long a revocation takes, from the call to the signed document in force on the disk.

The server's own services over a directory and SQLite on this machine's disk, as many releases live
as are kept, and one channel or three. Wall-clock time, the median of several, beside the same
number of bare writes, each with its own sync, on the same disk at the same time.
"""

from __future__ import annotations

import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.table import Table
from lockgate_release.instants import utc_now
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from lockgate_server.stores.sqlite_reports import SqliteReportLedger
from tests.simulators.server_scene import Scene

LIVE = 50
TIMES = 9
MOST_S = 1.0
CHANNELS = (("stable",), ("stable", "beta", "nightly"))
WRITES = {1: 4, 3: 6}
"""How many writes of the store a revocation is live after, by channels: `tests/faults` counts."""
_PIECE = secrets.token_bytes(4096)


def run() -> Table:
    """Revoke again and again, and compare with bare writes."""
    table = Table(
        heads=("channels", "a revocation, in s", "bare writes with a sync, in s", "ratio")
    )
    for channels in CHANNELS:
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            revoked_s, bare_s = _measure(Path(folder), channels)
        judged = table.judge(round(revoked_s, 4), at_most=MOST_S)
        table.add(len(channels), judged, f"{bare_s:.4f}", f"{revoked_s / bare_s:.1f}")
    return table


class _Desk(Scene):
    """A server on a disk. Its clock is the real one."""

    def deps(self) -> WriteDeps:
        """What the use cases get."""
        return replace(super().deps(), now=lambda: utc_now().replace(microsecond=0))


def _measure(folder: Path, channels: tuple[str, ...]) -> tuple[float, float]:
    scene = _Desk(folder=folder)
    scene.pass_time(utc_now().replace(microsecond=0))
    store, ledger = DirectoryStore(folder / "objects"), SqliteLedger(folder / "ledger.sqlite3")
    reports = SqliteReportLedger(folder / "reports.sqlite3")
    scene.store, scene.ledger, scene.reports = store, ledger, reports
    try:
        scene.register()
        for number in range(LIVE):
            scene.publish(f"1.0.{number}", channels=channels)
            for channel in channels[1:]:
                scene.send(scene.publisher.offer(f"1.0.{number}", channel))
        revoked, bare = [], []
        for number in range(TIMES):
            version = f"1.0.{LIVE - 1 - number}"
            revoked.append(_timed(lambda version=version: scene.revoke(version)))  # type: ignore[misc]
            assert all(version in scene.look().revoked(channel) for channel in channels)
            bare.append(_timed(lambda: _write_bare(folder, WRITES[len(channels)])))
    finally:
        ledger.close()
        reports.close()
        store.close()
    return statistics.median(revoked), statistics.median(bare)


def _timed(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _write_bare(folder: Path, times: int) -> None:
    for number in range(times):
        with (folder / f"bare-{number}").open("wb") as file:
            file.write(_PIECE)
            file.flush()
            os.fsync(file.fileno())
