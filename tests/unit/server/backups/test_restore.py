"""A backup put back: nothing is overwritten, and nothing is signed on top of what may be old."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode, LocalError, StaleMirrorError
from lockgate_server.assembly import prepare
from lockgate_server.settings import ServerSettings
from tests.simulators.server_scene import APP, read_all
from tests.simulators.server_site import ServerSite

PASSPHRASE = {"LOCKGATE_BACKUP_PASSPHRASE": "a long enough passphrase"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ServerSite]:
    made = ServerSite(tmp_path)
    made.environ |= PASSPHRASE
    yield made
    made.close()


def test_a_restored_server_goes_on_from_the_newest_state_not_from_the_backup_s(
    site: ServerSite,
) -> None:
    site.back_up()
    site.scene.publish("1.1.0")
    highest, number = site.scene.highest(), site.number()
    site.lose_database()
    site.restore("--at", str(number), says="confirmed")
    site.open()
    assert site.scene.highest() == highest
    action, outcome = site.scene.outcomes()[-1]
    assert (action, outcome) == ("restore", "done")
    assert site.scene.ledger.verify_audit() is None
    site.scene.publish("1.2.0")
    assert site.scene.look().offers() == [("1.2.0", 10_000)]


def test_without_a_name_for_the_newest_state_nothing_is_put_back(site: ServerSite) -> None:
    site.back_up()
    site.lose_database()
    ended = site.restore(code=ExitCode.USAGE, says="nobody has named the newest state")
    assert "--at demo=NUMBER" in ended.err
    site.restore("--at", "other=3", code=ExitCode.USAGE, says="no such app")
    site.restore("--at", "demo=x", code=ExitCode.USAGE, says="APP=NUMBER")
    assert not site.ledger_path.exists()
    assert not (site.data / "restoring.json").exists()


def test_a_store_that_was_put_back_to_before_the_backup_is_refused_whatever_is_said(
    site: ServerSite,
) -> None:
    with site.kept_objects():
        site.scene.publish("1.1.0")
        site.back_up()
    site.lose_database()
    site.restore("--yes", code=ExitCode.REFUSED, says="older state")
    site.restore("--at", "2", code=ExitCode.REFUSED, says="older state")
    assert not site.ledger_path.exists()


def test_a_store_that_was_put_back_to_after_the_backup_is_refused_by_the_right_number(
    site: ServerSite,
) -> None:
    site.back_up()
    site.scene.publish("1.1.0")
    with site.kept_objects():
        site.scene.publish("1.2.0")
        number = site.number()
    site.lose_database()
    site.restore("--at", str(number), code=ExitCode.REFUSED, says="put back")
    site.restore("--at", str(number - 2), code=ExitCode.CONFLICT, says="newer state")
    assert not site.ledger_path.exists()


def test_an_unconfirmed_app_is_signed_for_only_once_it_is_named(site: ServerSite) -> None:
    site.back_up()
    site.scene.publish("1.1.0")
    number = site.number()
    site.lose_database()
    ended = site.restore("--unconfirmed", says="unconfirmed")
    assert "lockgate-server rebuild" in ended.err
    site.open()
    with pytest.raises(StaleMirrorError, match="rebuild"):
        site.scene.revoke("1.0.0")
    site.close()
    words = ("rebuild", "--data", site.data, "--app", APP, "--root", site.root)
    site.type(*words, "--at", str(number))
    site.open()
    site.scene.revoke("1.0.0")
    assert [action for action, _ in site.scene.outcomes()][-2:] == ["rebuild", "revoke"]


def test_nothing_is_overwritten(site: ServerSite) -> None:
    site.back_up("--with-keys")
    before = {path: path.read_bytes() for path in site.data.rglob("*") if path.is_file()}
    site.restore("--yes", code=ExitCode.USAGE, says="a server's database is there")
    assert {path: path.read_bytes() for path in before} == before
    site.lose_database()
    reports = site.data / "reports.sqlite3"
    reports.write_bytes(b"newer counts")
    key = (site.data / "keys" / f"{APP}.pem").read_bytes()
    site.restore("--yes", says="kept as it is")
    assert reports.read_bytes() == b"newer counts"
    assert (site.data / "keys" / f"{APP}.pem").read_bytes() == key


def test_a_dry_run_proves_everything_and_does_nothing(site: ServerSite) -> None:
    backup = site.back_up()
    site.lose_database()
    site.restore("--yes", "--dry-run", says="would be restored")
    assert sorted(path.name for path in site.data.iterdir()) == ["backup.json", "keys", "objects"]
    (backup / "settings.json").write_bytes(b"{}")
    site.restore("--yes", "--dry-run", code=ExitCode.REFUSED, says="settings.json")


def test_a_server_that_lost_its_machine_comes_back_with_objects_and_keys(
    site: ServerSite, tmp_path: Path
) -> None:
    site.scene.publish("1.1.0", exposure_bp=500)
    before = site.scene.look()
    site.back_up("--objects", "--with-keys")
    site.lose_objects()
    site.open(tmp_path / "another")
    site.lose_database()
    site.restore("--objects", says="refilled")
    site.open()
    assert site.scene.look().numbers() == before.numbers()
    copy = read_all(site.scene.store, f"{APP}/channels/stable/version.json")
    assert copy is not None
    rolled = site.scene.roll("1.1.0", "set", 2_500, expected_epoch=1).answer
    assert rolled.rollout.epoch == 2
    site.scene.publish("1.2.0")
    assert site.scene.look().offers()[0] == ("1.2.0", 10_000)


def test_without_the_objects_an_app_that_the_store_lost_stays_held_to_the_backup(
    site: ServerSite,
) -> None:
    with site.kept_objects():
        site.scene.publish("1.1.0")
        site.back_up()
        site.lose_objects()
        site.lose_database()
        site.restore("--yes", says="the store has lost it")
        site.open()
    with pytest.raises(StaleMirrorError, match="put back"):
        site.scene.publish("1.2.0")


def test_a_restore_that_broke_off_is_gone_on_with_and_no_server_starts_before(
    site: ServerSite,
) -> None:
    """Killed between any two of its steps: the files that were there by then, and no more."""
    site.back_up("--objects", "--with-keys")
    site.lose_objects()
    site.lose_database()
    key = site.data / "keys" / f"{APP}.pem"
    key.unlink()
    site.restore("--objects")
    whole = {path: path.read_bytes() for path in site.data.rglob("*") if path.is_file()}
    note = site.data / "restoring.json"
    digest = site.type("backup", "verify", site.backups, "--json").json()["manifest_sha256"]
    settings = ServerSettings(data=site.data)
    pointer = site.objects / APP / "metadata" / "timestamp.json"
    for lost in ([site.ledger_path], [site.ledger_path, key], [site.ledger_path, pointer], []):
        note.write_text(f'"{digest}"\n', "utf-8")
        for path in lost:
            path.unlink()
        with pytest.raises(Exception, match="a restore broke off"):
            prepare(settings)
        site.restore("--objects", says="broke off")
        assert not note.exists()
        assert {path for path in whole if not path.exists()} == set()
        site.open()
        site.scene.look()
        site.close()


def test_a_lost_key_comes_back_alone_and_a_key_that_is_there_stays(site: ServerSite) -> None:
    site.back_up("--with-keys")
    key = site.data / "keys" / f"{APP}.pem"
    whole = key.read_bytes()
    site.restore("--only-keys", says="has every key")
    key.unlink()
    with pytest.raises(LocalError):
        site.scene.publish("1.1.0")
    site.restore("--only-keys", "--dry-run", says="would be restored")
    assert not key.exists()
    assert site.restore("--only-keys", "--json").json()["keys_restored"] == [key.name]
    assert (key.read_bytes(), key.stat().st_mode & 0o777) == (whole, 0o600)
    site.scene.publish("1.1.0")
    site.environ["LOCKGATE_BACKUP_PASSPHRASE"] = "another passphrase"
    key.unlink()
    site.restore("--only-keys", code=ExitCode.LOCAL, says="does not open the key")


def test_another_backup_does_not_go_on_with_a_restore_that_broke_off(site: ServerSite) -> None:
    site.back_up()
    site.lose_database()
    (site.data / "restoring.json").write_text('"another"\n', "utf-8")
    site.restore("--yes", code=ExitCode.USAGE, says="another backup")


def test_a_refill_takes_a_backup_or_a_mirror_and_leaves_alone_what_is_there(
    site: ServerSite,
) -> None:
    backup = site.back_up("--objects")
    mirror = site.folder / "mirror"
    (backup / "objects").rename(mirror)
    words = ("storage", "refill", mirror, "--data", site.data)
    site.type(*words, says="left alone")
    site.lose_objects()
    site.type(*words, "--dry-run", says="would be copied")
    assert not (site.objects / APP).exists()
    assert site.type(*words, "--json").json()["apps"][0]["done"]
    site.type("storage", "verify", "--data", site.data, says="0 missing, 0 damaged")
    site.open()
    site.scene.publish("1.1.0")


def test_a_refill_from_what_is_older_than_the_database_is_refused(site: ServerSite) -> None:
    backup = site.back_up("--objects")
    site.scene.publish("1.1.0")
    site.lose_objects()
    words = ("storage", "refill", backup, "--data", site.data)
    site.type(*words, code=ExitCode.REFUSED, says="older state")
    assert not (site.objects / APP).exists()


def test_a_refill_from_what_is_not_whole_copies_nothing(site: ServerSite) -> None:
    backup = site.back_up("--objects")
    site.lose_objects()
    next((backup / "objects" / APP / "artifacts").rglob("*/*")).write_bytes(b"others")
    site.type("storage", "refill", backup, "--data", site.data, code=20, says="not whole")
    assert not (site.objects / APP).exists()
    site.type("storage", "refill", site.folder, "--data", site.data, code=ExitCode.USAGE)
