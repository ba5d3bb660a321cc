"""Uploads straight to a bucket: what the adapter and the use cases hold to on real services."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.layout import artifact_key
from lockgate_release.uploads import LEAST_PART_BYTES
from lockgate_server.stores.s3 import S3Store
from lockgate_server.stores.s3_client import S3Limits
from lockgate_server.stores.s3_uploads import S3Uploads
from tests.contracts.conftest import BUCKET, Service, emptied
from tests.simulators.sender import Sender
from tests.simulators.server_scene import APP, Scene, read_all

BIG = bytes(range(256)) * (LEAST_PART_BYTES // 256) + b"the second part"
KEY = "demo/uploads/aa/bb.data"


@pytest.fixture(params=["moto", "r2"])
def service(request: pytest.FixtureRequest) -> Service:
    found: Service = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def store(service: Service) -> Iterator[S3Store]:
    with emptied(service.open(BUCKET, S3Limits())) as store:
        yield store
    store.close()


@pytest.fixture
def uploads(store: S3Store) -> S3Uploads:
    return S3Uploads(store.bucket)


@pytest.fixture
def scene(tmp_path: Path, store: S3Store, uploads: S3Uploads) -> Scene:
    scene = Scene(folder=tmp_path, store=store, uploads=uploads)
    scene.register()
    return scene


def artifacts(scene: Scene) -> list[str]:
    return [info.key for info in scene.store.list(f"{APP}/artifacts/")]


def left_over(scene: Scene) -> list[str]:
    return [info.key for info in scene.store.list(f"{APP}/uploads/")]


@pytest.mark.parametrize("data", [b"", b"x", BIG])
def test_what_is_sent_straight_to_the_bucket_lies_at_its_content_address(
    scene: Scene, data: bytes
) -> None:
    sender = Sender(scene.api(), data)
    answer = sender.deliver()
    assert answer.status_code == 201, answer.get_data()
    assert sender.mode == ("direct" if data else "server")
    key = artifact_key(APP, digest_bytes(data))
    assert read_all(scene.store, key) == data
    assert (artifacts(scene), left_over(scene)) == ([key], [])
    assert sender.finish().status_code == 200
