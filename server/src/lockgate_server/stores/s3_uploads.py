"""Uploads that clients send straight to a bucket: multipart uploads with presigned addresses.

1. An address is good for one part of one multipart upload to one key, and for the size that was
   said: its Content-Length is signed. It dies with the multipart upload, at the latest when the
   parts become an object; so no address can change an object.
2. Completing is asked for once: sent again by the SDK it would meet its own success. Who gets a
   `TransportError` looks whether the object is there.
3. Whether the store can list parts and uploads is found out by asking; the R2 emulator cannot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lockgate_release.uploads import ArrivedPart
from lockgate_server.ports.uploads import (
    PartsRefusedError,
    StoreUploadId,
    UnfinishedUpload,
    UploadGoneError,
)
from lockgate_server.stores.keys import check_key, check_prefix
from lockgate_server.stores.s3_client import Bucket, parse_etag, quote_etag
from lockgate_server.stores.s3_errors import UnsupportedError, answer_code, s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

__all__ = ["S3Uploads"]

_GONE = "NoSuchUpload"
_REFUSED = frozenset({"InvalidPart", "InvalidPartOrder", "EntityTooSmall"})


class S3Uploads:
    """`DirectUploads` to a bucket, shared by any number of threads."""

    def __init__(self, bucket: Bucket) -> None:
        """Use a bucket that somebody else closes."""
        self._bucket = bucket

    def begin(self, key: str, *, content_type: str, cache_control: str) -> StoreUploadId:
        """Begin an upload to a key and return what the store calls it.

        Raises:
            TransportError: The store did not answer.
            LocalError: The store refuses.
        """
        check_key(key)
        with s3_errors(key):
            answer = self._bucket.repeating.create_multipart_upload(
                Bucket=self._bucket.name,
                Key=self._bucket.prefix + key,
                ContentType=content_type,
                CacheControl=cache_control,
            )
        return StoreUploadId(answer["UploadId"])

    def part_url(
        self, key: str, store_id: StoreUploadId, number: int, size_bytes: int, *, expires_s: int
    ) -> str:
        """Return an address that takes one part; nothing is asked of the store for it.

        Raises:
            LocalError: There are no credentials.
        """
        check_key(key)
        with s3_errors(key):
            return self._bucket.repeating.generate_presigned_url(
                "upload_part",
                Params={
                    "Bucket": self._bucket.name,
                    "Key": self._bucket.prefix + key,
                    "UploadId": store_id,
                    "PartNumber": number,
                    "ContentLength": size_bytes,
                },
                ExpiresIn=expires_s,
            )

    def parts(self, key: str, store_id: StoreUploadId) -> tuple[ArrivedPart, ...]:
        """Return what has arrived; nothing where the store cannot tell.

        Raises:
            UploadGoneError: There is no such upload.
            TransportError: The store did not answer.
            LocalError: The store refuses.
        """
        check_key(key)
        with suppress(UnsupportedError), s3_errors(key), _gone(key):
            return tuple(self._list_parts(key, store_id))
        return ()

    def _list_parts(self, key: str, store_id: StoreUploadId) -> Iterator[ArrivedPart]:
        pages = self._bucket.repeating.get_paginator("list_parts").paginate(
            Bucket=self._bucket.name, Key=self._bucket.prefix + key, UploadId=store_id
        )
        for page in pages:
            for part in page.get("Parts", []):
                yield ArrivedPart(
                    number=part["PartNumber"],
                    size_bytes=part["Size"],
                    etag=parse_etag(part["ETag"]),
                )

    def complete(self, key: str, store_id: StoreUploadId, etags: Mapping[int, str]) -> None:
        """Make the parts the object at the key.

        Raises:
            UploadGoneError: There is no such upload: completed already, or given up.
            PartsRefusedError: These are not the parts that have arrived.
            TransportError: The store did not answer; the object may be there or not.
            LocalError: The store refuses.
        """
        check_key(key)
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": quote_etag(parse_etag(etag))}
            for number, etag in sorted(etags.items())
        ]
        with s3_errors(key), _gone(key), _refused(key):
            self._bucket.once.complete_multipart_upload(
                Bucket=self._bucket.name,
                Key=self._bucket.prefix + key,
                UploadId=store_id,
                MultipartUpload={"Parts": parts},
            )

    def abort(self, key: str, store_id: StoreUploadId) -> None:
        """Give an upload up; that there is none is no error.

        Raises:
            TransportError: The store did not answer.
            LocalError: The store refuses.
        """
        check_key(key)
        with suppress(UploadGoneError), s3_errors(key), _gone(key):
            self._bucket.repeating.abort_multipart_upload(
                Bucket=self._bucket.name, Key=self._bucket.prefix + key, UploadId=store_id
            )

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Yield the uploads to keys that begin with `prefix`; none where the store cannot tell.

        Raises:
            TransportError: The store did not answer.
            LocalError: The store refuses.
        """
        check_prefix(prefix)
        with suppress(UnsupportedError), s3_errors(prefix):
            yield from self._list_unfinished(prefix)

    def _list_unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        pages = self._bucket.repeating.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._bucket.name, Prefix=self._bucket.prefix + prefix
        )
        for page in pages:
            for found in page.get("Uploads", []):
                yield UnfinishedUpload(
                    key=found["Key"].removeprefix(self._bucket.prefix),
                    store_id=StoreUploadId(found["UploadId"]),
                    begun_at=found["Initiated"].astimezone(UTC),
                )


@contextmanager
def _gone(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        if answer_code(exc) == _GONE:
            raise UploadGoneError("no such upload in the store", subject=key) from exc
        raise


@contextmanager
def _refused(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        if answer_code(exc) in _REFUSED:
            raise PartsRefusedError(
                "the store does not have these parts",
                subject=key,
                found=answer_code(exc),
                hint="Ask what has arrived, send the rest again, and finish again.",
            ) from exc
        raise
