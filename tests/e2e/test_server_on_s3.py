"""A real server whose files lie in a bucket: every write conditional, every read through S3."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.layout import artifact_path
from tests.simulators.buckets import BucketAt, moto_bucket, r2_bucket
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_process import ServerProcess
from tests.simulators.weak_store import Weakness

BUCKETS: dict[str, Callable[[Path], AbstractContextManager[BucketAt]]] = {
    "moto": lambda _: moto_bucket(),
    "busy": lambda _: moto_bucket(Weakness.BUSY),
    "r2": r2_bucket,
}


@pytest.fixture(params=BUCKETS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    with (
        BUCKETS[request.param](tmp_path / "r2") as bucket,
        ServerProcess(tmp_path / "data", **bucket.environ) as running,
    ):
        yield running


def test_a_release_goes_through_a_bucket_and_back(server: ServerProcess) -> None:
    publisher = PublisherSimulator(now=datetime.now(UTC).replace(microsecond=0))
    data = os.urandom(100_000)
    server.register(publisher)
    server.publish(publisher, publisher.build("1.0.0", {"any": data}))
    server.publish(publisher, publisher.build("1.1.0"))
    address = f"/demo/{artifact_path(digest_bytes(data))}"
    whole = server.call("GET", address, side="public")
    assert whole.body == data
    part = server.call("GET", address, side="public", headers={"Range": "bytes=-10"})
    assert (part.status, part.body) == (206, data[-10:])
    revoke = {"version": "1.1.0", "reason": "it eats files"}
    answer = server.call("POST", "/api/v1/apps/demo/revocations", revoke)
    assert answer.json()["goes_to"] == {"stable": "1.0.0"}
    assert server.channel(publisher)["offers"][0]["version"] == "1.0.0"
    assert not (server.data / "objects").exists()
