"""A backup is whole or not there, holds no secret in the open, and is proven by restoring it."""

import json
import sqlite3
import stat
import tarfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode, LocalError, UsageError
from lockgate_server.backups.making import Wanted, make_backup
from lockgate_server.backups.places import open_place
from lockgate_server.ports import Scope
from lockgate_server.settings import ServerSettings
from tests.simulators.server_scene import APP
from tests.simulators.server_site import ServerSite, manifest_of

PASSPHRASE = "a long enough passphrase"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ServerSite]:
    made = ServerSite(tmp_path)
    yield made
    made.close()


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_backup_holds_the_databases_the_settings_and_how_far_each_app_has_got(
    site: ServerSite,
) -> None:
    site.scene.reports.dropped()
    backup = site.back_up()
    assert files_in(backup) == {"manifest.json", "ledger.sqlite3", "settings.json"}
    manifest = manifest_of(backup)
    (note,) = manifest.apps
    assert (note.app, note.highest) == (APP, site.scene.highest())
    assert [(key.where, key.is_included) for key in manifest.keys] == [(f"keys/{APP}.pem", False)]
    newest = site.scene.ledger.audit(None, limit=1)[0]
    assert (manifest.audit_number, manifest.audit_sha256) == (newest.number, newest.chain_sha256)


def test_nobody_else_can_read_a_backup(site: ServerSite) -> None:
    backup = site.back_up("--objects")
    for path in (backup, *backup.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_no_secret_stands_in_a_backup_in_the_open(site: ServerSite) -> None:
    secrets = {"LOCKGATE_ONLINE_KEY_OTHER": "SECRET-1", "AWS_SECRET_ACCESS_KEY": "SECRET-2"}
    words = {"LOCKGATE_BACKUP_PASSPHRASE": PASSPHRASE, **secrets}
    backup = site.back_up("--with-keys", **words)
    key = (site.data / "keys" / f"{APP}.pem").read_bytes().splitlines()[1]
    content = b"".join(path.read_bytes() for path in backup.rglob("*") if path.is_file())
    for secret in (PASSPHRASE.encode(), b"SECRET-1", b"SECRET-2", key):
        assert secret not in content
    assert b"ENCRYPTED" in (backup / "keys" / f"{APP}.pem").read_bytes()
    told = json.loads((backup / "settings.json").read_bytes())
    assert set(told["set_elsewhere"]) >= set(words)
    assert told["settings"]["LOCKGATE_GC_GRACE"] == "7d"


def test_a_backup_is_one_moment_of_a_database_that_is_in_use(site: ServerSite) -> None:
    with closing(sqlite3.connect(site.ledger_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO leases VALUES ('half', 'done', '2026-01-01T00:00:00Z')")
        backup = site.back_up()
        other.execute("ROLLBACK")
    site.type("backup", "verify", backup)
    site.scene.publish("1.1.0")
    site.type("backup", "verify", backup)


def test_a_copy_of_the_ledger_does_not_say_how_far_an_app_has_got(site: ServerSite) -> None:
    """So whoever puts the file in place by hand gets a server that signs nothing."""
    backup = site.back_up()
    site.lose_database()
    (backup / "ledger.sqlite3").rename(site.ledger_path)
    site.open()
    assert site.scene.ledger.highest(APP) is None
    ended = site.type("revoke", "--data", site.data, APP, "1.0.0", "--reason", "x", code=20)
    assert "see lockgate-server rebuild" in ended.err


def test_a_damaged_backup_is_told_from_a_whole_one(site: ServerSite) -> None:
    backup = site.back_up("--objects")
    site.type("backup", "verify", backup, says="timestamp 2")
    for path in sorted(files_in(backup)):
        whole = (backup / path).read_bytes()
        (backup / path).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        ended = site.type("backup", "verify", backup, code=2 if path == "manifest.json" else 20)
        assert path in ended.err
        (backup / path).unlink()
        site.type("backup", "verify", backup, code=ExitCode.USAGE)
        (backup / path).write_bytes(whole)


def test_objects_that_are_not_what_the_manifest_says_of_the_app_are_no_backup(
    site: ServerSite,
) -> None:
    """An older pointer with a manifest that fits it: who wrote both is found by the numbers."""
    older = site.back_up("--objects")
    site.scene.pass_time(datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5))
    site.scene.publish("1.1.0")
    with open_place(str(site.backups)) as place:
        made = make_backup(
            ServerSettings(data=site.data), {}, place, Wanted(has_objects=True), now=site.scene.now
        )
    newer = site.backups / made.name
    pointer = f"objects/{APP}/metadata/timestamp.json"
    (newer / pointer).write_bytes((older / pointer).read_bytes())
    manifest = json.loads((newer / "manifest.json").read_bytes())
    said = {one["path"]: one for one in json.loads((older / "manifest.json").read_bytes())["files"]}
    manifest["files"] = [
        said[pointer] if one["path"] == pointer else one for one in manifest["files"]
    ]
    (newer / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    site.type("backup", "verify", newer, code=20, says="older state")


def test_what_broke_off_is_no_backup_and_goes(site: ServerSite) -> None:
    dead = site.backups / ".new-lockgate-20260101T000000Z-aaaa"
    (dead / "keys").mkdir(parents=True)
    (dead / "ledger.sqlite3").write_bytes(b"half")
    without_manifest = site.backups / "lockgate-20260102T000000Z"
    without_manifest.mkdir()
    site.type("backup", "verify", site.backups, code=2, says="no backup there")
    site.type("restore", site.backups, "--data", site.folder / "new", "--yes", code=2)
    backup = site.back_up()
    assert not dead.exists()
    assert site.type("backup", "list", site.backups).out.split() == [backup.name]


def test_a_backup_that_fails_leaves_nothing(site: ServerSite) -> None:
    site.ledger_path.write_bytes(b"SQLite format 3\0" + bytes(4096))
    site.type("backup", site.backups, "--data", site.data, code=ExitCode.LOCAL)
    assert list(site.backups.iterdir()) == []
    assert [path.name for path in site.data.iterdir() if path.name.startswith(".new")] == []


def test_only_the_newest_backups_stay_and_none_goes_before_the_new_one_is_proven(
    site: ServerSite,
) -> None:
    settings, now = ServerSettings(data=site.data), datetime(2026, 1, 1, tzinfo=UTC)
    with open_place(str(site.backups)) as place:
        for day in range(4):
            make_backup(settings, {}, place, Wanted(), now=now + timedelta(days=day))
        assert len(place.names()) == 4
        kept = site.back_up("--keep", "2").name
        assert place.names() == ("lockgate-20260104T000000Z", kept)


def test_a_tar_file_holds_one_backup_and_is_never_replaced(site: ServerSite) -> None:
    file = site.folder / "one.tar"
    site.type("backup", file, "--data", site.data, "--objects")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as tar:
        assert tar.getnames()[-1] == "manifest.json"
    site.type("backup", "verify", file, says="timestamp 2")
    before = file.read_bytes()
    site.type("backup", file, "--data", site.data, code=ExitCode.CONFLICT)
    site.type("backup", file, "--data", site.data, "--keep", "2", code=ExitCode.USAGE)
    assert file.read_bytes() == before
    file.write_bytes(before[: len(before) // 2])
    site.type("backup", "verify", file, code=ExitCode.USAGE)


def test_keys_are_encrypted_or_left_out(site: ServerSite) -> None:
    words = ("backup", site.backups, "--data", site.data, "--with-keys")
    site.type(*words, code=ExitCode.USAGE, says="no passphrase")
    site.type(*words, code=2, says="at least 12", LOCKGATE_BACKUP_PASSPHRASE="short")
    secret = site.folder / "passphrase"
    secret.write_text(f"{PASSPHRASE}\n", "utf-8")
    backup = site.back_up("--with-keys", LOCKGATE_BACKUP_PASSPHRASE_FILE=str(secret))
    site.environ.clear()
    verify = ("backup", "verify", backup)
    site.type(*verify, says="can be decrypted", LOCKGATE_BACKUP_PASSPHRASE=PASSPHRASE)
    site.type(*verify, says="keys not tried")
    site.type(*verify, code=ExitCode.LOCAL, LOCKGATE_BACKUP_PASSPHRASE=PASSPHRASE[::-1])


def test_a_token_in_the_backup_is_the_token(site: ServerSite) -> None:
    site.scene.token("admin", "anna")
    site.back_up()
    site.lose_database()
    site.restore("--yes")
    site.open()
    (token,) = site.scene.ledger.tokens()
    assert (token.scope, token.label) == (Scope.ADMIN, "anna")


def test_a_passphrase_that_is_too_short_is_refused() -> None:
    with pytest.raises(UsageError, match="too short"):
        Wanted(passphrase=b"12345678901")


def test_a_disk_that_cannot_be_written_is_said(site: ServerSite) -> None:
    site.backups.write_bytes(b"a file in the way")
    with open_place(str(site.backups)) as place, pytest.raises(LocalError):
        make_backup(ServerSettings(data=site.data), {}, place, Wanted(), now=site.scene.now)
