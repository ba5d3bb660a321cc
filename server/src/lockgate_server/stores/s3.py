"""An object store in S3, R2, or anything that speaks their language.

1. Exclusion comes from the store's own conditional writes: `If-None-Match: *` and `If-Match`. A
   store that says it has none is refused; one that ignores them must not be used.
2. A conditional write is sent once. Sent again by the SDK after an answer that got lost, it would
   meet its own bytes and turn a win into a loss. Who gets a `TransportError` reads back. What the
   store refused as too often was not done, and is sent again.
3. What does not fit into one part goes up in parts, of which one at a time is in memory. Nothing
   is visible before the last request, which carries the condition. Where the store knows no
   condition there, the absence that was checked before counts; such objects are
   content-addressed, so who comes second writes equal bytes. The same holds for a copy.
4. No `Expect: 100-continue`: a store that never answers it costs a second a write, and a body
   that will be refused is rare. Checksums are sent only where S3 demands them, because others
   do not know the trailers they come in.
5. Parts of an upload that was killed stay in the bucket, seen by nobody, until the worker's job
   gives them up; for a store that cannot list them, a lifecycle rule does.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

import boto3
from botocore.exceptions import ClientError

from lockgate_release.errors import TransportError, UsageError
from lockgate_server.ports import (
    MAX_REPLACED_BYTES,
    Always,
    Condition,
    Etag,
    IfAbsent,
    IfMatch,
    LostRaceError,
    ObjectInfo,
)
from lockgate_server.stores.keys import check_key, check_prefix, check_range, clip_range
from lockgate_server.stores.s3_address import S3Address
from lockgate_server.stores.s3_client import Bucket, S3Limits, parse_etag, quote_etag
from lockgate_server.stores.s3_copies import Copy
from lockgate_server.stores.s3_errors import (
    UnsupportedError,
    answer_code,
    answer_status,
    s3_errors,
)
from lockgate_server.stores.s3_parts import PartsUpload
from lockgate_server.stores.streams import check_replaced_size, read_piece

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3.type_defs import (
        GetObjectOutputTypeDef,
        HeadObjectOutputTypeDef,
        ObjectTypeDef,
        PutObjectRequestTypeDef,
    )

__all__ = ["S3Store"]

_MAX_PARTS = 10_000


class _Body:
    """An object, or a range of it, on its way from the store."""

    def __init__(self, info: ObjectInfo, body: StreamingBody | io.BytesIO) -> None:
        self.info = info
        self._body = body

    def read(self) -> bytes:
        with s3_errors(self.info.key):
            return self._body.read()

    def chunks(self, size_bytes: int = 1 << 18) -> Iterator[bytes]:
        while True:
            with s3_errors(self.info.key):
                chunk = self._body.read(size_bytes)
            if not chunk:
                return
            yield chunk

    def local_file(self) -> BinaryIO | None:
        return None

    def __enter__(self) -> _Body:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._body.close()


class S3Store:
    """An `ObjectStore` in a bucket, shared by any number of threads and processes."""

    def __init__(
        self,
        address: S3Address,
        *,
        limits: S3Limits | None = None,
        session: boto3.session.Session | None = None,
    ) -> None:
        """Prepare to use a bucket; nothing is asked of it yet.

        Args:
            address: Where it is.
            limits: Time-outs and sizes.
            session: Where credentials come from; by default from where boto3 finds them in the
                environment.

        Raises:
            LocalError: What the environment says about credentials or profiles is wrong.
        """
        self._limits = limits or S3Limits()
        self._bucket = Bucket(address, self._limits, session)

    @property
    def bucket(self) -> Bucket:
        """The bucket, for what else is done with it."""
        return self._bucket

    def close(self) -> None:
        """Let go of the connections."""
        self._bucket.close()

    def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object, or None where nothing is.

        Raises:
            TransportError: The store did not answer.
            LocalError: The store refuses.
        """
        check_key(key)
        answer = self._head(key)
        return None if answer is None else _info(key, answer, answer["ContentLength"])

    def _head(self, key: str) -> HeadObjectOutputTypeDef | None:
        with s3_errors(key):
            try:
                return self._bucket.repeating.head_object(
                    Bucket=self._bucket.name, Key=self._bucket.prefix + key
                )
            except ClientError as exc:
                if answer_status(exc) != 404:
                    raise
        self._bucket.check_is_there()
        return None

    def open(self, key: str, *, start: int = 0, stop: int | None = None) -> _Body | None:
        """Open an object, or the range `[start, stop)` of it; None where nothing is.

        Raises:
            UsageError: `start` is not 0 and lies at or beyond the end.
            TransportError: The store did not answer.
            LocalError: The store refuses.
        """
        check_key(key)
        check_range(start, stop)
        whole = start == 0 and stop is None
        wanted = "" if whole else f"bytes={start}-{'' if stop is None else stop - 1}"
        try:
            answer = self._get(key, wanted)
        except _BeyondTheEndError:
            return self._open_end(key, start, stop)
        if answer is None:
            return None
        if whole:
            return _Body(_info(key, answer, answer["ContentLength"]), answer["Body"])
        total = answer.get("ContentRange", "").rpartition("/")[2]
        if not total.isdecimal():
            answer["Body"].close()
            raise TransportError("the object store ignored the range", subject=key, found=wanted)
        return _Body(_info(key, answer, int(total)), answer["Body"])

    def _get(self, key: str, wanted: str) -> GetObjectOutputTypeDef | None:
        name = self._bucket.prefix + key
        client = self._bucket.repeating
        with s3_errors(key):
            try:
                if wanted:
                    return client.get_object(Bucket=self._bucket.name, Key=name, Range=wanted)
                return client.get_object(Bucket=self._bucket.name, Key=name)
            except ClientError as exc:
                if answer_status(exc) == 416:
                    raise _BeyondTheEndError from exc
                if answer_status(exc) == 404 and answer_code(exc) != "NoSuchBucket":
                    return None
                raise

    def _open_end(self, key: str, start: int, stop: int | None) -> _Body | None:
        # Every range of an empty object is beyond its end for S3; from 0 on it is just empty.
        info = self.head(key)
        if info is None:
            return None
        clip_range(key, start, stop, info.size_bytes)
        if info.size_bytes == 0:
            return _Body(info, io.BytesIO())
        raise TransportError("it was written meanwhile", subject=key, hint="Read it again.")

    def put(
        self,
        key: str,
        body: bytes | BinaryIO,
        condition: Condition,
        *,
        content_type: str = "application/octet-stream",
        cache_control: str = "no-cache",
    ) -> Etag:
        """Write an object and return its etag.

        Raises:
            LostRaceError: The condition does not hold. Nothing was written.
            TransportError: The store did not answer; the write may or may not have happened.
            LocalError: The store refuses.
        """
        check_key(key)
        headers = (content_type, cache_control)
        if isinstance(body, bytes):
            return self._put_at_once(key, body, condition, *headers)
        if isinstance(condition, IfMatch):
            pointer = read_piece(body, MAX_REPLACED_BYTES + 1)
            return self._put_at_once(key, pointer, condition, *headers)
        first = read_piece(body, self._limits.part_bytes)
        if len(first) < self._limits.part_bytes:
            return self._put_at_once(key, first, condition, *headers)
        if isinstance(condition, IfAbsent) and self._head(key) is not None:
            raise _lost(key)
        with PartsUpload(self._bucket, key, *headers) as upload:
            self._send_parts(upload, first, body)
            return upload.complete(condition)

    def _send_parts(self, upload: PartsUpload, first: bytes, rest: BinaryIO) -> None:
        piece = first
        for _ in range(_MAX_PARTS):
            upload.add(piece)
            piece = read_piece(rest, self._limits.part_bytes)
            if not piece:
                return
        raise UsageError(
            "too large for the object store",
            expected=f"at most {_MAX_PARTS * self._limits.part_bytes} bytes",
        )

    def _put_at_once(
        self, key: str, data: bytes, condition: Condition, content_type: str, cache_control: str
    ) -> Etag:
        check_replaced_size(len(data), condition)
        request: PutObjectRequestTypeDef = {
            "Bucket": self._bucket.name,
            "Key": self._bucket.prefix + key,
            "Body": data,
            "ContentType": content_type,
            "CacheControl": cache_control,
        }
        client = self._bucket.once
        match condition:
            case IfAbsent():
                request["IfNoneMatch"] = "*"
            case IfMatch(etag):
                request["IfMatch"] = quote_etag(etag)
            case Always():
                client = self._bucket.repeating
        with s3_errors(key, conditional=not isinstance(condition, Always)):
            return parse_etag(client.put_object(**request)["ETag"])

    def copy(
        self, source: str, target: str, condition: IfAbsent, *, source_etag: Etag | None = None
    ) -> Etag:
        """Copy an object to where nothing is; its bytes do not pass through here.

        Raises:
            LostRaceError: Something is at `target` already, or another state at `source`.
            UsageError: Nothing is at `source`.
            TransportError: The store did not answer; the copy may be there or not.
            LocalError: The store refuses.
        """
        check_key(source)
        check_key(target)
        answer = self._head(source)
        if answer is None:
            raise UsageError("nothing to copy", subject=source)
        etag = parse_etag(answer["ETag"])
        if source_etag is not None and etag != source_etag:
            raise _lost(source)
        # Checked first because not every store heeds the condition of a copy.
        if self._head(target) is not None:
            raise _lost(target)
        copy = Copy(self._bucket, source, etag, target)
        if answer["ContentLength"] > self._limits.copy_bytes:
            return copy.in_parts(answer, self._limits.copy_bytes, condition)
        with suppress(UnsupportedError):
            return copy.at_once(create_only=True)
        return copy.at_once(create_only=False)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key begins with `prefix`, in the order of their keys.

        Objects of others, whose names are no keys, are passed over.

        Raises:
            TransportError: The store did not answer.
            LocalError: The store refuses.
        """
        check_prefix(prefix)
        return self._list(prefix)

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        pages = iter(
            self._bucket.repeating.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket.name,
                Prefix=self._bucket.prefix + prefix,
                PaginationConfig={"PageSize": self._limits.listed_keys},
            )
        )
        while True:
            with s3_errors(prefix):
                page = next(pages, None)
            if page is None:
                return
            for found in page.get("Contents", []):
                info = _listed(found["Key"].removeprefix(self._bucket.prefix), found)
                if info is not None:
                    yield info

    def delete(self, key: str) -> None:
        """Remove an object; that there is none is no error.

        Raises:
            TransportError: The store did not answer.
            LocalError: The store refuses.
        """
        check_key(key)
        with s3_errors(key):
            self._bucket.repeating.delete_object(
                Bucket=self._bucket.name, Key=self._bucket.prefix + key
            )


class _BeyondTheEndError(Exception):
    """The store has nothing in this range."""


def _lost(key: str) -> LostRaceError:
    return LostRaceError(
        "somebody else wrote it first", subject=key, hint="Read it again and decide again."
    )


def _info(
    key: str, answer: HeadObjectOutputTypeDef | GetObjectOutputTypeDef, size_bytes: int
) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size_bytes=size_bytes,
        etag=parse_etag(answer["ETag"]),
        modified_at=_utc(answer["LastModified"]),
    )


def _listed(key: str, found: ObjectTypeDef) -> ObjectInfo | None:
    try:
        check_key(key)
    except ValueError:
        return None
    return ObjectInfo(
        key=key,
        size_bytes=found["Size"],
        etag=parse_etag(found["ETag"]),
        modified_at=_utc(found["LastModified"]),
    )


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)
