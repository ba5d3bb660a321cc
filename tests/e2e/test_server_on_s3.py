"""A real server whose files lie in a bucket: every write conditional, every read through S3."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.layout import artifact_path
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.r2_server import R2Server, need_r2
from tests.simulators.s3_server import ACCESS_KEY, SECRET_KEY, s3_server
from tests.simulators.server_process import ServerProcess

BUCKET = "releases"


@contextmanager
def moto(_: Path) -> Iterator[str]:
    with s3_server() as endpoint:
        client = boto3.session.Session(
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name="us-east-1"
        ).client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield endpoint


@contextmanager
def r2(folder: Path) -> Iterator[str]:
    need_r2()
    with R2Server(folder / "r2", BUCKET) as running:
        yield running.endpoint


@pytest.fixture(params=[moto, r2])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    with request.param(tmp_path) as endpoint:
        environ = {
            "LOCKGATE_STORAGE": f"s3://{BUCKET}/some/prefix?endpoint={endpoint}&style=path",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }
        with ServerProcess(tmp_path / "data", **environ) as running:
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
