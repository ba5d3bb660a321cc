"""`lockgate-server gc` and `storage verify` as a person types them, and beside a paused publish."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import LockgateError
from lockgate_release.layout import artifact_key, condemned_key
from lockgate_release.requests import PublishRequest
from lockgate_server.services.collect.collecting import DEFAULT_GRACE, collect
from lockgate_server.services.collect.reachability import Why
from lockgate_server.services.collect.verifying import verify_app
from lockgate_server.services.write.deps import Caller
from lockgate_server.services.write.renewing import resign
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.factory import open_store
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from tests.simulators.buckets import BucketAt, moto_bucket, r2_bucket
from tests.simulators.faulty_store import FaultyStore, meanwhile
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_scene import APP, Scene
from tests.simulators.server_site import type_command

PAYLOAD = b"#!/bin/sh\necho the same bytes as long ago\n"
A_MONTH_S = 30 * 86400


def on_disk(folder: Path, publisher: PublisherSimulator) -> Scene:
    """A server's folder as a process of its own would open it."""
    return Scene(
        folder=folder,
        now=publisher.now,
        store=DirectoryStore(folder / "objects"),
        ledger=SqliteLedger(folder / "ledger.sqlite3"),
        publisher=publisher,
    )


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """1.0.0 is live, and an artifact that nothing names is a month old."""
    publisher = PublisherSimulator(now=datetime.now(UTC).replace(microsecond=0))
    scene = on_disk(tmp_path / "data", publisher)
    scene.register()
    scene.publish("1.0.0")
    sha256 = digest_bytes(PAYLOAD)
    scene.land(PAYLOAD)
    long_ago = time.time() - A_MONTH_S
    os.utime(path_of(scene, artifact_key(APP, sha256)), (long_ago, long_ago))
    return scene


def path_of(scene: Scene, key: str) -> Path:
    return scene.folder / "objects" / key


def orphan(scene: Scene) -> Path:
    return path_of(scene, artifact_key(APP, digest_bytes(PAYLOAD)))


def test_a_dry_run_names_what_would_go_and_the_run_removes_it(scene: Scene) -> None:
    data = str(scene.folder)
    planned = type_command("gc", "--data", data, "--dry-run")
    assert planned.code == 0, planned.err
    assert f"- {artifact_key(APP, digest_bytes(PAYLOAD))}" in planned.out
    assert "named by nothing that is still valid" in planned.out
    assert "named by the state in force" in planned.out
    assert "demo: 1 would go, 42 B" in planned.out
    assert orphan(scene).exists()
    done = type_command("gc", "--data", data, "--json")
    assert done.code == 0, done.err
    (app,) = json.loads(done.out)["apps"]
    assert [item["bytes"] for item in app["removed"]] == [len(PAYLOAD)]
    assert not orphan(scene).exists()
    assert app["timestamp_version"] == scene.look().chain.timestamp.version
    assert scene.look().live() == {"1.0.0"}
    again = type_command("gc", "--data", data)
    assert "demo: 0 removed, 0 B" in again.out


def test_verify_finds_what_is_missing_and_what_is_damaged(scene: Scene) -> None:
    data = str(scene.folder)
    whole = type_command("storage", "verify", "--data", data)
    assert whole.code == 0, whole.err
    assert "0 missing, 0 damaged; 1 extra, 42 B" in whole.out
    (sha256,) = scene.publisher.build("1.0.0").artifacts
    artifact = path_of(scene, artifact_key(APP, sha256))
    good = artifact.read_bytes()
    artifact.chmod(0o600)
    artifact.write_bytes(good[:-1] + b"?")
    damaged = type_command("storage", "verify", "--data", data, "--json")
    assert damaged.code == 20
    (app,) = json.loads(damaged.out)["apps"]
    assert [item["key"] for item in app["damaged"]] == [artifact_key(APP, sha256)]
    artifact.unlink()
    missing = type_command("storage", "verify", "--data", data)
    assert missing.code == 20
    assert f"missing  {artifact_key(APP, sha256)}" in missing.out
    (releases,) = path_of(scene, f"{APP}/metadata").glob("2.releases.json")
    releases.unlink()
    assert type_command("storage", "verify", "--data", data).code == 20
    assert type_command("gc", "--data", data).code == 20


def test_a_store_that_was_put_back_is_refused_and_nothing_is_removed(scene: Scene) -> None:
    pointer = path_of(scene, f"{APP}/metadata/timestamp.json")
    older = pointer.read_bytes()
    scene.publish("1.1.0")
    pointer.chmod(0o600)
    pointer.write_bytes(older)
    refused = type_command("gc", "--data", str(scene.folder))
    assert refused.code == 20
    assert "put back to an older state" in refused.err
    assert orphan(scene).exists()


def _publish_and_stop(folder: Path, request: PublishRequest, root: bytes, key: str) -> None:
    """Runs in a process of its own, and is paused by itself before it writes `key`."""
    publisher = PublisherSimulator(now=datetime.now(UTC).replace(microsecond=0))
    publisher.root = root
    scene = on_disk(folder, publisher)
    store = FaultyStore(scene.store)
    store.plan(meanwhile("put", key, lambda: os.kill(os.getpid(), signal.SIGSTOP)))
    scene.store = store
    try:
        scene.send(request)
    except LockgateError as exc:
        raise SystemExit(int(exc.exit_code)) from exc


@pytest.mark.parametrize(
    "key", ["*/releases/1.1.0/*", "*/metadata/*.releases.json", "*/timestamp.json"]
)
def test_a_publish_that_is_paused_while_its_artifact_is_collected_never_comes_into_force(
    scene: Scene, key: str
) -> None:
    build = scene.publisher.build("1.1.0", {"any": PAYLOAD})
    request = scene.publisher.publish(scene.look().chain, build)
    process = paused(
        lambda context: context.Process(
            target=_publish_and_stop, args=(scene.folder, request, scene.publisher.root, key)
        )
    )
    done = type_command("gc", "--data", str(scene.folder))
    assert process.pid is not None
    os.kill(process.pid, signal.SIGCONT)
    process.join()
    sight = scene.look()
    assert done.code == 0, done.err
    if process.exitcode == 0:
        assert orphan(scene).exists()
        assert "1.1.0" in sight.live()
    else:
        assert process.exitcode in {2, 24}
        assert "1.1.0" not in sight.live()
    scene.upload(build)
    assert scene.send(scene.publisher.publish(scene.look().chain, build)).timestamp_version
    assert scene.look().live() == {"1.0.0", "1.1.0"}


def _collect_and_stop(folder: Path, root: bytes, verb: str, key: str) -> None:
    """Runs in a process of its own, and is paused by itself around one request."""
    publisher = PublisherSimulator(now=datetime.now(UTC).replace(microsecond=0))
    publisher.root = root
    scene = on_disk(folder, publisher)
    store = FaultyStore(scene.store)
    store.plan(meanwhile(verb, key, lambda: os.kill(os.getpid(), signal.SIGSTOP)))
    scene.store = store
    try:
        collect(scene.deps(), APP, Caller(actor="a slow one"), grace=DEFAULT_GRACE)
    except LockgateError as exc:
        raise SystemExit(int(exc.exit_code)) from exc


@pytest.mark.parametrize(
    ("verb", "key"),
    [
        ("put", "*/condemned.json"),
        ("put", "*/timestamp.json"),
        ("head", "*/condemned.json"),
        ("delete", "*/condemned.json"),
    ],
)
def test_a_collection_that_is_paused_while_its_artifact_is_published_anew_takes_nothing_away(
    scene: Scene, verb: str, key: str
) -> None:
    build = scene.publisher.build("1.1.0", {"any": PAYLOAD})
    process = paused(
        lambda context: context.Process(
            target=_collect_and_stop, args=(scene.folder, scene.publisher.root, verb, key)
        )
    )
    other = type_command("gc", "--data", str(scene.folder))
    scene.upload(build)
    scene.send(scene.publisher.publish(scene.look().chain, build))
    assert process.pid is not None
    os.kill(process.pid, signal.SIGCONT)
    process.join()
    assert other.code == 0, other.err
    assert process.exitcode in {0, 24}
    assert scene.look().live() == {"1.0.0", "1.1.0"}
    assert type_command("gc", "--data", str(scene.folder)).code == 0
    assert scene.look().live() == {"1.0.0", "1.1.0"}
    assert not path_of(scene, condemned_key(APP)).exists()


@pytest.fixture(params=["moto", "r2"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BucketAt]:
    opened = moto_bucket() if request.param == "moto" else r2_bucket(tmp_path / "r2")
    with opened as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.environ.items():
            patch.setenv(name, value)
        yield found


def test_a_collection_in_a_bucket_leaves_what_is_needed(bucket: BucketAt, tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    with closing(open_store(bucket.address)) as store:
        publisher = PublisherSimulator(now=now)
        scene = Scene(folder=tmp_path, now=now, store=store, publisher=publisher)
        scene.register()
        scene.publish("1.0.0")
        scene.upload(scene.publisher.build("9.0.0"))
        scene.publish("1.1.0")
        scene.send(scene.publisher.retire(scene.look().chain, "1.0.0"))
        scene.pass_time(now + timedelta(days=31))
        resign(scene.deps(), APP, Caller(actor="worker"))
        found = collect(scene.deps(), APP, Caller(actor="a test"), grace=DEFAULT_GRACE)
        assert {verdict.why for verdict in found.removed} == {Why.PASSED, Why.UNREACHED}
        assert scene.look().live() == {"1.1.0"}
        whole = verify_app(scene.deps(), APP)
        assert whole.is_whole
        assert not whole.extra


Context = multiprocessing.context.SpawnContext


def paused(
    make: Callable[[Context], multiprocessing.context.SpawnProcess],
) -> multiprocessing.context.SpawnProcess:
    """Start a process and wait until it has paused itself."""
    process = make(multiprocessing.get_context("spawn"))
    process.start()
    assert process.pid is not None
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), status
    return process
