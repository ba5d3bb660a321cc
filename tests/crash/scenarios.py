"""The situations that an updater can be cut off in: a home, a command, and how it must end."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lockgate_release.documents import Install, Remedy
from lockgate_release.names import Sha256Hex
from lockgate_updater.state.receipts import folder_name
from tests.crash.process import run, serving, updater
from tests.simulators.archives import Tree, tree_digest
from tests.simulators.client import CLIENT_ID
from tests.simulators.repository import STABLE, RepositorySimulator, checked_by, confirmed_by_itself

__all__ = ["SCENARIOS", "Command", "Scenario", "Stage", "addressed"]

Command: TypeAlias = tuple[str, ...]

_NOISE_BYTES = 150_000


def _tree(version: str, *, sick: bool) -> Tree:
    """A small application: programs, a folder in a folder, an empty file, more than one chunk."""
    return {
        "bin/app": f"#!/bin/sh\necho this is {version}\nexit {int(sick)}\n".encode(),
        "bin/check": f"#!/bin/sh\nexit {int(sick)}\n".encode(),
        f"lib/{version}/empty": b"",
        "lib/data": random.Random(version).randbytes(_NOISE_BYTES),
    }


class Stage:
    """A repository and a client's home, on their way to where a scenario begins."""

    def __init__(self, folder: Path) -> None:
        self.repository = RepositorySimulator()
        self.home = folder / "start"
        self.trees: dict[str, str] = {}
        self.folders: dict[str, str] = {"": ""}
        self.releases: dict[str, str] = {}
        self.history: list[dict[str, bytes]] = []
        self._anchor = folder / "root.json"
        self._anchor.write_bytes(self.repository.root_bytes)

    def publish(
        self,
        version: str,
        *,
        sick: bool = False,
        install: Install | None = None,
        more: Tree | None = None,
    ) -> None:
        """Publish a release; unless `install` says otherwise it is proven by its health command."""
        tree = {**_tree(version, sick=sick), **(more or {})}
        sha256 = tree_digest(tree).sha256
        checked = checked_by("bin/check")
        document = self.repository.publish(
            version, tree, install=install or Install(entrypoint="bin/app", health=checked.health)
        )
        folder = folder_name(version, Sha256Hex(sha256))
        self.folders[version] = folder
        self.trees[folder] = sha256
        self.releases[hashlib.sha256(document.to_bytes()).hexdigest()] = folder

    def init(self) -> None:
        """Make the client's home."""
        self.act(self.init_command())

    def init_command(self) -> Command:
        """What makes a home. Its address is nobody's: every command brings the server's own."""
        app, root = self.repository.app, str(self._anchor)
        words = ("init", "--app", app, "--root", root, "--repository", "http://127.0.0.1:9")
        return (*words, "--channel", STABLE, "--client-id", CLIENT_ID)

    def act(self, command: Command) -> None:
        """Run a command in the home as it is so far."""
        self.history.append(self.repository.checkpoint())
        with serving(self.repository) as address:
            ending = run(self.home, updater(self.home, addressed(command, address)))
        assert ending.code == 0, f"{command}: {ending.code} {ending.said}"

    def update(self) -> None:
        """Update the client."""
        self.act(("update",))

    def install(self, *versions: str) -> None:
        """Make a home and install these releases one after the other."""
        self.init()
        for version in versions:
            self.publish(version)
            self.update()


def addressed(command: Command, address: str) -> Command:
    """The command, told where the server is if it asks one."""
    asks = command[0] in {"check", "repair", "update"}
    return (command[0], "--repository", address, *command[1:]) if asks else command


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One situation.

    Attributes:
        about: What happens, for people.
        prepare: Brings a stage to where it begins.
        may_run: The versions that may run at any moment, "" for none.
        command: What is cut off.
        code: How it ends when nothing cuts it off.
        again: What the machine does next; () for the same command once more.
        again_codes: How that may end, besides 0 and `code`.
        detours: What may happen instead of the command, and lead to an ending of its own: other
            commands, or () for nothing at all.
        begins_harmed: Whether what runs is not whole to begin with: then it may also stay as it
            was, file by file, until it is.
    """

    about: str
    prepare: Callable[[Stage], object]
    may_run: tuple[str, ...]
    command: Command = ("update",)
    code: int = 0
    again: Command = ()
    again_codes: tuple[int, ...] = ()
    detours: tuple[tuple[Command, ...], ...] = ()
    begins_harmed: bool = False


# -- The scenarios ----------------------------------------------------------------------------


def _first_install(stage: Stage) -> None:
    stage.init()
    stage.publish("1.0.0")


def _update(stage: Stage) -> None:
    stage.install("1.0.0", "2.0.0")
    stage.publish("3.0.0")


def _failing(stage: Stage) -> None:
    stage.install("1.0.0")
    stage.publish("2.0.0", sick=True)


def _revoked(stage: Stage) -> None:
    stage.install("1.0.0", "2.0.0")
    stage.repository.revoke("2.0.0", remedy=Remedy.LAST_GOOD)


def _replaced(stage: Stage) -> None:
    stage.install("1.0.0", "2.0.0")
    stage.repository.revoke("2.0.0")
    stage.publish("3.0.0")


def _publish_for_trial(stage: Stage, *, sick: bool = False, tries: int = 3) -> None:
    stage.install("1.0.0")
    stage.publish("2.0.0", sick=sick, install=confirmed_by_itself("bin/app", tries=tries))


def _on_trial(stage: Stage) -> None:
    _publish_for_trial(stage)
    stage.update()


def _on_last_trial(stage: Stage) -> None:
    _publish_for_trial(stage, sick=True, tries=1)
    stage.update()


def _damaged_journal(stage: Stage) -> None:
    stage.install("1.0.0", "2.0.0")
    (stage.home / "state" / "journal.json").write_bytes(b'{"format": 1, "sta')


def _large(stage: Stage) -> None:
    """As many files, of the same size, as the rival is given."""
    for version in ("1.0.0", "2.0.0"):
        chosen = random.Random(version)
        parts = {f"lib/part{at % 20}/file{at}": chosen.randbytes(64 << 10) for at in range(400)}
        stage.publish(version, more=parts)
        if not stage.home.exists():
            stage.init()
            stage.update()


def _harmed(stage: Stage) -> None:
    """One file of what runs has rotted, one is gone, and one is too many."""
    stage.install("1.0.0", "2.0.0")
    tree = stage.home / "versions" / stage.folders["2.0.0"]
    for path in (tree, *tree.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    (tree / "lib" / "data").write_bytes(b"rotten")
    (tree / "bin" / "check").unlink()
    (tree / "lib" / "more").write_bytes(b"nobody signed this")


def _nothing(_: Stage) -> None:
    """Not even a home."""


SCENARIOS = {
    "init": Scenario(about="a home is made", prepare=_nothing, may_run=("",), command=("init",)),
    "first": Scenario(about="first install", prepare=_first_install, may_run=("", "1.0.0")),
    "update": Scenario(
        about="update; the oldest version goes", prepare=_update, may_run=("2.0.0", "3.0.0")
    ),
    "failing": Scenario(
        about="the release fails its health check",
        prepare=_failing,
        may_run=("1.0.0", "2.0.0"),
        code=30,
    ),
    "revoked": Scenario(
        about="a revoked release is left", prepare=_revoked, may_run=("1.0.0", "2.0.0")
    ),
    "replaced": Scenario(
        about="a revoked release is replaced",
        prepare=_replaced,
        # The last good version is at hand where the replacement cannot be had.
        may_run=("1.0.0", "2.0.0", "3.0.0"),
        detours=((("check",), ("run",)),),
    ),
    "trial": Scenario(
        about="a release goes on trial", prepare=_publish_for_trial, may_run=("1.0.0", "2.0.0")
    ),
    "confirm": Scenario(
        about="a release on trial is confirmed",
        prepare=_on_trial,
        may_run=("2.0.0",),
        command=("confirm",),
    ),
    "start": Scenario(
        about="run: a good release is started",
        prepare=lambda stage: stage.install("1.0.0"),
        may_run=("1.0.0",),
        command=("run",),
    ),
    "quit": Scenario(
        about="run: the program on trial ends well",
        prepare=_on_trial,
        may_run=("1.0.0", "2.0.0"),
        command=("run",),
    ),
    "run": Scenario(
        about="run: the program on trial ends badly",
        prepare=_on_last_trial,
        may_run=("1.0.0", "2.0.0"),
        command=("run",),
        code=1,
    ),
    "rollback": Scenario(
        about="rollback by hand",
        prepare=lambda stage: stage.install("1.0.0", "2.0.0"),
        may_run=("1.0.0", "2.0.0"),
        command=("rollback",),
        again=("update",),
        again_codes=(30,),
        detours=((),),
    ),
    "repair": Scenario(
        about="a damaged tree is repaired",
        prepare=_harmed,
        may_run=("2.0.0",),
        command=("repair",),
        begins_harmed=True,
    ),
    "large": Scenario(about="update of 400 files", prepare=_large, may_run=("1.0.0", "2.0.0")),
    "damaged": Scenario(
        about="the journal is found damaged", prepare=_damaged_journal, may_run=("2.0.0",)
    ),
}
