"""How boto3 is set up, and what a condition looks like to it.

1. What depends on a condition is sent once, but for one case: a store that says "too often" has
   done nothing, so it is sent again after a while. R2 takes one write a second to one name.
2. R2 heeds a copy's condition under a name of its own, which other stores do not know and ignore.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.handlers import add_expect_header

from lockgate_server.ports import Etag
from lockgate_server.stores.s3_address import S3Address
from lockgate_server.stores.s3_errors import s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["Bucket", "S3Limits", "parse_etag", "quote_etag"]


_TOO_OFTEN_ATTEMPTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Limits:
    """How long to wait, how often to try, and how much to move at once.

    Attributes:
        connect_timeout_s: For a connection, in seconds.
        read_timeout_s: For the next bytes of an answer, in seconds.
        attempts: How often a request that may be repeated is sent at most.
        too_often_wait_s: About how long to wait, in seconds, when the store says for the first time
            that it was asked too often; it grows from time to time.
        part_bytes: Size of a part of a large object. S3 takes at least 5 MiB and 10,000 parts,
            and R2 demands that all but the last are of one size.
        copy_bytes: Size of the largest object that the store copies in one request, which must be
            done in `read_timeout_s`. S3 allows at most 5 GiB.
        listed_keys: How many keys are asked for at once; S3 gives at most 1,000.
    """

    connect_timeout_s: float = 5.0
    read_timeout_s: float = 60.0
    attempts: int = 3
    too_often_wait_s: float = 0.5
    part_bytes: int = 16 << 20
    copy_bytes: int = 1 << 29
    listed_keys: int = 1000


class Bucket:
    """A bucket, and two clients for it.

    Attributes:
        name: The bucket's name.
        prefix: What stands before every key.
        repeating: Sends again what failed in passing: for what may happen twice.
        once: Sends everything once, unless the store says that it was too often. Its copies are
            made only where nothing is, where the store can do that.
    """

    def __init__(
        self, address: S3Address, limits: S3Limits, session: boto3.session.Session | None
    ) -> None:
        """Prepare the clients; nothing is asked of the store yet.

        Raises:
            LocalError: What the environment says about credentials or profiles is wrong.
        """
        self.name = address.bucket
        self.prefix = address.prefix
        self._is_there = False
        with s3_errors(f"s3://{address.bucket}"):
            session = session or boto3.session.Session()
            self.repeating = _client(session, address, limits, limits.attempts)
            self.once = _client(session, address, limits, 1)
        wait = partial(_wait_when_too_often, limits.too_often_wait_s)
        # The stubs know no event whose handlers answer.
        self.once.meta.events.register("needs-retry.s3", wait)  # type: ignore[arg-type]
        if address.endpoint is not None:
            self.once.meta.events.register("before-call.s3.CopyObject", _copy_to_nothing_only)

    def check_is_there(self) -> None:
        """Return when the bucket exists; asked once, for the answer to a HEAD cannot tell.

        Raises:
            TransportError: The store did not answer.
            LocalError: There is no such bucket, or it may not be listed.
        """
        if not self._is_there:
            with s3_errors(f"s3://{self.name}"):
                self.repeating.list_objects_v2(Bucket=self.name, Prefix=self.prefix, MaxKeys=1)
            self._is_there = True

    def close(self) -> None:
        """Let go of the connections."""
        self.repeating.close()
        self.once.close()


def _client(
    session: boto3.session.Session, address: S3Address, limits: S3Limits, attempts: int
) -> S3Client:
    # Stores of one region, such as R2, call it "auto"; boto3 insists on a name.
    region = address.region or session.region_name or ("auto" if address.endpoint else "us-east-1")
    client: S3Client = session.client(
        "s3",
        endpoint_url=address.endpoint,
        region_name=region,
        config=Config(
            connect_timeout=limits.connect_timeout_s,
            read_timeout=limits.read_timeout_s,
            # Else boto3 presigns in some regions with version 2, which newer buckets and R2 refuse.
            signature_version="s3v4",
            retries={"mode": "standard", "total_max_attempts": attempts},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": address.style.value},
            max_pool_connections=32,
            tcp_keepalive=True,
        ),
    )
    client.meta.events.unregister("before-call.s3", add_expect_header)
    return client


def _copy_to_nothing_only(params: dict[str, Any], **_: object) -> None:
    """Add R2's own condition to a copy."""
    params["headers"]["cf-copy-destination-if-none-match"] = "*"


def _wait_when_too_often(
    wait_s: float, response: tuple[Any, dict[str, Any]] | None, attempts: int, **_: object
) -> float | None:
    """Return after how many seconds to send again what the store says it did not do."""
    if response is None or attempts > _TOO_OFTEN_ATTEMPTS:
        return None
    http, parsed = response
    if http.status_code != 429 and parsed.get("Error", {}).get("Code") != "SlowDown":
        return None
    # The jitter keeps those apart that were refused together; it is no secret.
    return wait_s * attempts * random.uniform(0.5, 1.5)  # noqa: S311


def parse_etag(header: str) -> Etag:
    """Return the etag in a store's header, which may be quoted, and be called weak by a proxy."""
    return Etag(header.removeprefix("W/").strip('"'))


def quote_etag(etag: Etag) -> str:
    """Return an etag as it stands in a header."""
    return f'"{etag}"'
