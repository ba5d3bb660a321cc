"""Experiments on a bucket: what is used where it is there, and done without where it is not.

A store that takes a part at an address after its time, or another part than it was signed for, does
not check addresses: set `uploads = "server"` for it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from lockgate_server.ports import LostRaceError
from lockgate_server.stores.probing.findings import Experiment, LackingError, expect
from lockgate_server.stores.s3_client import Bucket, parse_etag
from lockgate_server.stores.s3_errors import answer_code, answer_status, s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

__all__ = ["S3Probe"]

_EXPIRES_S = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Probe:
    """Experiments in a bucket, on keys that begin alike.

    Attributes:
        bucket: What is asked.
        prefix: What every key begins with, after the bucket's own prefix.
        sleep: Waits so many seconds.
    """

    bucket: Bucket
    prefix: str
    sleep: Callable[[float], None]

    def all(self) -> list[Experiment]:
        """Return every one."""
        return [
            _useful("presigned-part", "presigned upload of a part", self.presigned_part),
            _useful("list-parts", "list the parts that have arrived", self.list_parts),
            _useful("list-uploads", "list unfinished uploads", self.list_uploads),
            _useful(
                "conditional-complete",
                "complete an upload only where nothing is",
                self.conditional_complete,
            ),
            _useful(
                "conditional-copy", "copy only where nothing is, by itself", self.conditional_copy
            ),
            _useful("content-md5", "refuse a wrong Content-MD5", self.wrong_md5),
            _useful("checksum-sha256", "refuse a wrong x-amz-checksum-sha256", self.wrong_sha256),
        ]

    def presigned_part(self) -> str:
        """Send a part to an address that was signed for it; then abuse such addresses."""
        with _Upload(self.bucket, f"{self.prefix}presigned") as upload:
            url = upload.url(size_bytes=1, expires_s=60)
            status = _send(url, b"x")
            expect(status == 200, f"a valid address is refused with {status}")
            expect(_send(_tampered(url), b"x") in _REFUSED, "it is good for another part too")
            short = upload.url(size_bytes=1, expires_s=_EXPIRES_S)
            self.sleep(_EXPIRES_S + 2)
            expect(_send(short, b"x") in _REFUSED, "it is good after its time too")
            is_held_to_size = _send(url, b"longer") in _REFUSED
        return f"good for its part and its time only, {_SIZES[is_held_to_size]}"

    def list_parts(self) -> str:
        """Send a part and list it."""
        with _Upload(self.bucket, f"{self.prefix}parts") as upload:
            etag = upload.add(b"part")
            with s3_errors(upload.key):
                answer = self.bucket.repeating.list_parts(**upload.names)
            found = [part["ETag"] for part in answer.get("Parts", [])]
            expect(found == [etag], "another part is listed than was sent")
        md5 = hashlib.md5(b"part", usedforsecurity=False).hexdigest()
        return "with the MD5 as ETag" if parse_etag(etag) == md5 else "with an ETag of its own"

    def list_uploads(self) -> str:
        """Begin an upload and list it."""
        with _Upload(self.bucket, f"{self.prefix}uploads") as upload:
            with s3_errors(upload.key):
                answer = self.bucket.repeating.list_multipart_uploads(
                    Bucket=self.bucket.name, Prefix=upload.key
                )
            found = [one["UploadId"] for one in answer.get("Uploads", [])]
            expect(found == [upload.names["UploadId"]], "the upload is not listed")
        return "so those left over can be removed"

    def conditional_complete(self) -> str:
        """Complete an upload to where an object is."""
        with _Upload(self.bucket, f"{self.prefix}complete") as upload:
            self._put(upload.key, b"first")
            parts: list[CompletedPartTypeDef] = [{"PartNumber": 1, "ETag": upload.add(b"second")}]
            try:
                with s3_errors(upload.key, conditional=True):
                    self.bucket.once.complete_multipart_upload(
                        **upload.names, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
                    )
            except LostRaceError as exc:
                return f"refused ({exc.found})"
        raise LackingError("the condition is ignored")

    def conditional_copy(self) -> str:
        """Copy to where an object is."""
        source, target = (f"{self.bucket.prefix}{self.prefix}{end}" for end in ("from", "to"))
        self._put(source, b"new")
        self._put(target, b"old")
        try:
            with s3_errors(target, conditional=True):
                self.bucket.once.copy_object(
                    Bucket=self.bucket.name,
                    Key=target,
                    CopySource={"Bucket": self.bucket.name, "Key": source},
                    IfNoneMatch="*",
                )
        except LostRaceError as exc:
            return f"refused ({exc.found})"
        raise LackingError("the condition is ignored")

    def wrong_md5(self) -> str:
        """Write bytes under the MD5 of other bytes."""
        return self._refused(ContentMD5=base64.b64encode(bytes(16)).decode())

    def wrong_sha256(self) -> str:
        """Write bytes under the SHA-256 of other bytes."""
        return self._refused(ChecksumSHA256=base64.b64encode(bytes(32)).decode())

    def _refused(self, **headers: str) -> str:
        key = f"{self.bucket.prefix}{self.prefix}wrong"
        with s3_errors(key):
            try:
                self.bucket.once.put_object(
                    Bucket=self.bucket.name,
                    Key=key,
                    Body=b"bytes",
                    **headers,  # type: ignore[arg-type]
                )
            except ClientError as exc:
                if answer_status(exc) == 400:
                    return f"refused ({answer_code(exc)})"
                raise
        raise LackingError("taken; the server hashes everything itself")

    def _put(self, key: str, data: bytes) -> None:
        with s3_errors(key):
            self.bucket.repeating.put_object(Bucket=self.bucket.name, Key=key, Body=data)


_REFUSED = range(400, 500)
_SIZES = {True: "and of its size", False: "but of any size"}


class _Upload:
    """An upload in parts that is given up at the end of a `with` block."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self.key = bucket.prefix + key
        self._client = bucket.repeating
        with s3_errors(key):
            begun = self._client.create_multipart_upload(Bucket=bucket.name, Key=self.key)
        self.names: Any = {"Bucket": bucket.name, "Key": self.key, "UploadId": begun["UploadId"]}

    def __enter__(self) -> _Upload:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with s3_errors(self.key):
            self._client.abort_multipart_upload(**self.names)

    def add(self, data: bytes) -> str:
        """Send the first part and return its ETag, quoted."""
        with s3_errors(self.key):
            answer = self._client.upload_part(**self.names, PartNumber=1, Body=data)
        return str(answer["ETag"])

    def url(self, *, size_bytes: int, expires_s: int) -> str:
        """Return an address for the first part."""
        with s3_errors(self.key):
            return self._client.generate_presigned_url(
                "upload_part",
                Params={**self.names, "PartNumber": 1, "ContentLength": size_bytes},
                ExpiresIn=expires_s,
            )


def _tampered(url: str) -> str:
    query = urlsplit(url).query
    return url.replace(query, query.replace("partNumber=1", "partNumber=2"))


def _send(url: str, data: bytes) -> int:
    """Send bytes as somebody without credentials would, and return the status."""
    request = AWSRequest("PUT", url, data=data).prepare()
    with s3_errors("health/probe"):
        trusted = os.environ.get("AWS_CA_BUNDLE") or True
        answer = URLLib3Session(verify=trusted).send(request)  # type: ignore[arg-type]
    return int(answer.status_code)


def _useful(code: str, name: str, run: Callable[[], str]) -> Experiment:
    return Experiment(code=code, name=name, is_needed=False, run=run)
