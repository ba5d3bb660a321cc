"""An empty bucket on any of the services of the tests, and the environment that leads to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tests.simulators.certificates import Certificates
from tests.simulators.r2_server import R2Server, need_r2
from tests.simulators.s3_server import ACCESS_KEY, SECRET_KEY, s3_server

__all__ = ["BUCKET", "PREFIX", "BucketAt", "moto_bucket", "r2_bucket"]

BUCKET = "releases"
PREFIX = "some/prefix/"


@dataclass(frozen=True)
class BucketAt:
    """A bucket at an endpoint."""

    endpoint: str
    authority: Path | None = None
    """The file of the one who vouches for it, over TLS."""

    @property
    def address(self) -> str:
        """As `--storage` takes it."""
        return f"s3://{BUCKET}/{PREFIX}?endpoint={self.endpoint}&region=auto&style=path"

    @property
    def environ(self) -> dict[str, str]:
        """What a command needs to use it."""
        trusted = {"AWS_CA_BUNDLE": str(self.authority)} if self.authority else {}
        return {
            "LOCKGATE_STORAGE": self.address,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            **trusted,
        }

    @property
    def _verify(self) -> str | None:
        return str(self.authority) if self.authority else None

    @contextmanager
    def client(self) -> Iterator[Any]:
        """A client of its own, to look at what others have done."""
        session = boto3.session.Session(
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name="us-east-1"
        )
        client = session.client("s3", endpoint_url=self.endpoint, verify=self._verify)
        try:
            yield client
        finally:
            client.close()

    def keys(self) -> list[str]:
        """Every key in the bucket, prefix and all."""
        with self.client() as client:
            answer = client.list_objects_v2(Bucket=BUCKET)
        return [found["Key"] for found in answer.get("Contents", [])]


@contextmanager
def moto_bucket(weakness: str = "") -> Iterator[BucketAt]:
    """A bucket of moto's, which may have a weakness."""
    with s3_server(weakness) as endpoint:
        bucket = BucketAt(endpoint)
        with bucket.client() as client:
            client.create_bucket(Bucket=BUCKET)
        yield bucket


@contextmanager
def r2_bucket(folder: Path, certificates: Certificates | None = None) -> Iterator[BucketAt]:
    """A bucket of the R2 emulator, kept in a folder, over TLS where there are certificates."""
    need_r2()
    with R2Server(folder, BUCKET, certificates=certificates) as running:
        yield BucketAt(running.endpoint, certificates.authority if certificates else None)
