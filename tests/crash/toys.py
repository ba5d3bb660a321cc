"""`python -m tests.crash.toys`: what the rig sees of programs whose faults are known.

A rig that finds nothing might see nothing. Prints, for each toy, what its file may hold after a
kill, and after a power cut.
"""

# ruff: noqa: T201 (it is a command: it prints)

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.crash.shim import WATCH, Call, How, Strike, preload

_OLD, _NEW = "old program", "new program"


def _in_place(app: Path) -> int:
    app.write_text(_NEW)
    return 0


def _removed_first(app: Path) -> int:
    new = app.with_name("app.new")
    new.write_text(_NEW)
    app.unlink()
    new.rename(app)
    return 0


def _not_synced(app: Path) -> int:
    new = app.with_name("app.new")
    new.write_text(_NEW)
    new.rename(app)
    return 0


def _right(app: Path) -> int:
    new = app.with_name("app.new")
    with new.open("w") as stream:
        stream.write(_NEW)
        stream.flush()
        os.fsync(stream.fileno())
    new.rename(app)
    folder = os.open(app.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    return 0


_TOYS: dict[str, Callable[[Path], int]] = {
    "in place": _in_place,
    "removed first": _removed_first,
    "not synced": _not_synced,
    "right": _right,
}


def _look(home: Path) -> str:
    app = home / "app"
    return app.read_text().replace("\0", "0") if app.exists() else "missing"


def _try(toy: Callable[[Path], int], folder: Path) -> dict[str, list[str]]:
    from tests.crash.disk import Disk, interpret
    from tests.crash.losses import legal_states
    from tests.crash.process import run

    home = folder / "home"

    def act(strike: Strike) -> tuple[Call, ...]:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        (home / "app").write_text(_OLD)
        return run(home, lambda: toy(home / "app"), strike).calls

    calls = act(WATCH)
    after_kill = set()
    for call in calls:
        for how in (How.KILL, How.TEAR):
            act(Strike(how=how, at=call.at))
            after_kill.add(_look(home))
    act(Strike(how=How.KILL, at=1))
    start = Disk.load(home)
    changes = interpret(start, calls)
    after_cut = set()
    for _, kept in legal_states(start, changes):
        shutil.rmtree(home)
        start.after(kept).store(home)
        after_cut.add(_look(home))
    return {"kill": sorted(after_kill), "cut": sorted(after_cut)}


def main() -> None:
    """Print what was seen."""
    preload()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        print(json.dumps({name: _try(toy, place) for name, toy in _TOYS.items()}, indent=1))


if __name__ == "__main__":
    main()
