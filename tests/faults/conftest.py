"""A service that speaks S3, with the bucket that all of this is about."""

from collections.abc import Iterator

import pytest

from tests.faults.bench import BUCKET, session
from tests.simulators.s3_server import s3_server


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with s3_server() as endpoint:
        client = session().client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield endpoint
