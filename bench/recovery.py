"""How long it takes to bring back what was lost, beside copying the same files and syncing them.

A server's folder with an app of so many releases, each with an artifact of 1 MiB, on the disk where
temporary files go. Commands are typed in this process, so what is measured is their work: add about
half a second for the start of Python. Each is the best of several runs, all from the same state.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.table import Table
from tests.simulators.server_scene import APP
from tests.simulators.server_site import ServerSite

RELEASES = 50
ARTIFACT_BYTES = 1 << 20
RUNS = 3
MOST_S = 60.0
"""The bar for each way back: a minute, on a machine that does nothing else."""


def _grow(site: ServerSite) -> None:
    for number in range(RELEASES):
        build = site.scene.publisher.build(f"1.{number}.1", {"any": os.urandom(ARTIFACT_BYTES)})
        site.scene.upload(build)
        request = site.scene.publisher.publish(site.scene.look().chain, build)
        site.scene.send(request)


def _time(prepare: Callable[[], object], act: Callable[[], object]) -> float:
    """Return how long the quickest of several runs took, in seconds."""
    found = []
    for _ in range(RUNS):
        prepare()
        os.sync()
        begun = time.perf_counter()
        act()
        found.append(time.perf_counter() - begun)
    return min(found)


def _copy(source: Path, target: Path) -> None:
    """The rival: `cp -r` and a sync, which prove nothing and do not know what is in use."""
    shutil.copytree(source, target)
    for path in (*target.rglob("*"), target):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def run() -> Table:
    """Measure each way back."""
    table = Table(heads=("lost, and brought back by", "seconds", "ratio to copying the folder"))
    with tempfile.TemporaryDirectory(prefix="lockgate-bench-") as name:
        folder = Path(name)
        site = ServerSite(folder / "site")
        _grow(site)
        site.environ["LOCKGATE_BACKUP_PASSPHRASE"] = "a long enough passphrase"
        number = str(site.number())
        copied = folder / "copied"
        rival = _time(
            lambda: shutil.rmtree(copied, ignore_errors=True), lambda: _copy(site.data, copied)
        )
        size = sum(path.stat().st_size for path in site.data.rglob("*") if path.is_file())
        table.add(f"(the rival: copying {size >> 20} MiB)", f"{rival:.2f}", "1")
        for what, prepare, act in _ways(site, folder, number):
            taken = _time(prepare, act)
            table.add(what, table.judge(round(taken, 2), at_most=MOST_S), f"{taken / rival:.1f}")
        site.close()
    return table


def _ways(
    site: ServerSite, folder: Path, number: str
) -> list[tuple[str, Callable[[], object], Callable[[], object]]]:
    keys, everything = folder / "b-keys", folder / "b-all"

    def empty(place: Path) -> Callable[[], object]:
        return lambda: shutil.rmtree(place, ignore_errors=True)

    def make(place: Path, *more: str) -> Callable[[], object]:
        return lambda: site.type("backup", place, "--data", site.data, *more)

    new = folder / "new"
    make(keys, "--with-keys", "--no-verify")()
    make(everything, "--with-keys", "--objects", "--no-verify")()
    backup = next(everything.iterdir())

    def without_database() -> None:
        empty(new)()
        new.mkdir()
        (new / "objects").symlink_to(site.objects)

    def without_objects() -> None:
        empty(new)()
        site.type("restore", keys, "--data", new, "--yes", "--storage", str(site.objects))

    restore = ("restore", everything, "--data", new)
    rebuild = ("rebuild", "--data", new, "--app", APP, "--root", site.root, "--at", number)
    return [
        ("nothing: a backup, proven", empty(folder / "b1"), make(folder / "b1")),
        (
            "nothing: a backup with objects, proven",
            empty(folder / "b2"),
            make(folder / "b2", "--objects"),
        ),
        (
            "database: restore",
            without_database,
            lambda: site.type("restore", keys, "--data", new, "--at", number),
        ),
        ("database, no backup: rebuild", without_database, lambda: site.type(*rebuild)),
        (
            "bucket: storage refill from a backup",
            without_objects,
            lambda: site.type("storage", "refill", backup, "--data", new),
        ),
        ("everything: restore --objects", empty(new), lambda: site.type(*restore, "--objects")),
    ]
