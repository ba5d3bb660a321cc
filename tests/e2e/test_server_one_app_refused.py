"""One app whose files are refused does not keep an operator from seeing the others."""

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockgate_release.names import AppName
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_scene import Scene
from tests.simulators.server_site import type_command


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Two apps; the files of `broken` were put back to an older state."""
    now = datetime.now(UTC).replace(microsecond=0)
    folder = tmp_path / "data"
    store = DirectoryStore(folder / "objects")
    ledger = SqliteLedger(folder / "ledger.sqlite3")
    scenes = []
    for name in ("broken", "demo"):
        scene = Scene(
            folder=folder,
            now=now,
            app=AppName(name),
            store=store,
            ledger=ledger,
            publisher=PublisherSimulator(name, now=now),
        )
        scene.register()
        pointer = folder / "objects" / name / "metadata" / "timestamp.json"
        older = pointer.read_bytes()
        scene.publish("1.0.0")
        if name == "broken":
            pointer.chmod(0o600)
            pointer.write_bytes(older)
        scenes.append(scene)
    return scenes[-1]


def test_the_list_of_apps_says_of_each_what_is_wrong(scene: Scene) -> None:
    answer = scene.api()("GET", "/apps")
    assert answer.status_code == 200
    broken, demo = answer.get_json()["apps"]
    assert broken["app"] == "broken"
    assert broken["error"]["code"] == "repository.stale"
    assert "put back" in broken["error"]["message"]
    assert (demo["app"], demo["releases"]) == ("demo", 1)


@pytest.mark.parametrize("command", [("status",), ("gc",), ("gc", "--dry-run")])
def test_a_command_does_the_others_and_ends_with_the_refusal(
    scene: Scene, command: tuple[str, ...]
) -> None:
    ended = type_command(*command, "--data", str(scene.folder))
    assert ended.code == 20
    assert "broken: broken: timestamp: the store was put back" in ended.err
    assert "demo: " in ended.out
    assert "broken" not in ended.out
    as_json = type_command(*command, "--json", "--data", str(scene.folder))
    broken, demo = json.loads(as_json.out)["apps"]
    assert broken["error"]["code"] == "repository.stale"
    assert "error" not in demo


def test_verify_finds_the_app_that_was_put_back(scene: Scene) -> None:
    ended = type_command("storage", "verify", "--data", str(scene.folder))
    assert ended.code == 20
    assert "damaged  broken: timestamp: the store was put back" in ended.out
    assert "demo: 15 objects as signed" in ended.out


def test_the_audit_log_is_computed_again(scene: Scene) -> None:
    whole = type_command("audit", "verify", "--data", str(scene.folder), "--json")
    assert whole.code == 0
    (newest,) = scene.ledger.audit(None, limit=1)
    assert json.loads(whole.out) == {
        "audit_broken_at": None,
        "entries": newest.number,
        "chain_sha256": newest.chain_sha256,
    }
    with sqlite3.connect(scene.folder / "ledger.sqlite3") as db:
        db.execute("DROP TRIGGER audit_entries_no_update")
        db.execute("UPDATE audit_entries SET actor = 'nobody' WHERE number = 2")
    db.close()
    broken = type_command("audit", "verify", "--data", str(scene.folder))
    assert broken.code == 20
    assert "changed at entry 2" in broken.err
