"""`lockgate-server key`, with the server down: what it shows, makes and drops, and how it ends."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lockgate_release.ceremony_requests import CeremonyRequest
from lockgate_release.errors import ExitCode, LockgateError
from lockgate_server.command.group import lockgate_server
from lockgate_server.patience import Patience
from lockgate_server.services.write.ceremony import hold_ceremony
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from tests.simulators.ceremonies import Ceremonies
from tests.simulators.server_scene import APP, CALLER, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """The folder of a server that has published; the keys lie where a server's do."""
    scene = Scene(
        folder=tmp_path,
        store=DirectoryStore(tmp_path / "objects"),
        ledger=SqliteLedger(tmp_path / "ledger.sqlite3"),
    )
    scene.pass_time(datetime.now(UTC).replace(microsecond=0))
    scene.register()
    scene.publish("1.0.0")
    return scene


def typed(scene: Scene, verb: str, *more: str) -> Result:
    arguments = ["key", verb, APP, "--data", str(scene.folder), *more]
    return CliRunner().invoke(lockgate_server, arguments, env={"LOCKGATE_DATA": None})


def parts(scene: Scene) -> list[str]:
    said: dict[str, Any] = json.loads(typed(scene, "show", "--json").stdout)
    assert said["app"] == APP
    return [key["part"] for key in said["keys"]]


def put_next_in_force(scene: Scene) -> CeremonyRequest:
    key = scene.deps().keys.create_next(APP)
    request = Ceremonies(scene.publisher).rotate_online(scene.look().chain, key)
    scene.patience = Patience(cached=Patience().cached * 0, overlap=Patience().overlap)
    assert hold_ceremony(scene.deps(), APP, request, CALLER).wait_s == 0
    return request


def test_a_rotation_is_rehearsed_begun_and_shown(scene: Scene) -> None:
    rehearsed = typed(scene, "rotate", "--dry-run")
    assert "Nothing was done" in rehearsed.stderr
    assert parts(scene) == ["in-force"]
    begun = typed(scene, "rotate")
    assert begun.exit_code == 0
    assert "next: signs along" in begun.stdout
    assert "lockgate root rotate FILE --role online" in begun.stderr
    assert parts(scene) == ["in-force", "next"]
    assert typed(scene, "rotate").stdout == begun.stdout, "the same again changes nothing"


def test_a_next_key_is_dropped_and_with_one_key_nothing_is(scene: Scene) -> None:
    typed(scene, "rotate")
    assert "would be dropped" in typed(scene, "drop", "--dry-run").stderr
    assert parts(scene) == ["in-force", "next"]
    assert "is gone for ever" in typed(scene, "drop").stderr
    assert parts(scene) == ["in-force"]
    assert "Nothing was changed" in typed(scene, "drop").stderr


def test_an_old_key_is_dropped_before_its_time_only_with_yes(scene: Scene) -> None:
    typed(scene, "rotate")
    put_next_in_force(scene)
    assert ", until 20" in typed(scene, "show").stdout
    refused = typed(scene, "drop")
    assert isinstance(refused.exception, LockgateError)
    assert refused.exception.exit_code == ExitCode.USAGE
    assert parts(scene) == ["in-force", "old"]
    assert typed(scene, "drop", "--yes").exit_code == 0
    assert parts(scene) == ["in-force"]
    scene.publish("1.1.0")


def test_an_app_that_is_not_there_is_refused(scene: Scene) -> None:
    arguments = ["key", "show", "other", "--data", str(scene.folder)]
    refused = CliRunner().invoke(lockgate_server, arguments)
    assert isinstance(refused.exception, LockgateError)
    assert "no such app" in str(refused.exception)
