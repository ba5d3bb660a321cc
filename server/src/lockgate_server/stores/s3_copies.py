"""A copy inside a bucket: of one state of an object, in one request or in parts."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lockgate_release.errors import UsageError
from lockgate_server.ports import Condition, Etag, LostRaceError
from lockgate_server.stores.s3_client import Bucket, parse_etag, quote_etag
from lockgate_server.stores.s3_errors import (
    UnsupportedError,
    answer_code,
    answer_status,
    s3_errors,
)
from lockgate_server.stores.s3_parts import PartsUpload

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CopyObjectRequestTypeDef, HeadObjectOutputTypeDef

__all__ = ["Copy"]


class Copy:
    """A copy of the state of an object that has a certain etag."""

    def __init__(self, bucket: Bucket, source: str, source_etag: Etag, target: str) -> None:
        """Prepare a copy; nothing is asked of the store yet."""
        self._bucket = bucket
        self._source = source
        self._etag = source_etag
        self._target = target

    def at_once(self, *, create_only: bool) -> Etag:
        """Copy in one request.

        Raises:
            LostRaceError: Something is at the target already, or another state at the source.
            UsageError: Nothing is at the source.
            TransportError: The store did not answer; the copy may be there or not.
            LocalError: The store refuses.
        """
        request: CopyObjectRequestTypeDef = {
            "Bucket": self._bucket.name,
            "Key": self._bucket.prefix + self._target,
            "CopySource": {
                "Bucket": self._bucket.name,
                "Key": self._bucket.prefix + self._source,
            },
            "CopySourceIfMatch": quote_etag(self._etag),
        }
        if create_only:
            request["IfNoneMatch"] = "*"
        with s3_errors(self._target, conditional=True):
            try:
                answer = self._bucket.once.copy_object(**request)
            except ClientError as exc:
                if answer_status(exc) == 404 and answer_code(exc) == "NoSuchKey":
                    raise UsageError("gone before it was copied", subject=self._source) from exc
                raise
        return parse_etag(answer["CopyObjectResult"]["ETag"])

    def in_parts(
        self, answer: HeadObjectOutputTypeDef, part_bytes: int, condition: Condition
    ) -> Etag:
        """Copy what is too large for one request.

        Raises:
            LostRaceError: Something is at the target already, or another state at the source.
            TransportError: The store did not answer; the copy may be there or not.
            LocalError: The store refuses.
        """
        with suppress(UnsupportedError):
            return self._in_parts(answer, part_bytes, condition, pinned=True)
        # R2 knows no condition here. Every write gives an object another etag: if it has the
        # same one afterwards, all parts were taken from that state.
        return self._in_parts(answer, part_bytes, condition, pinned=False)

    def _in_parts(
        self,
        answer: HeadObjectOutputTypeDef,
        part_bytes: int,
        condition: Condition,
        *,
        pinned: bool,
    ) -> Etag:
        headers = (answer["ContentType"], answer.get("CacheControl", "no-cache"))
        size_bytes = answer["ContentLength"]
        with PartsUpload(self._bucket, self._target, *headers) as upload:
            for start in range(0, size_bytes, part_bytes):
                stop = min(start + part_bytes, size_bytes)
                upload.add_copy(self._source, self._etag if pinned else None, start, stop)
            if not pinned:
                self._check_source()
            return upload.complete(condition)

    def _check_source(self) -> None:
        with s3_errors(self._source, conditional=True):
            answer = self._bucket.repeating.head_object(
                Bucket=self._bucket.name, Key=self._bucket.prefix + self._source
            )
        if parse_etag(answer["ETag"]) != self._etag:
            raise LostRaceError("written while it was copied", subject=self._source)
