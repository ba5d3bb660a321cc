"""What is lost is brought back, typed as the pages say, on a real server and for a real client."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks_of
from tests.docs.terminal import Terminal
from tests.simulators.archives import make_archive

DOCS = ROOT / "docs"
HOW_TO = DOCS / "how-to"
SERVER = "lockgate-server run --data srv/lockgate"


class Fleet:
    """A server with one release, its CI, and a client that checks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "srv" / "lockgate"
        self.terminal = Terminal(folder=folder)
        self.terminal.rewrites = {"/srv/": "srv/", "/backup": "backup"}
        (folder / "srv").mkdir(exist_ok=True)

    def type(self, text: str, code: int = 0) -> str:
        ended = self.terminal.type(text)
        assert ended.code == code, f"{text}\n{ended.said}"
        return ended.said

    def start(self) -> None:
        """Start the server, and tell CI and clients where it is now."""
        self.terminal.type(SERVER)
        self.type("export LOCKGATE_SERVER=http://127.0.0.1:8080")
        self.type("export LOCKGATE_REPOSITORY=http://127.0.0.1:8080")

    def found(self) -> None:
        """Register the app, publish a release and install it."""
        self.start()
        self.type(
            "export LOCKGATE_TOKEN=$(lockgate-server token create --data srv/lockgate"
            " --scope admin)"
        )
        self.type("lockgate init myapp --keys keys")
        self.publish("1.0.0")
        self.type(
            "lockgate-updater init --home client --app myapp --root keys/root.json"
            " --repository http://127.0.0.1:8080"
        )
        self.update("1.0.0")

    def publish(self, version: str) -> None:
        """Publish a version, as CI does."""
        archive = self.folder / f"{version}.tar.gz"
        archive.write_bytes(make_archive({"bin/myapp": f"#!/bin/sh\necho {version}\n".encode()}))
        self.type(
            f"lockgate publish --version {version} --channel stable --artifact any={archive.name}"
            " --entrypoint bin/myapp --health bin/myapp"
        )

    def update(self, version: str) -> None:
        """Update the client, and hold it to what it has then."""
        self.type("lockgate-updater update --home client")
        current = (self.folder / "client" / "current").readlink().name
        assert current.startswith(f"{version}-")

    def number(self) -> str:
        """The number of the newest timestamp, as CI's log has it."""
        return str(json.loads(self.type("lockgate status --json 2>/dev/null"))["timestamp_version"])

    def follow(self, page: str, *numbers: int) -> None:
        """Type some of a page's blocks, by their place."""
        blocks = [one for one in blocks_of(HOW_TO / f"{page}.md") if one.language == ""]
        chosen: list[Block] = [blocks[number] for number in numbers] if numbers else blocks
        self.terminal.follow(chosen)

    def lose_database(self) -> None:
        for path in self.data.glob("ledger.sqlite3*"):
            path.unlink()


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Fleet(tmp_path_factory.mktemp("founded"))
    with made.terminal:
        made.found()
    return made.folder


@pytest.fixture
def fleet(founded: Path, tmp_path: Path) -> Iterator[Fleet]:
    shutil.copytree(founded, tmp_path, dirs_exist_ok=True, symlinks=True)
    kept = tmp_path / ".exported"
    kept.write_text(kept.read_text("utf-8").replace(str(founded), str(tmp_path)), "utf-8")
    made = Fleet(tmp_path)
    with made.terminal:
        made.start()
        yield made


def test_a_lost_database_comes_back_from_a_backup_and_without_one(fleet: Fleet) -> None:
    fleet.follow("back-up", 0)
    fleet.publish("1.1.0")
    number = fleet.number()
    fleet.terminal.stop_servers()
    fleet.lose_database()
    fleet.terminal.rewrites["myapp=412"] = f"myapp={number}"
    fleet.follow("back-up", 3)
    fleet.start()
    fleet.publish("1.2.0")
    fleet.update("1.2.0")
    # The same without any backup: nothing but the store, the root and a number.
    number = fleet.number()
    fleet.terminal.stop_servers()
    fleet.lose_database()
    fleet.terminal.rewrites["--at 412"] = f"--at {number}"
    fleet.follow("lost-database")
    fleet.start()
    fleet.type(
        "export LOCKGATE_TOKEN=$(lockgate-server token create --data srv/lockgate --scope admin)"
    )
    fleet.publish("1.3.0")
    fleet.update("1.3.0")


def test_a_lost_bucket_comes_back_from_a_backup_and_from_a_mirror(fleet: Fleet) -> None:
    fleet.follow("back-up", 1, 2)
    fleet.terminal.stop_servers()
    shutil.rmtree(fleet.data / "objects")
    fleet.follow("lost-bucket", 0, 1)
    fleet.start()
    fleet.publish("1.1.0")
    fleet.update("1.1.0")
    # From a mirror, which has what was published since.
    fleet.type("lockgate mirror www")
    fleet.terminal.stop_servers()
    shutil.rmtree(fleet.data / "objects")
    fleet.type("lockgate-server storage refill /backup --data /srv/lockgate", 20)
    fleet.terminal.rewrites = {"refill /backup": "refill www", **fleet.terminal.rewrites}
    fleet.follow("lost-bucket", 0, 1)
    fleet.start()
    fleet.publish("1.2.0")
    fleet.update("1.2.0")


def test_a_bucket_whose_newest_copy_is_older_than_the_database_comes_back_as_it_was(
    fleet: Fleet,
) -> None:
    fleet.follow("back-up", 1)
    fleet.publish("1.1.0")
    fleet.update("1.1.0")
    fleet.terminal.stop_servers()
    shutil.rmtree(fleet.data / "objects")
    fleet.type("lockgate-server storage refill /backup --data /srv/lockgate", 20)
    fleet.follow("lost-bucket", 2, 3)
    fleet.start()
    # CI remembers a newer state, and says so; who knows why gives it a new memory.
    said = fleet.terminal.type("lockgate status")
    assert said.code == 0, said.said
    fleet.type("export LOCKGATE_MEMORY=new-memory")
    fleet.publish("1.1.0")
    fleet.publish("1.2.0")
    fleet.update("1.2.0")


def test_a_lost_key_of_the_server_comes_back_from_a_backup(fleet: Fleet) -> None:
    fleet.follow("back-up", 1)
    (fleet.data / "keys" / "myapp.pem").unlink()
    fleet.follow("lost-keys")
    fleet.publish("1.1.0")
    fleet.update("1.1.0")
