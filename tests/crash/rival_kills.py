"""Kills tufup's install step at random moments. Run by a Python that has tufup, and not Lockgate.

`python rival_kills.py ROUNDS SEED` prints one JSON object: how often the application was old, new,
new with files of the old one beside it, or broken. tufup installs on Windows by robocopy and on
macOS by copying over the live folder; here its macOS step is taken, which is plain Python.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

_FILES = 400
_FILE_BYTES = 64 << 10


def _write_tree(folder: Path, seed: int) -> dict[str, bytes]:
    """An application of 400 files; a tenth of their names change from one version to the next."""
    chosen = random.Random(seed)
    tree = {}
    for number in range(_FILES):
        version = f"-{seed}" if number % 10 == 0 else ""
        tree[f"lib/part{number % 20}/file{number}{version}"] = chosen.randbytes(_FILE_BYTES)
    for name, data in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tree


def _read_tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _install(new: Path, live: Path, *, purge: bool) -> None:
    platform: Any = import_module("tufup.utils.platform_specific")
    platform.ON_WINDOWS, platform.ON_MAC = False, True
    platform.install_update(new, live, purge_dst_dir=purge)


def _start(new: Path, live: Path, *, purge: bool) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            # It ends by starting Python, as the application's next start.
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            _install(new, live, purge=purge)
        finally:
            os._exit(0)
    return pid


def _verdict(found: dict[str, bytes], old: dict[str, bytes], new: dict[str, bytes]) -> str:
    if found == old:
        return "old"
    if found == new:
        return "new"
    if found == {**old, **new}:
        return "new with old files"
    return "broken"


def _kill_at_random(folder: Path, rounds: int, seed: int, *, purge: bool) -> Counter[str]:
    old, new = _write_tree(folder / "old", 1), _write_tree(folder / "new", 2)
    chosen = random.Random(seed)
    verdicts: Counter[str] = Counter()
    duration_s = 0.0
    for number in range(-1, rounds):
        live, staged = folder / "live", folder / "staged"
        shutil.copytree(folder / "old", live)
        shutil.copytree(folder / "new", staged)
        began = time.monotonic()
        pid = _start(staged, live, purge=purge)
        if number >= 0:
            time.sleep(chosen.random() * duration_s)
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        if number < 0:  # the first one is only timed
            duration_s = time.monotonic() - began
        else:
            verdicts[_verdict(_read_tree(live), old, new)] += 1
        shutil.rmtree(live)
        shutil.rmtree(staged)
    return verdicts


def main() -> None:
    rounds, seed = map(int, sys.argv[1:])
    import_module("tufup.utils.platform_specific")
    found = {}
    for purge in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            found["purge" if purge else "default"] = _kill_at_random(
                Path(folder), rounds, seed, purge=purge
            )
    print(json.dumps(found))  # noqa: T201 (it is a command: it prints)


if __name__ == "__main__":
    main()
