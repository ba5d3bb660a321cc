"""An upload in parts: seen by nobody before its last request."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from lockgate_release.errors import LockgateError
from lockgate_server.ports import Condition, Etag, IfAbsent
from lockgate_server.stores.s3_client import Bucket, parse_etag, quote_etag
from lockgate_server.stores.s3_errors import UnsupportedError, s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import (
        CompletedPartTypeDef,
        CompleteMultipartUploadRequestTypeDef,
        UploadPartCopyRequestTypeDef,
    )

__all__ = ["PartsUpload"]


class PartsUpload:
    """One upload; given up at the end of a `with` block that did not complete it."""

    def __init__(self, bucket: Bucket, key: str, content_type: str, cache_control: str) -> None:
        """Begin an upload.

        Raises:
            TransportError: The store did not answer.
            LocalError: The store refuses.
        """
        self._bucket = bucket
        self._key = key
        self._parts: list[CompletedPartTypeDef] = []
        with s3_errors(key):
            self._id = bucket.repeating.create_multipart_upload(
                Bucket=bucket.name,
                Key=bucket.prefix + key,
                ContentType=content_type,
                CacheControl=cache_control,
            )["UploadId"]

    def __enter__(self) -> PartsUpload:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            # What cannot be given up now is left to the bucket's lifecycle rule.
            with suppress(LockgateError), s3_errors(self._key):
                self._bucket.repeating.abort_multipart_upload(
                    Bucket=self._bucket.name, Key=self._bucket.prefix + self._key, UploadId=self._id
                )

    def add(self, piece: bytes) -> None:
        """Send the next part.

        Raises:
            TransportError: The store did not answer.
            LocalError: The store refuses.
        """
        number = len(self._parts) + 1
        with s3_errors(self._key):
            answer = self._bucket.repeating.upload_part(
                Bucket=self._bucket.name,
                Key=self._bucket.prefix + self._key,
                UploadId=self._id,
                PartNumber=number,
                Body=piece,
            )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    def add_copy(self, source: str, source_etag: Etag | None, start: int, stop: int) -> None:
        """Let the store take the next part from the range `[start, stop)` of another object.

        Raises:
            LostRaceError: That object is in another state than `source_etag`.
            UnsupportedError: The store cannot hold to a state here.
            TransportError: The store did not answer.
            LocalError: The store refuses.
        """
        number = len(self._parts) + 1
        request: UploadPartCopyRequestTypeDef = {
            "Bucket": self._bucket.name,
            "Key": self._bucket.prefix + self._key,
            "UploadId": self._id,
            "PartNumber": number,
            "CopySource": {"Bucket": self._bucket.name, "Key": self._bucket.prefix + source},
            "CopySourceRange": f"bytes={start}-{stop - 1}",
        }
        if source_etag is not None:
            request["CopySourceIfMatch"] = quote_etag(source_etag)
        with s3_errors(self._key, conditional=source_etag is not None):
            answer = self._bucket.repeating.upload_part_copy(**request)
        self._parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})

    def complete(self, condition: Condition) -> Etag:
        """Make the parts an object.

        A store that says it knows no conditions here is asked without one.

        Raises:
            LostRaceError: Something is there already.
            TransportError: The store did not answer; the object may be there or not.
            LocalError: The store refuses.
        """
        if isinstance(condition, IfAbsent):
            with suppress(UnsupportedError):
                return self._complete(create_only=True)
        return self._complete(create_only=False)

    def _complete(self, *, create_only: bool) -> Etag:
        request: CompleteMultipartUploadRequestTypeDef = {
            "Bucket": self._bucket.name,
            "Key": self._bucket.prefix + self._key,
            "UploadId": self._id,
            "MultipartUpload": {"Parts": self._parts},
        }
        if create_only:
            request["IfNoneMatch"] = "*"
        with s3_errors(self._key, conditional=create_only):
            return parse_etag(self._bucket.once.complete_multipart_upload(**request)["ETag"])
