"""Kills an update at each of its state-changing calls in turn, and looks at what would run.

`python -m tests.crash.rig SCENARIO FOLDER STRIDE OFFSET` prints one JSON object: how many points
there are, how many were tried, and each that was broken. Each try is a process of its own, ended by
SIGKILL right before its n-th call that changes the disk or starts a program, as Python's audit
hooks see them. Nothing in the updater knows of it.
"""

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockgate_release.errors import LockgateError
from tests.simulators.archives import Tree, tree_digest
from tests.simulators.client import SimulatedClient, make_client
from tests.simulators.repository import HEALTHY, SICK, RepositorySimulator, confirmed_by_itself

OLD: Tree = {**HEALTHY, "lib/one": b"1" * 3000}
NEW: Tree = {**HEALTHY, "lib/two": b"2" * 3000, "lib/more": b"3"}
BAD: Tree = {**SICK, "lib/bad": b"4" * 3000}

_CHANGES = frozenset(
    {
        "os.rename",
        "os.remove",
        "os.mkdir",
        "os.rmdir",
        "os.symlink",
        "os.link",
        "os.chmod",
        "os.truncate",
        "subprocess.Popen",
    }
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True)
class Scenario:
    """What is done, what may run after a kill, and what must run in the end."""

    prepare: Callable[[RepositorySimulator, SimulatedClient], object]
    act: Callable[[SimulatedClient], object]
    may_run: frozenset[str]
    ends_with: str
    kept: frozenset[str]


def _update(client: SimulatedClient) -> None:
    client.update()


def _install_old(repository: RepositorySimulator, client: SimulatedClient) -> None:
    repository.publish("1.0.0", OLD)
    client.update()


def _publish_first(repository: RepositorySimulator, _: SimulatedClient) -> None:
    repository.publish("1.0.0", OLD)


def _publish_next(repository: RepositorySimulator, client: SimulatedClient) -> None:
    _install_old(repository, client)
    repository.publish("2.0.0", NEW)


def _publish_bad(repository: RepositorySimulator, client: SimulatedClient) -> None:
    _install_old(repository, client)
    repository.publish("3.0.0", BAD)


def _revoke(repository: RepositorySimulator, client: SimulatedClient) -> None:
    _publish_next(repository, client)
    client.update()
    repository.revoke("2.0.0")


def _revoke_and_replace(repository: RepositorySimulator, client: SimulatedClient) -> None:
    _install_old(repository, client)
    repository.revoke("1.0.0")
    repository.publish("2.0.0", NEW)


def _put_on_trial(repository: RepositorySimulator, client: SimulatedClient) -> None:
    _install_old(repository, client)
    repository.publish("2.0.0", NEW, install=confirmed_by_itself("bin/app"))
    client.update()


def _confirm(client: SimulatedClient) -> None:
    client.updater.confirm()


def _scenario(
    prepare: Callable[[RepositorySimulator, SimulatedClient], object],
    may_run: set[str],
    ends_with: str,
    kept: set[str],
    act: Callable[[SimulatedClient], object] = _update,
) -> Scenario:
    return Scenario(prepare, act, frozenset(may_run), ends_with, frozenset(kept))


SCENARIOS = {
    "first": _scenario(_publish_first, {"", "1.0.0"}, "1.0.0", {"1.0.0"}),
    "update": _scenario(_publish_next, {"1.0.0", "2.0.0"}, "2.0.0", {"1.0.0", "2.0.0"}),
    "bad": _scenario(_publish_bad, {"1.0.0", "3.0.0"}, "1.0.0", {"1.0.0"}),
    "revoked": _scenario(_revoke, {"1.0.0", "2.0.0"}, "1.0.0", {"1.0.0"}),
    "replaced": _scenario(_revoke_and_replace, {"1.0.0", "2.0.0"}, "2.0.0", {"1.0.0", "2.0.0"}),
    "confirm": _scenario(_put_on_trial, {"2.0.0"}, "2.0.0", {"1.0.0", "2.0.0"}, _confirm),
}
TREES = {"1.0.0": OLD, "2.0.0": NEW, "3.0.0": BAD}


def _is_change(home: Path, event: str, args: tuple[Any, ...]) -> bool:
    if event == "open":
        path, _, flags = args
        writes = isinstance(flags, int) and bool(flags & _WRITING)
        return writes and isinstance(path, str) and path.startswith(str(home))
    return event in _CHANGES


def _kill_before(home: Path, point: int) -> None:
    """End this process right before its change number `point`, counted from 1."""
    seen = 0

    def count(event: str, args: tuple[Any, ...]) -> None:
        nonlocal seen
        if _is_change(home, event, args):
            seen += 1
            if seen == point:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def _killed(client: SimulatedClient, scenario: Scenario, point: int) -> bool:
    """Act in a child that is killed before its change number `point`; False if it had fewer."""
    child = os.fork()
    if child == 0:
        try:
            _kill_before(client.home, point)
            scenario.act(client)
            os._exit(0)
        except BaseException:  # noqa: BLE001 (a forked child must never come back)
            traceback.print_exc()
            os._exit(70)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the update failed without being killed"
    return False


def _judge(client: SimulatedClient, scenario: Scenario) -> str:
    """What is wrong after a kill, or ""."""
    runs = client.runs()
    if runs not in scenario.may_run:
        return f"{runs or 'nothing'} would run"
    if runs and not _is_whole(client, runs):
        return f"{runs} would run, and is not whole"
    return ""


def _is_whole(client: SimulatedClient, version: str) -> bool:
    digest = next(sha for name, sha in client.trees().items() if name.startswith(f"{version}-"))
    return digest == tree_digest(TREES[version]).sha256


def _converge(client: SimulatedClient, scenario: Scenario) -> str:
    """Run again, as the next start would; what is wrong then, or ""."""
    for _ in range(2):
        scenario.act(client)
    if client.runs() != scenario.ends_with:
        return f"the next run ends with {client.runs() or 'nothing'}"
    if client.versions() != scenario.kept or client.leftovers():
        return f"left over: {sorted(client.trees())} {client.leftovers()}"
    if not all(_is_whole(client, version) for version in client.versions()):
        return "a tree is not whole"
    state = client.updater.status().state
    return "" if state == "idle" else f"the journal says {state}"


def run(scenario: Scenario, folder: Path, stride: int, offset: int) -> dict[str, Any]:
    """Try every `stride`-th point from `offset` on, and return what was found."""
    repository = RepositorySimulator()
    template = make_client(repository, folder / "template")
    scenario.prepare(repository, template)
    client = SimulatedClient(repository, folder / "home", template.now)
    broken, tried, point = [], 0, 1 + offset
    while True:
        shutil.copytree(template.home, client.home, symlinks=True)
        if not _killed(client, scenario, point):
            break
        tried += 1
        try:
            wrong = _judge(client, scenario) or _converge(client, scenario)
        except (LockgateError, AssertionError) as exc:
            wrong = f"{type(exc).__name__}: {exc}"
        if wrong:
            broken.append(f"point {point}: {wrong}")
        shutil.rmtree(client.home)
        point += stride
    return {"points": point - stride, "tried": tried, "broken": broken}


if __name__ == "__main__":
    name, place, every, first = sys.argv[1:]
    print(json.dumps(run(SCENARIOS[name], Path(place), int(every), int(first))))  # noqa: T201
