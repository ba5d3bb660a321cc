"""Where a bucket is: `s3://bucket/prefix?endpoint=…&region=…&style=path`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, parse_qsl, urlsplit

from lockgate_release.errors import UsageError
from lockgate_server.stores.keys import check_key

__all__ = ["S3Address", "Style"]

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,32}")
_EXPECTED = "s3://BUCKET/PREFIX?endpoint=URL&region=NAME&style=path|virtual|auto"


class Style(StrEnum):
    """Whether the bucket stands in the path of a request or in the name of the host."""

    AUTO = "auto"
    PATH = "path"
    VIRTUAL = "virtual"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Address:
    """Where a bucket is.

    Attributes:
        bucket: Its name.
        prefix: What stands before every key, ending in `/`, or "".
        endpoint: The store's own address, or None for that of Amazon's region.
        region: The region's name, or None for what the environment says.
        style: How requests name the bucket.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    style: Style = Style.AUTO

    @classmethod
    def parse(cls, url: str) -> S3Address:
        """Return the address in a URL. No secret in it is ever repeated in an error.

        Raises:
            UsageError: It is none, or it holds credentials.
        """
        parts = _split(url)
        options = _parse_options(parts.query)
        endpoint = options.pop("endpoint", None)
        if endpoint is not None:
            _check_endpoint(endpoint)
        region = options.pop("region", None)
        if region is not None and _REGION.fullmatch(region) is None:
            raise _wrong("not a region", found=region)
        style = options.pop("style", Style.AUTO.value)
        if style not in set(Style):
            raise _wrong("not a style", found=style)
        if options:
            raise _wrong("no such option", found=", ".join(sorted(options)))
        if _BUCKET.fullmatch(parts.netloc) is None:
            raise _wrong("not a bucket", found=parts.netloc)
        return cls(
            bucket=parts.netloc,
            prefix=_parse_prefix(parts.path),
            endpoint=endpoint,
            region=region,
            style=Style(style),
        )


def _wrong(what: str, *, found: str) -> UsageError:
    return UsageError(f"{what} in the store's address", expected=_EXPECTED, found=repr(found))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise UsageError("not an address of a store", expected=_EXPECTED) from exc
    _check_no_credentials(parts)
    if parts.scheme != "s3" or parts.fragment:
        raise UsageError("not an address of a bucket", expected=_EXPECTED)
    return parts


def _check_no_credentials(parts: SplitResult) -> None:
    if "@" in parts.netloc:
        raise UsageError(
            "credentials have no place in the store's address",
            expected=_EXPECTED,
            hint="Put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile.",
        )


def _parse_options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in options:
            raise _wrong("an option given twice", found=name)
        options[name] = value
    return options


def _check_endpoint(endpoint: str) -> None:
    try:
        parts = urlsplit(endpoint)
        port_is_one = parts.port is None or parts.port > 0
    except ValueError as exc:
        raise UsageError("not an endpoint in the store's address", expected=_EXPECTED) from exc
    _check_no_credentials(parts)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_one:
        raise _wrong("not an endpoint", found=endpoint)


def _parse_prefix(path: str) -> str:
    prefix = path.strip("/")
    if not prefix:
        return ""
    try:
        check_key(prefix)
    except ValueError as exc:
        raise _wrong("not a prefix", found=prefix[:100]) from exc
    return f"{prefix}/"
