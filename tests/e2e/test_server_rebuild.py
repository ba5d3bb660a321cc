"""`lockgate-server rebuild`: the database is lost, the store is there, or was put back."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockgate_release.errors import ConflictError, ExitCode, StaleMirrorError
from lockgate_server.ports import Highest
from lockgate_server.services.write.base import highest_of, read_base
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from tests.simulators.server_scene import APP, Scene
from tests.simulators.server_site import type_command


class Site:
    """A server's folder whose server is down, and the publishers' own files beside it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self.root = folder / "root.json"
        self.ledger_path = self.data / "ledger.sqlite3"
        self.scene = Scene(folder=self.data)
        self.open()
        self.scene.pass_time(datetime.now(UTC).replace(microsecond=0))
        self.scene.register()
        self.root.write_bytes(self.scene.publisher.root)
        self.scene.publish("1.0.0")

    def open(self) -> None:
        self.scene.store = DirectoryStore(self.data / "objects")
        self.scene.ledger = SqliteLedger(self.ledger_path)

    def close(self) -> None:
        self.scene.store.close()
        self.scene.ledger.close()

    def lose_database(self) -> None:
        self.close()
        for path in self.data.glob("ledger.sqlite3*"):
            path.unlink()

    def rebuild(self, code: int, *more: str, words: str = "") -> str:
        done = type_command(
            "rebuild", "--data", str(self.data), "--app", APP, "--root", str(self.root), *more
        )
        assert done.code == code, done.err
        assert words in done.err
        return done.out

    def number(self) -> int:
        return self.scene.look().chain.timestamp.version


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def test_a_server_without_its_database_signs_nothing_until_it_is_rebuilt(site: Site) -> None:
    recorded = site.scene.ledger.highest(APP)
    number = site.number()
    site.lose_database()
    site.open()
    with pytest.raises(ConflictError, match="lockgate-server rebuild"):
        site.scene.revoke("1.0.0")
    with pytest.raises(ConflictError, match="the database does not know"):
        site.scene.register()
    site.lose_database()
    said = site.rebuild(ExitCode.OK, "--at", str(number), "--json", words="Tokens are lost")
    assert json.loads(said)["timestamp_version"] == number
    site.open()
    assert site.scene.ledger.highest(APP) == recorded
    (entry,) = site.scene.ledger.audit(APP, limit=5)
    assert (entry.intent.action, entry.outcome) == ("rebuild", "done")
    site.scene.publish("1.1.0")
    assert site.scene.look().offers() == [("1.1.0", 10_000)]


def test_a_rollout_goes_on_from_where_it_was_and_a_revocation_stays(site: Site) -> None:
    site.scene.publish("1.1.0", exposure_bp=500)
    site.scene.revoke("1.1.0")
    site.scene.publish("1.2.0", exposure_bp=1_000)
    before = site.scene.look()
    site.lose_database()
    site.rebuild(ExitCode.OK, "--at", str(before.chain.timestamp.version))
    site.open()
    rolled = site.scene.roll("1.2.0", "set", 2_500, expected_epoch=1).answer
    assert rolled.rollout.epoch == 2
    after = site.scene.look()
    assert after.offers() == [("1.2.0", 2_500), ("1.0.0", 10_000)]
    assert after.revoked() == ["1.1.0"]
    assert after.numbers()[2]["stable"] == before.numbers()[2]["stable"] + 1


def test_a_store_that_was_put_back_is_refused_by_the_right_number(
    site: Site, tmp_path: Path
) -> None:
    shutil.copytree(site.data / "objects", tmp_path / "older")
    site.scene.publish("1.1.0")
    number = site.number()
    site.lose_database()
    shutil.rmtree(site.data / "objects")
    shutil.copytree(tmp_path / "older", site.data / "objects")
    site.rebuild(ExitCode.REFUSED, "--at", str(number), words="put back to an older state")
    assert not site.ledger_path.exists()


def test_a_pointer_that_was_put_back_is_not_taken_at_its_word(site: Site) -> None:
    pointer = site.data / "objects" / APP / "metadata" / "timestamp.json"
    older = pointer.read_bytes()
    site.scene.publish("1.1.0")
    site.lose_database()
    pointer.write_bytes(older)
    site.rebuild(ExitCode.REFUSED, "--yes", words="may have been put back")
    assert not site.ledger_path.exists()


def test_a_newer_state_than_was_named_is_somebody_elses_until_a_person_says(site: Site) -> None:
    number = site.number()
    site.lose_database()
    site.rebuild(ExitCode.CONFLICT, "--at", str(number - 1), words="newer state than was named")
    assert not site.ledger_path.exists()


def test_without_a_number_nothing_is_written(site: Site) -> None:
    site.lose_database()
    site.rebuild(ExitCode.USAGE, words="nobody has named the newest state")
    site.rebuild(ExitCode.OK, "--dry-run", words="would be made")
    assert not site.ledger_path.exists()
    site.rebuild(ExitCode.OK, "--yes", words="is rebuilt")


def test_a_database_that_is_not_lost_is_left_alone(site: Site) -> None:
    number = str(site.number())
    site.close()
    site.rebuild(ExitCode.OK, "--at", number, words="says so already")
    site.open()
    base = read_base(site.scene.store, site.scene.ledger, APP)
    newer = Highest(
        root=1, timestamp=99, snapshot=99, releases=9, sequences=highest_of(base).sequences
    )
    entry = site.scene.ledger.audit(APP, limit=1)[0]
    site.scene.ledger.finish(entry.number, newer)
    site.close()
    site.rebuild(ExitCode.CONFLICT, "--at", number, words="the database is not lost")
    site.open()
    assert site.scene.ledger.highest(APP) == newer
    with pytest.raises(StaleMirrorError):
        site.scene.publish("1.1.0")


def test_a_root_of_somebody_else_vouches_for_nothing(site: Site, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    site.root.write_bytes(Site(tmp_path / "other").scene.publisher.root)
    site.lose_database()
    site.rebuild(ExitCode.REFUSED, "--yes")
    assert not site.ledger_path.exists()


def test_a_file_that_is_no_root_is_called_that(site: Site) -> None:
    site.root.write_bytes(b"rubbish")
    site.lose_database()
    site.rebuild(ExitCode.USAGE, "--yes", words="root.json: not a root")
    assert not site.ledger_path.exists()


def test_without_an_app_the_store_is_only_shown(site: Site) -> None:
    number = site.number()
    site.lose_database()
    done = type_command("rebuild", "--data", str(site.data), "--json")
    assert done.code == ExitCode.OK, done.err
    (app,) = json.loads(done.out)["apps"]
    assert (app["app"], app["timestamp_version"], app["releases"]) == (APP, number, 1)
    assert "stable: sequence 1" in done.err
    assert not site.ledger_path.exists()


def test_a_lost_key_is_said_with_it(site: Site) -> None:
    site.lose_database()
    shutil.rmtree(site.data / "keys", ignore_errors=True)
    for path in site.data.glob("*.pem"):
        path.unlink()
    site.rebuild(ExitCode.OK, "--yes", words="the server's key is missing")
