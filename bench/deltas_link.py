"""From "update" to committed over 10 Mbit/s: a delta beside the full archive, by the real command.

A loopback server with the releases of a pair (`bench.deltas_pairs`) stands behind a proxy that lets
no more than 10 Mbit/s through, each way round 20 ms late. The client is the process
`lockgate-updater update` from start to end, with the health command and all syncs; the full archive
is a `.tar.zst` at level 19. Seconds by the clock, the median of three, in turns. Beside the delta
stands what a link alone would take for its bytes.
"""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backports import zstd

from bench.deltas_pairs import PAIRS, Laid, cache_folder, lay
from bench.table import Table
from tests.simulators.archives import Tree, make_archive
from tests.simulators.http_server import serve
from tests.simulators.patching import add_delta
from tests.simulators.repository import RepositorySimulator, checked_by

LINK_BYTES_PER_S = 10_000_000 / 8
DELAY_S = 0.02
ROUNDS = 3
_NAMES = ("esbuild", "ruff")
_PIECE_BYTES = 16384
_UPDATER = str(Path(sys.executable).with_name("lockgate-updater"))
_PROGRAM = {"bin/app": b"#!/bin/sh\nexit 0\n"}


def run() -> Table:
    """Update to the newer release of each pair, with the delta and without."""
    heads = ("pair", "full in s", "delta in s", "of full's time", "bytes of full", "of delta")
    table = Table(heads=heads)
    wanted = os.environ.get("LOCKGATE_BENCH_PAIRS", "").split() or _NAMES
    for pair in PAIRS:
        if pair.name in wanted:
            _measure(table, lay(pair, cache_folder()))
    return table


def _measure(table: Table, pair: Laid) -> None:
    old, new = _read(pair.tree("old")), _read(pair.tree("new"))
    repository = RepositorySimulator()
    check = checked_by("bin/app")
    repository.publish("1.0.0", old, archive=_pack(old), kind="tar.zst", install=check)
    with tempfile.TemporaryDirectory() as made, serve(repository) as server:
        folder = Path(made)
        with _link(int(server.address.rpartition(":")[2])) as address:
            home = _install(folder, repository, server.address, address)
            archive = _pack(new)
            repository.publish("2.0.0", new, archive=archive, kind="tar.zst", install=check)
            delta = add_delta(repository, ("1.0.0", old), ("2.0.0", new))
            spent: dict[str, list[float]] = {"true": [], "false": []}
            for number in range(ROUNDS * 2):
                way = "true" if number % 2 else "false"
                spent[way].append(_update(folder, home, way))
    full, by_delta = statistics.median(spent["false"]), statistics.median(spent["true"])
    table.add(
        pair.name,
        f"{full:.1f}",
        f"{by_delta:.1f} (the link alone: {delta.size / LINK_BYTES_PER_S:.1f})",
        table.judge(round(by_delta / full, 3), at_most=1.0),
        f"{len(archive):,}",
        f"{delta.size:,}",
    )


def _read(folder: Path) -> Tree:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        **_PROGRAM,
        **{path.relative_to(folder).as_posix(): path.read_bytes() for path in files},
    }


def _pack(tree: Tree) -> bytes:
    return zstd.compress(gzip.decompress(make_archive(tree)), 19)


def _install(folder: Path, repository: RepositorySimulator, direct: str, address: str) -> Path:
    """Make a home with the older release, over no link; from now on it is behind one."""
    home, root = folder / "home", folder / "root.json"
    root.write_bytes(repository.root_bytes)
    _run(["init", "--home", str(home), "--app", repository.app, "--root", str(root),
          "--repository", address, "--channel", "stable"])  # fmt: skip
    _run(["update", "--home", str(home), "--repository", direct])
    return home


def _update(folder: Path, home: Path, deltas: str) -> float:
    """Update a copy of the home; return how long it took by the clock, in seconds."""
    fresh = folder / "fresh"
    shutil.copytree(home, fresh, symlinks=True)
    begun = time.monotonic()
    _run(["update", "--home", str(fresh)], LOCKGATE_DELTAS=deltas)
    spent_s = time.monotonic() - begun
    if not str((fresh / "current").readlink()).startswith("versions/2.0.0"):
        raise RuntimeError("the update did not arrive")
    shutil.rmtree(fresh)
    return spent_s


def _run(arguments: list[str], **environ: str) -> None:
    done = subprocess.run(
        [_UPDATER, *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{arguments} ended with {done.returncode}: {done.stderr}")


@contextmanager
def _link(port: int) -> Iterator[str]:
    """Yield the address of a proxy before a loopback port, as slow as the link."""
    pace = _Pace(LINK_BYTES_PER_S)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, port, pace), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class _Pace:
    """Lets bytes through at a rate, whoever asks."""

    def __init__(self, bytes_per_s: float) -> None:
        self._rate = bytes_per_s
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, size_bytes: int) -> None:
        """Wait until so many bytes have come over the link."""
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + size_bytes / self._rate
            until = self._free_at
        time.sleep(max(0.0, until - time.monotonic()))


def _accept(listener: socket.socket, port: int, pace: _Pace) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", port))
            for source, target, slow in ((client, server, None), (server, client, pace)):
                threading.Thread(target=_pass, args=(source, target, slow), daemon=True).start()


def _pass(source: socket.socket, target: socket.socket, pace: _Pace | None) -> None:
    """Pass bytes on; a request is late by the delay, an answer as slow as the link."""
    with suppress(OSError):
        while piece := source.recv(_PIECE_BYTES):
            if pace is None:
                time.sleep(DELAY_S)
            else:
                pace.take(len(piece))
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
