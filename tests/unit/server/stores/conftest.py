"""A bucket whose answers a test writes."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest

from lockgate_server.stores.s3 import S3Store
from lockgate_server.stores.s3_address import S3Address, Style
from lockgate_server.stores.s3_client import S3Limits
from tests.simulators.scripted_s3 import LIMITS, Answering, StoreAt, find_credentials_in
from tests.simulators.scripted_server import Answer, ScriptedServer, scripted_server


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> boto3.session.Session:
    """Setting up boto3 takes a while, so that is done once."""
    with pytest.MonkeyPatch.context() as patch:
        find_credentials_in(patch, tmp_path_factory.mktemp("aws"), "test")
        session = boto3.session.Session()
        session.client("s3", region_name="auto").close()
    return session


@pytest.fixture
def store_at(session: boto3.session.Session) -> StoreAt:
    @contextmanager
    def store_at(endpoint: str, limits: S3Limits = LIMITS) -> Iterator[S3Store]:
        address = S3Address(bucket="releases", endpoint=endpoint, style=Style.PATH)
        store = S3Store(address, limits=limits, session=session)
        try:
            yield store
        finally:
            store.close()

    return store_at


@pytest.fixture
def answering(store_at: StoreAt) -> Answering:
    @contextmanager
    def answering(
        *answers: Answer, limits: S3Limits = LIMITS
    ) -> Iterator[tuple[S3Store, ScriptedServer]]:
        with scripted_server(*answers) as server, store_at(server.url, limits) as store:
            yield store, server

    return answering
