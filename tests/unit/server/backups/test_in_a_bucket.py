"""Backups in a bucket: the manifest comes last, and one without it is none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from lockgate_server.stores.factory import find_clock, open_store
from tests.simulators.buckets import BucketAt, moto_bucket
from tests.simulators.server_scene import APP
from tests.simulators.server_site import ServerSite

PASSPHRASE = "a long enough passphrase"


@pytest.fixture(scope="module")
def bucket() -> Iterator[BucketAt]:
    with moto_bucket() as bucket:
        yield bucket


@pytest.fixture
def site(tmp_path: Path, bucket: BucketAt) -> Iterator[ServerSite]:
    made = ServerSite(tmp_path)
    made.environ |= bucket.environ | {"LOCKGATE_BACKUP_PASSPHRASE": PASSPHRASE}
    del made.environ["LOCKGATE_STORAGE"]  # there the backups go, not what clients read
    yield made
    made.close()


def test_a_server_comes_back_from_a_bucket_and_what_broke_off_there_is_no_backup(
    site: ServerSite, bucket: BucketAt, tmp_path: Path
) -> None:
    place = bucket.address
    make = ("backup", place, "--data", site.data, "--objects", "--with-keys", "--json")
    name = site.type(*make, "--keep", "3").json()["name"]
    keys = bucket.keys()
    written = [key for key in keys if name in key]
    assert any(key.endswith(f"objects/{APP}/metadata/timestamp.json") for key in written)
    site.type("backup", "verify", place, says="can be decrypted")
    above, _, options = place.partition("?")
    site.type("backup", "verify", f"{above}{name}?{options}")
    # One whose writer was killed: everything but the manifest.
    half = "lockgate-29990101T000000Z"
    with bucket.client() as client:
        for key in written:
            if not key.endswith("manifest.json"):
                body = client.get_object(Bucket="releases", Key=key)["Body"].read()
                client.put_object(Bucket="releases", Key=key.replace(name, half), Body=body)
    assert site.type("backup", "list", place).out.split() == [name]
    site.type("backup", "verify", f"{above}{half}?{options}", code=ExitCode.USAGE)
    restore = ("restore", f"{above}{half}?{options}", "--data", tmp_path / "new", "--objects")
    site.type(*restore, code=ExitCode.USAGE)
    assert not (tmp_path / "new" / "ledger.sqlite3").exists()
    site.lose_objects()
    site.lose_database()
    site.open(tmp_path / "new")
    site.close()
    (tmp_path / "new" / "ledger.sqlite3").unlink()
    site.type("restore", place, "--data", tmp_path / "new", "--objects", says="refilled")
    site.open()
    site.scene.publish("1.1.0")
    assert site.scene.look().offers() == [("1.1.0", 10_000)]


def test_the_oldest_go_from_a_bucket(site: ServerSite, bucket: BucketAt) -> None:
    place = f"{bucket.address.replace('some/prefix/', 'pruned')}"
    with bucket.client() as client:
        for day in (1, 2, 3):
            for file in ("manifest.json", "ledger.sqlite3"):
                key = f"pruned/lockgate-2026010{day}T000000Z/{file}"
                client.put_object(Bucket="releases", Key=key, Body=b"{}")
    ended = site.type("backup", place, "--data", site.data, "--keep", "2", "--json").json()
    assert ended["removed"] == ["lockgate-20260101T000000Z", "lockgate-20260102T000000Z"]
    keys = bucket.keys()
    left = {key.split("/")[1] for key in keys if key.startswith("pruned/")}
    assert left == {"lockgate-20260103T000000Z", ended["name"]}


def test_the_clock_of_a_bucket_is_asked(
    site: ServerSite, bucket: BucketAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in site.environ.items():
        monkeypatch.setenv(name, value)
    store = open_store(bucket.address)
    try:
        found = find_clock(store)
    finally:
        store.close()
    assert found is not None
    assert found.tzinfo is not None
    assert find_clock(site.scene.store) is None
