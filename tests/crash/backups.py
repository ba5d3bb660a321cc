"""`lockgate-server backup` and `restore`, killed before each of their calls to the file system.

    python -m tests.crash.backups [--only WORD] [--between N N] [--most N] [--seed N] [--json]

After each kill: what is listed as a backup can be restored, what cannot is not listed; the server's
folder holds a whole server or none, and none is started in what is neither; the same command again
ends well, and leaves nothing of what was killed.
"""

# ruff: noqa: T201 (it is a command: it prints)

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lockgate_release.errors import LocalError
from lockgate_server.assembly import prepare, refuse_half_restored
from lockgate_server.settings import ServerSettings
from tests.crash.process import Ending, run
from tests.crash.shim import BARE, How, Strike, preload
from tests.simulators.server_site import Ended, ServerSite, type_command

__all__ = ["main"]

_PASSPHRASE = {"LOCKGATE_BACKUP_PASSPHRASE": "a long enough passphrase"}
_CONFLICT = 24


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A command to kill, and what must hold afterwards."""

    name: str
    type: Callable[[Path], Ended]
    judge: Callable[[Path], list[str]]


@dataclass(kw_only=True)
class Tally:
    """What came of a scenario."""

    scenario: str
    calls: int
    tried: int = 0
    broken: list[str] = field(default_factory=list)


def _back_up(folder: Path, dest: str) -> Ended:
    return type_command(
        "backup",
        folder / dest,
        "--data",
        folder / "data",
        "--objects",
        "--with-keys",
        "--no-verify",
        **_PASSPHRASE,
    )


def _restore(folder: Path) -> Ended:
    return type_command(
        "restore", folder / "made", "--data", folder / "new", "--objects", **_PASSPHRASE
    )


def _again(command: Callable[[], Ended]) -> Ended:
    """Type it again; a second later where the name of this second is taken."""
    ended = command()
    if ended.code == _CONFLICT:
        time.sleep(1)
        ended = command()
    return ended


def _judge_folder(folder: Path) -> list[str]:
    return [
        *_listed_are_whole(folder / "backups"),
        *_fault("again", _again(lambda: _back_up(folder, "backups"))),
        *_listed_are_whole(folder / "backups"),
        *_leftovers(folder / "backups"),
        *_leftovers(folder / "data"),
        *_fault("status", type_command("status", "--data", folder / "data")),
    ]


def _judge_tar(folder: Path) -> list[str]:
    found = []
    if (folder / "one.tar").exists():
        found = _fault("verify", type_command("backup", "verify", folder / "one.tar"))
        (folder / "one.tar").unlink()
    return [
        *found,
        *_fault("again", _back_up(folder, "one.tar")),
        *_fault("verify", type_command("backup", "verify", folder / "one.tar")),
        *_leftovers(folder),
        *_leftovers(folder / "data"),
    ]


def _judge_restore(folder: Path) -> list[str]:
    new = folder / "new"
    found = []
    is_done = (new / "ledger.sqlite3").exists() and not (new / "restoring.json").exists()
    if new.exists() and any(new.iterdir()) and not is_done:
        begun = [
            path
            for path in new.iterdir()
            if not path.name.startswith(".new") and path.suffix != ".new"
        ]
        if begun and begun != [new / "objects"] and not _is_refused(new):
            found.append(f"a server would start in {sorted(path.name for path in begun)}")
    if not is_done:
        found += _fault("again", _restore(folder))
    words = ("revoke", "--data", new, "demo", "1.0.0", "--reason", "it breaks")
    prepare(ServerSettings(data=new))  # what a start of the server does first
    return [
        *found,
        *_leftovers(new),
        *_fault("storage verify", type_command("storage", "verify", "--data", new)),
        *_fault("revoke", type_command(*words)),
    ]


def _is_refused(data: Path) -> bool:
    try:
        refuse_half_restored(ServerSettings(data=data))
    except LocalError:
        return True
    return False


def _listed_are_whole(place: Path) -> list[str]:
    names = type_command("backup", "list", place).out.split()
    return [
        fault
        for name in names
        for fault in _fault(f"verify {name}", type_command("backup", "verify", place / name))
    ]


def _leftovers(folder: Path) -> list[str]:
    return [
        f"left: {path.name}" for path in folder.iterdir() if path.name.startswith((".new", ".old"))
    ]


def _fault(what: str, ended: Ended) -> list[str]:
    return [f"{what} ended with {ended.code}: {ended.err.strip()[-300:]}"] if ended.code else []


SCENARIOS = (
    Scenario(
        name="backup to a folder", type=lambda at: _back_up(at, "backups"), judge=_judge_folder
    ),
    Scenario(
        name="backup to a tar file", type=lambda at: _back_up(at, "one.tar"), judge=_judge_tar
    ),
    Scenario(name="restore with objects", type=_restore, judge=_judge_restore),
)


def _set_up(folder: Path) -> int:
    site = ServerSite(folder)
    site.backups = folder / "made"
    site.back_up("--objects", "--with-keys", **_PASSPHRASE)
    site.close()
    return 0


def _in_child(folder: Path, do: Callable[[], int], strike: Strike) -> Ending:
    return run(folder, do, strike)


def _try(scenario: Scenario, scene: Path, at: int) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="lockgate-crash-") as name:
        folder = Path(name) / "site"
        shutil.copytree(scene, folder)
        strike = Strike(how=How.KILL, at=at)
        ending = _in_child(folder, lambda: scenario.type(folder).code, strike)
        if not ending.was_killed:
            return [f"not killed: {ending.said[-300:]}"]

        def judge() -> int:
            print(json.dumps(scenario.judge(folder)))
            return 0

        judged = _in_child(folder, judge, BARE)
        if judged.code:
            return [judged.said[-500:]]
        found: list[str] = json.loads(judged.said.splitlines()[-1])
        return found


def _count(scenario: Scenario, scene: Path) -> int:
    with tempfile.TemporaryDirectory(prefix="lockgate-crash-") as name:
        folder = Path(name) / "site"
        shutil.copytree(scene, folder)
        ending = _in_child(folder, lambda: scenario.type(folder).code, Strike())
        assert ending.code == 0, ending.said
        return len(ending.calls)


def _points(calls: int, said: argparse.Namespace, chance: random.Random) -> Sequence[int]:
    first, last = said.between
    points = range(max(1, first), min(calls, last) + 1)
    return points if said.most >= len(points) else sorted(chance.sample(points, said.most))


def _run_all(said: argparse.Namespace) -> Iterator[Tally]:
    chance = random.Random(said.seed)
    with tempfile.TemporaryDirectory(prefix="lockgate-crash-") as name:
        scene = Path(name) / "scene"
        scene.mkdir()
        ready = _in_child(scene, lambda: _set_up(scene), BARE)
        assert ready.code == 0, ready.said
        for scenario in (one for one in SCENARIOS if said.only in one.name):
            calls = _count(scenario, scene)
            tally = Tally(scenario=scenario.name, calls=calls)
            for at in _points(calls, said, chance):
                tally.tried += 1
                tally.broken += [
                    f"killed before call {at}: {one}" for one in _try(scenario, scene, at)
                ]
            yield tally


def main() -> int:
    """Run what was asked for, and return 1 where anything is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--between", type=int, nargs=2, default=(1, 1_000_000))
    parser.add_argument("--json", action="store_true")
    said = parser.parse_args()
    preload()
    is_whole = True
    for tally in _run_all(said):
        is_whole = is_whole and not tally.broken
        told: dict[str, Any] = {
            "scenario": tally.scenario,
            "calls": tally.calls,
            "tried": tally.tried,
            "broken": tally.broken,
        }
        if said.json:
            print(json.dumps(told), flush=True)
        else:
            print(f"{tally.scenario:<24} {tally.calls:>5} calls {tally.tried:>5} kills", end="")
            print(f" {len(tally.broken):>3} broken", flush=True)
            for line in tally.broken[:10]:
                print(f"  {line}", flush=True)
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
