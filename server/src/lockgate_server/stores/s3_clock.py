"""What a bucket's own clock says, to hold this machine's against."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

from lockgate_server.stores.s3_client import Bucket
from lockgate_server.stores.s3_errors import s3_errors

__all__ = ["read_clock"]


def read_clock(bucket: Bucket) -> datetime | None:
    """Return the moment that stands in an answer of the store, or None where none does.

    Raises:
        TransportError: The store does not answer.
        LocalError: The store refuses.
    """
    with s3_errors(f"s3://{bucket.name}"):
        answer = bucket.repeating.list_objects_v2(
            Bucket=bucket.name, Prefix=bucket.prefix, MaxKeys=1
        )
    said = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
