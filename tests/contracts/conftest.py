"""Every adapter of a port, and every simulator that stands in for one."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from lockgate_server.ports import ObjectStore
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.s3 import S3Store
from lockgate_server.stores.s3_address import S3Address, Style
from lockgate_server.stores.s3_client import S3Limits
from lockgate_server.stores.s3_uploads import S3Uploads
from tests.simulators.certificates import make_certificates
from tests.simulators.faulty_store import FaultyStore
from tests.simulators.memory_store import MemoryStore
from tests.simulators.r2_server import R2Server, need_r2
from tests.simulators.s3_server import ACCESS_KEY, SECRET_KEY, s3_server
from tests.simulators.server_scene import Scene

LEAST_PART_BYTES = 5 << 20
"""The smallest part S3 takes, so that a test of parts stays small."""

BUCKET = "releases"

PREFIX = "some/prefix/"

OWN_SERVICE = os.environ.get("LOCKGATE_TEST_S3", "")
"""The address of a bucket of yours, on which the same tests run too; see the how-to on buckets."""

OpenS3 = Callable[[str, S3Limits], S3Store]


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service that speaks S3, and how a bucket of it is opened."""

    address: S3Address
    session: boto3.session.Session
    authority: Path | None = None

    def apart(self) -> "Service":
        """The same below a prefix of its own, where no other test has left anything."""
        prefix = f"{self.address.prefix}{secrets.token_hex(4)}/"
        return replace(self, address=replace(self.address, prefix=prefix))

    def open(self, bucket: str, limits: S3Limits) -> S3Store:
        """Open a store in a bucket."""
        with pytest.MonkeyPatch.context() as patch:
            if self.authority:
                patch.setenv("AWS_CA_BUNDLE", str(self.authority))
            address = replace(self.address, bucket=bucket)
            return S3Store(address, limits=limits, session=self.session)


@pytest.fixture(scope="session")
def s3_session() -> boto3.session.Session:
    """Setting up boto3 takes a while, so that is done once."""
    return boto3.session.Session(
        aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name="us-east-1"
    )


@pytest.fixture(scope="session")
def moto(s3_session: boto3.session.Session) -> Iterator[Service]:
    with s3_server() as endpoint:
        client = s3_session.client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield Service(address=_address(endpoint), session=s3_session)


@pytest.fixture(scope="session")
def r2(
    s3_session: boto3.session.Session, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    need_r2()
    with R2Server(tmp_path_factory.mktemp("r2"), BUCKET) as server:
        yield Service(address=_address(server.endpoint, region="auto"), session=s3_session)


@pytest.fixture(scope="session")
def r2_tls(
    s3_session: boto3.session.Session, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    need_r2()
    folder = tmp_path_factory.mktemp("r2-tls")
    certificates = make_certificates(folder)
    with R2Server(folder / "r2", BUCKET, certificates=certificates) as server:
        address = _address(server.endpoint, region="auto")
        yield Service(address=address, session=s3_session, authority=certificates.authority)


@pytest.fixture(scope="session")
def own() -> Service:
    """A service of whoever runs the tests; below its prefix, everything is theirs to delete."""
    address = S3Address.parse(OWN_SERVICE)
    run = f"{address.prefix}lockgate-test-{secrets.token_hex(4)}/"
    return Service(address=replace(address, prefix=run), session=boto3.session.Session())


def _address(endpoint: str, region: str | None = None) -> S3Address:
    return S3Address(
        bucket=BUCKET, prefix=PREFIX, endpoint=endpoint, region=region, style=Style.PATH
    )


@pytest.fixture(scope="session")
def open_s3(moto: Service) -> Iterator[OpenS3]:
    """Opens a store in a bucket, with the limits a test wants."""
    with ExitStack() as opened:

        def open_s3(bucket: str, limits: S3Limits) -> S3Store:
            store = moto.open(bucket, limits)
            opened.callback(store.close)
            return store

        yield open_s3


@contextmanager
def emptied(store: S3Store) -> Iterator[S3Store]:
    """The store, whose bucket is emptied at the end."""
    try:
        yield store
    finally:
        for info in list(store.list("")):
            store.delete(info.key)


@pytest.fixture(scope="session")
def one_s3_store(open_s3: OpenS3) -> S3Store:
    return open_s3(BUCKET, S3Limits(part_bytes=LEAST_PART_BYTES))


@pytest.fixture
def s3_store(one_s3_store: S3Store) -> Iterator[S3Store]:
    """A store in a bucket, empty."""
    with emptied(one_s3_store) as store:
        yield store


@pytest.fixture(scope="session")
def one_r2_store(r2: Service) -> Iterator[S3Store]:
    with closing(r2.open(BUCKET, S3Limits(part_bytes=LEAST_PART_BYTES))) as store:
        yield store


@pytest.fixture
def r2_store(one_r2_store: S3Store) -> Iterator[S3Store]:
    """A store in a bucket of the R2 emulator, empty."""
    with emptied(one_r2_store) as store:
        yield store


@pytest.fixture(scope="session")
def one_r2_tls_store(r2_tls: Service) -> Iterator[S3Store]:
    with closing(r2_tls.open(BUCKET, S3Limits(part_bytes=LEAST_PART_BYTES))) as store:
        yield store


@pytest.fixture
def r2_tls_store(one_r2_tls_store: S3Store) -> Iterator[S3Store]:
    """The same over TLS, where boto3 has another way to send bodies."""
    with emptied(one_r2_tls_store) as store:
        yield store


@pytest.fixture(scope="session")
def one_own_store(own: Service) -> Iterator[S3Store]:
    limits = S3Limits(part_bytes=LEAST_PART_BYTES)
    with closing(own.open(own.address.bucket, limits)) as store:
        yield store


@pytest.fixture
def own_store(one_own_store: S3Store) -> Iterator[S3Store]:
    """A store in a bucket of whoever runs the tests, empty."""
    with emptied(one_own_store) as store:
        yield store


@pytest.fixture
def s3_client(one_s3_store: S3Store) -> Any:
    """The bucket, to look at what the store has done."""
    return one_s3_store._bucket.repeating


STORES: dict[str, Callable[[Path], ObjectStore]] = {
    "directory": lambda folder: DirectoryStore(folder / "store"),
    "memory": lambda _: MemoryStore(),
    "faulty": lambda _: FaultyStore(MemoryStore()),
}

SERVICES = ["s3", "r2", "r2_tls", *(["own"] if OWN_SERVICE else [])]


@pytest.fixture(params=[*STORES, *SERVICES])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    if request.param in SERVICES:
        # It needs a server, which only the tests of this adapter start.
        yield request.getfixturevalue(f"{request.param}_store")
    else:
        made = STORES[request.param](tmp_path)
        yield made
        made.close()


@pytest.fixture(params=["moto", "r2"])
def service(request: pytest.FixtureRequest) -> Service:
    """Each service that clients can send to by themselves."""
    found: Service = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def scene(tmp_path: Path, service: Service) -> Iterator[Scene]:
    """A server on a bucket, whose clients send straight to it."""
    yield from _scene(tmp_path, service)


@pytest.fixture
def r2_scene(tmp_path: Path, r2: Service) -> Iterator[Scene]:
    """The same on the emulator alone: moto checks neither signatures nor time."""
    yield from _scene(tmp_path, r2)


def _scene(folder: Path, service: Service) -> Iterator[Scene]:
    with closing(service.apart().open(BUCKET, S3Limits())) as store, emptied(store):
        scene = Scene(folder=folder, store=store, uploads=S3Uploads(store.bucket))
        scene.register()
        yield scene
