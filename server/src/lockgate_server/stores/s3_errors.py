"""What boto3 and the store behind it say, translated once, also while a body is read.

| said | means |
|---|---|
| 404, 409, 412 to a conditional write | `LostRaceError`: stores differ in which they send |
| no connection, no answer in time, a body cut short, 408, 429, 5xx | `TransportError` |
| 501 | `UnsupportedError`, a `LocalError`: the store is not able to do this |
| 401, 403, no credentials, no such bucket, anything else | `LocalError`: settings |
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import urllib3.exceptions
from botocore import exceptions as boto_errors
from botocore.parsers import ResponseParserError

from lockgate_release.errors import LocalError, LockgateError, TransportError
from lockgate_server.ports import LostRaceError, UnsupportedError

__all__ = ["UnsupportedError", "answer_code", "answer_status", "s3_errors"]

_LOST = frozenset({404, 409, 412})
_PASSING = frozenset({408, 409, 429})
_PASSING_CODES = frozenset({"NoSuchUpload", "RequestTimeout", "SlowDown"})
_SETTINGS_CODES = frozenset({"NoSuchBucket"})
_NETWORK = (
    boto_errors.ConnectionError,
    boto_errors.HTTPClientError,
    boto_errors.IncompleteReadError,
    boto_errors.ChecksumError,
    boto_errors.FlexibleChecksumError,
    ResponseParserError,
    urllib3.exceptions.HTTPError,
    OSError,
)


@contextmanager
def s3_errors(key: str, *, conditional: bool = False) -> Iterator[None]:
    """Translates what fails in the block, which does nothing but ask the store.

    Args:
        key: What is asked for.
        conditional: Whether the block is a write that depends on what is there.

    Raises:
        LostRaceError: The block is conditional, and the condition does not hold.
        TransportError: The store did not answer, or not to the end.
        UnsupportedError: The store is not able to do this.
        LocalError: The settings of the store are wrong.
    """
    try:
        yield
    except boto_errors.ClientError as exc:
        raise _from_answer(exc, key, conditional=conditional) from exc
    except _NETWORK as exc:
        raise TransportError(
            "the object store did not answer",
            subject=key,
            found=_cut(exc),
            hint="A write may or may not have happened; reading tells.",
        ) from exc
    except boto_errors.BotoCoreError as exc:
        raise LocalError(
            "the object store cannot be asked",
            subject=key,
            found=_cut(exc),
            hint="Look at the store's address and at the credentials in the environment.",
        ) from exc


def answer_status(error: boto_errors.ClientError) -> int:
    """Return the HTTP status the store answered with, or 0."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def answer_code(error: boto_errors.ClientError) -> str:
    """Return the store's own code, such as `NoSuchKey`, or ""."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _from_answer(error: boto_errors.ClientError, key: str, *, conditional: bool) -> LockgateError:
    status, code = answer_status(error), answer_code(error)
    found = f"{status} {code}"
    if conditional and status in _LOST and code not in _SETTINGS_CODES | _PASSING_CODES:
        return LostRaceError(
            "somebody else wrote it first",
            subject=key,
            found=found,
            hint="Read it again and decide again.",
        )
    if status == 501:
        return UnsupportedError(
            "the object store is not able to do this",
            subject=key,
            found=found,
            hint="Lockgate needs a store that knows If-Match and If-None-Match.",
        )
    if status in _PASSING or status >= 500 or code in _PASSING_CODES:
        return TransportError("the object store is in trouble", subject=key, found=found)
    return LocalError(
        "the object store refuses this server",
        subject=key,
        found=f"{found}: {_cut(error)}",
        hint="The bucket must exist, and reading, writing, listing and deleting be allowed.",
    )


def _cut(error: Exception) -> str:
    return str(error)[:200]
