"""A repository and a client's home, on their way to where a scenario begins."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeAlias

from lockgate_release.documents import Install
from lockgate_release.names import Sha256Hex
from lockgate_release.settings import SETTINGS_FILE
from lockgate_updater.state.receipts import folder_name
from tests.crash.applications import plain_tree
from tests.crash.process import run, serving, updater
from tests.simulators.archives import Tree, tree_digest
from tests.simulators.client import CLIENT_ID
from tests.simulators.patching import add_delta, make_bytes
from tests.simulators.repository import STABLE, RepositorySimulator, checked_by

__all__ = ["NOBODY", "OWN_HOME", "Command", "Stage", "addressed", "settle"]

Command: TypeAlias = tuple[str, ...]

OWN_HOME = "updater"
"""Where the updater has its own home, below the home it looks after."""
NOBODY = "http://127.0.0.1:9"
_ASKS = frozenset({"check", "repair", "update", "watch"})


class Stage:
    """A repository and a client's home, on their way to where a scenario begins.

    The home is made where it will be tried: what is installed may know its place.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.repository = RepositorySimulator()
        self.home = folder / "home"
        self._forget()

    def _forget(self) -> None:
        self.trees: dict[str, str] = {}
        self.folders: dict[str, str] = {"": ""}
        self.releases: dict[str, str] = {}
        self._contents: dict[str, Tree] = {}
        self.history: list[dict[str, bytes]] = []
        self._anchor = self._folder / f"{self.repository.app}-root.json"
        self._anchor.write_bytes(self.repository.root_bytes)

    def publish(
        self,
        version: str,
        tree: Tree | None = None,
        *,
        sick: bool = False,
        install: Install | None = None,
    ) -> None:
        """Publish a release; unless `install` says otherwise it is proven by its health command."""
        tree = tree or plain_tree(version, sick=sick)
        self._contents[version] = tree
        sha256 = tree_digest(tree).sha256
        checked = checked_by("bin/check")
        document = self.repository.publish(
            version, tree, install=install or Install(entrypoint="bin/app", health=checked.health)
        )
        folder = folder_name(version, Sha256Hex(sha256))
        self.folders[version] = folder
        self.trees[folder] = sha256
        self.releases[hashlib.sha256(document.to_bytes()).hexdigest()] = folder

    def publish_delta(self, before: str, after: str, *, to: Tree | None = None) -> None:
        """Publish a delta between two releases; `to` has it lead elsewhere."""
        old, new = (before, self._contents[before]), (after, self._contents[after])
        add_delta(self.repository, old, new, data=make_bytes(old[1], to) if to else None)

    def init(self) -> None:
        """Make the client's home."""
        self.act(self.init_command())

    def init_command(self) -> Command:
        """What makes a home. Its address is nobody's: every command brings the server's own."""
        app, root = self.repository.app, str(self._anchor)
        words = ("init", "--app", app, "--root", root, "--repository", NOBODY)
        return (*words, "--channel", STABLE, "--client-id", CLIENT_ID)

    def act(self, command: Command, home: Path | None = None) -> None:
        """Run a command in the home as it is so far, or in another."""
        self.history.append(self.repository.checkpoint())
        home = home or self.home
        with serving(self.repository) as address:
            settle(self.home, address)
            ending = run(home, updater(home, addressed(command, address)))
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

    def turn_to_updater(self) -> str:
        """From now on it is about the updater's own home, in that of the app; return the app."""
        app = self.repository.app
        self.repository = RepositorySimulator("lockgate-updater")
        self._forget()
        self.act(self.init_command(), self.home / OWN_HOME)
        return app


def addressed(command: Command, address: str) -> Command:
    """The command, told where the server is if it asks one."""
    if command[0] in _ASKS:
        return (command[0], "--repository", address, *command[1:])
    return command


def settle(home: Path, address: str) -> None:
    """Tell the updater's own home where the server is: no command line can."""
    settings = home / OWN_HOME / SETTINGS_FILE
    if settings.exists():
        lines = settings.read_text().splitlines()
        told = [f'repository = "{address}"' if "repository" in line else line for line in lines]
        settings.write_text("\n".join(told) + "\n")
