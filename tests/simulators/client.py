"""One client in a folder of the test's, and what a test asks about it: what is there, what runs."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lockgate_release.digests import digest_tree
from lockgate_release.instants import utc_now
from lockgate_updater import Updater, init
from lockgate_updater.events import Event
from tests.simulators.archives import tree_digest
from tests.simulators.repository import ADDRESS, STABLE, RepositorySimulator

COMMAND = (
    sys.executable,
    "-c",
    # A client has no cloud library: where tests have one, a start would pay for importing it.
    "import sys; sys.modules['boto3'] = None\n"
    "from lockgate_updater.command import main\n"
    "sys.exit(main())",
)
"""`lockgate-updater`, as a process of its own."""
CLIENT_ID = "00000000-0000-4000-8000-000000000001"


@dataclass
class SimulatedClient:
    """A real updater in a real folder, whose network is the simulator and whose clock is ours."""

    repository: RepositorySimulator
    home: Path
    now: datetime
    channel: str = STABLE
    settings: str = ""

    @property
    def updater(self) -> Updater:
        """A fresh updater, as a new process would open one."""
        return Updater.open(
            self.home,
            environ={"PATH": os.environ["PATH"]},
            clock=lambda: self.now,
            transport=lambda: self.repository,
        )

    def update(self, *, force: bool = False, events: list[Event] | None = None) -> str:
        """Update, and return the outcome's name."""
        seen: list[Event] = [] if events is None else events
        return self.updater.update(progress=seen.append, force=force).outcome.value

    def runs(self) -> str:
        """The version that would be started: what `current` leads to, or ""."""
        if not self.home.joinpath("current").is_symlink():
            return ""
        target = str((self.home / "current").readlink())
        folder = target.removeprefix("versions/")
        assert (self.home / target).is_dir(), f"{target} is not there"
        return folder.rpartition("-")[0]

    def trees(self) -> dict[str, str]:
        """Every version on the disk, staging included, with the digest of its tree."""
        return {path.name: digest_tree(path).sha256 for path in (self.home / "versions").iterdir()}

    def versions(self) -> set[str]:
        """The versions on the disk."""
        return {name.rpartition("-")[0] for name in self.trees()}

    def leftovers(self) -> list[str]:
        """What an update should not have left behind."""
        staging = [name for name in self.trees() if name.startswith(".")]
        downloads = [path.name for path in (self.home / "state" / "downloads").iterdir()]
        temporary = [path.name for path in self.home.rglob("*.new")]
        receipts = {path.stem for path in (self.home / "state" / "receipts").iterdir()}
        return staging + downloads + temporary + sorted(receipts ^ set(self.trees()))

    def snapshot(self) -> Mapping[str, bytes | str]:
        """Every file and link of the installation: for tests that nothing was changed."""
        found: dict[str, bytes | str] = {"current": self.runs()}
        for path in (self.home / "versions").rglob("*"):
            if path.is_file():
                found[str(path.relative_to(self.home))] = path.read_bytes()
        return found


def make_client(
    repository: RepositorySimulator,
    home: Path,
    *,
    channel: str = STABLE,
    address: str = ADDRESS,
    client_id: str = CLIENT_ID,
) -> SimulatedClient:
    """A client that trusts the repository's root, and has installed nothing yet."""
    init(
        home,
        app=repository.app,
        repository=address,
        channel=channel,
        root=repository.root_bytes,
        client_id=client_id,
    )
    return SimulatedClient(repository=repository, home=home, now=utc_now(), channel=channel)


def is_whole(client: SimulatedClient, version: str, tree: Mapping[str, bytes]) -> bool:
    """Whether the version is on the disk, byte for byte."""
    wanted = tree_digest(tree).sha256
    return any(
        name.rpartition("-")[0] == version and sha256 == wanted
        for name, sha256 in client.trees().items()
    )
