"""Every adapter of a port, and every simulator that stands in for one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest

from lockgate_server.ports import ObjectStore
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.s3 import S3Store
from lockgate_server.stores.s3_address import S3Address, Style
from lockgate_server.stores.s3_client import S3Limits
from tests.simulators.faulty_store import FaultyStore
from tests.simulators.memory_store import MemoryStore
from tests.simulators.s3_server import ACCESS_KEY, SECRET_KEY, s3_server

LEAST_PART_BYTES = 5 << 20
"""The smallest part S3 takes, so that a test of parts stays small."""

BUCKET = "releases"

PREFIX = "some/prefix/"

OpenS3 = Callable[[str, S3Limits], S3Store]


@pytest.fixture(scope="session")
def s3_session() -> boto3.session.Session:
    """Setting up boto3 takes a while, so that is done once."""
    return boto3.session.Session(
        aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name="us-east-1"
    )


@pytest.fixture(scope="session")
def s3_endpoint(s3_session: boto3.session.Session) -> Iterator[str]:
    with s3_server() as endpoint:
        client = s3_session.client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield endpoint


@pytest.fixture(scope="session")
def open_s3(s3_endpoint: str, s3_session: boto3.session.Session) -> Iterator[OpenS3]:
    """Opens a store in a bucket, with the limits a test wants."""
    with ExitStack() as opened:

        def open_s3(bucket: str, limits: S3Limits) -> S3Store:
            address = S3Address(
                bucket=bucket, prefix=PREFIX, endpoint=s3_endpoint, style=Style.PATH
            )
            store = S3Store(address, limits=limits, session=s3_session)
            opened.callback(store.close)
            return store

        yield open_s3


@pytest.fixture(scope="session")
def one_s3_store(open_s3: OpenS3) -> S3Store:
    return open_s3(BUCKET, S3Limits(part_bytes=LEAST_PART_BYTES))


@pytest.fixture
def s3_store(one_s3_store: S3Store) -> Iterator[S3Store]:
    """A store in a bucket, empty."""
    yield one_s3_store
    for info in list(one_s3_store.list("")):
        one_s3_store.delete(info.key)


@pytest.fixture
def s3_client(one_s3_store: S3Store) -> Any:
    """The bucket, to look at what the store has done."""
    return one_s3_store._bucket.repeating


STORES: dict[str, Callable[[Path], ObjectStore]] = {
    "directory": lambda folder: DirectoryStore(folder / "store"),
    "memory": lambda _: MemoryStore(),
    "faulty": lambda _: FaultyStore(MemoryStore()),
}


@pytest.fixture(params=[*STORES, "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    if request.param == "s3":
        # It needs a server, which only the tests of this adapter start.
        yield request.getfixturevalue("s3_store")
    else:
        made = STORES[request.param](tmp_path)
        yield made
        made.close()
