"""What a whole update costs, beside `tar -x`, `sha256sum` and `sync -f` of the same bytes.

Ours is the process `lockgate-updater update` from its start to its end, health command included,
from a repository in a folder; the version before it is installed and stays. The rival unpacks the
same archive, hashes the archive and every unpacked file, and syncs the file system; it fetches,
verifies and decides nothing. Modules are compiled, as an installed client's are. Processor time
(user and system, children included), medians of runs in turns with warm caches. Who begins changes
from round to round, because the first to make thousands of files pays the file system for both.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.table import Table
from tests.simulators.archives import Tree
from tests.simulators.repository import RepositorySimulator, checked_by

ROUNDS = 6
MAX_PEAK_MIB = 80
_UPDATER = str(Path(sys.executable).with_name("lockgate-updater"))
_COMPILED = "lockgate-bench-compiled"
_RIVAL = """
set -e
mkdir -p "$2"
tar -xf "$1" -C "$2"
sha256sum "$1" >"$2.sums"
find "$2" -type f -print0 | xargs -0 sha256sum >>"$2.sums"
sync -f "$2"
"""
_STARTER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(code)
"""


def run() -> Table:
    """Update to both applications, in turns with the rival."""
    table = Table(heads=("application", "ours in s", "rival's in s", "ratio", "peak memory in MiB"))
    chosen = random.Random(1)
    few = {f"lib/part{at}": chosen.randbytes(20_000_000) for at in range(5)}
    _measure(table, "100 MB in 5 files", few, at_most=1.3)
    many = {f"lib/d{at % 100}/f{at}": chosen.randbytes(10_000) for at in range(5000)}
    _measure(table, "50 MB in 5,000 files", many, at_most=2.5)
    return table


def _measure(table: Table, name: str, parts: Tree, *, at_most: float) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        home = _prepare(folder, parts)
        archives = filter(Path.is_file, folder.glob("repository/**/*"))
        archive = max(archives, key=lambda path: path.stat().st_size)
        ours, rivals, peaks = [], [], []
        for number in range(ROUNDS + 1):
            fresh, unpacked = folder / "fresh", folder / "unpacked"
            shutil.copytree(home, fresh, symlinks=True)
            update = [_UPDATER, "update", "--home", str(fresh)]
            plain = ["sh", "-c", _RIVAL, "sh", str(archive), str(unpacked)]
            if number % 2:
                (spent, peak), (rival, _) = _spend(update), _spend(plain)
            else:
                (rival, _), (spent, peak) = _spend(plain), _spend(update)
            shutil.rmtree(fresh)
            shutil.rmtree(unpacked)
            if number:
                ours.append(spent)
                rivals.append(rival)
                peaks.append(peak)
    our, their = statistics.median(ours), statistics.median(rivals)
    table.add(
        name,
        f"{our:.2f}",
        f"{their:.2f}",
        table.judge(round(our / their, 2), at_most=at_most),
        table.judge(round(max(peaks), 1), at_most=MAX_PEAK_MIB),
    )


def _prepare(folder: Path, parts: Tree) -> Path:
    """Make a home with a small version installed, and publish the one to update to."""
    repository = RepositorySimulator()
    program = {"bin/app": b"#!/bin/sh\nexit 0\n"}
    repository.publish("1.0.0", program, install=checked_by("bin/app"))
    home, address = folder / "home", f"file://{folder}/repository"
    root = folder / "root.json"
    root.write_bytes(repository.root_bytes)
    _store(repository, folder / "repository")
    _spend([_UPDATER, "init", "--home", str(home), "--app", repository.app, "--root", str(root),
            "--repository", address, "--channel", "stable"])  # fmt: skip
    _spend([_UPDATER, "update", "--home", str(home)])
    repository.publish("2.0.0", {**program, **parts}, install=checked_by("bin/app"))
    _store(repository, folder / "repository")
    return home


def _store(repository: RepositorySimulator, folder: Path) -> None:
    for key, data in repository.files.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _spend(command: list[str]) -> tuple[float, float]:
    """Run a command; return its processor time in seconds and its peak memory in MiB.

    A small process in between starts it: a child's peak is never below its parent's size.
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", _STARTER, *command],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command} exited with {done.returncode}: {done.stderr}")
    spent_s, peak_kib = done.stdout.split()
    return float(spent_s), int(peak_kib) / 1024


def _with_compiled_modules() -> dict[str, str]:
    """An environment in which the first run leaves its compiled modules for all later ones."""
    environ = {**os.environ, "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir(), _COMPILED))}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return environ
