"""How a client goes out: to whom, through which proxy, with which headers, and how fast.

Headers may hold a secret, so they go to the configured hosts and nowhere else.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from lockgate_release.errors import UsageError
from lockgate_release.settings import Settings

__all__ = [
    "Network",
    "Throttle",
    "origin_of",
    "parse_address",
    "parse_retry_after",
    "parse_server_time",
    "read_network",
    "strong_validator",
]

_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_HEADER = re.compile(rf"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*({_VALUE.pattern})")
_ADDRESS = re.compile(r"(https?|file)://[^\s?#]+")
_SECONDS = re.compile(r"[0-9]{1,9}")
_PROXY = re.compile(r"https?://[^\s/?#]+/?")
_FROM_ENVIRONMENT = "env:"
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
"""What decides where a request goes, what comes back and where it ends, is not for settings."""
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What its owner says of a client's network.

    Attributes:
        headers: Names and values, for the repository and its mirrors only.
        proxy: The proxy for every address, or "" for what the environment says.
        bandwidth_bytes_s: The most bytes a second on average, or 0 for no limit.
    """

    headers: tuple[tuple[str, str], ...] = ()
    proxy: str = ""
    bandwidth_bytes_s: int = 0


def read_network(settings: Settings, environ: Mapping[str, str]) -> Network:
    """Return what the settings say of the network.

    Raises:
        UsageError: One makes no sense, or names a variable that is not set.
    """
    lines = settings.table.get("headers", [])
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise _wrong(settings, "headers", "a list of texts such as 'Name: value'")
    proxy = settings.get("proxy") or ""
    if proxy and not _PROXY.fullmatch(proxy):
        raise _wrong(settings, "proxy", "an address such as http://proxy.example.com:3128")
    limit = settings.table.get("bandwidth_bytes_s", 0)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise _wrong(settings, "bandwidth_bytes_s", "bytes a second, or 0 for no limit")
    headers = tuple(_parse_header(line, settings, environ) for line in lines)
    return Network(headers=headers, proxy=proxy, bandwidth_bytes_s=limit)


def _parse_header(line: str, settings: Settings, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return a header's name and value. What is wrong is said without the value: it is secret."""
    match = _HEADER.fullmatch(line)
    if match is None:
        raise _wrong(settings, "headers", "'Name: value', or 'Name: env:VARIABLE', in plain ASCII")
    name, value = match[1], match[2]
    if name.lower() in _OURS:
        raise _wrong(settings, "headers", "no header that the updater sets itself", found=name)
    if value.startswith(_FROM_ENVIRONMENT):
        variable = value.removeprefix(_FROM_ENVIRONMENT)
        value = environ.get(variable, "")
        if not _VALUE.fullmatch(value):
            raise _wrong(settings, "headers", f"one line of plain ASCII in {variable}", found=name)
    return name, value


def _wrong(settings: Settings, name: str, expected: str, found: str = "") -> UsageError:
    return UsageError(
        "wrong setting", subject=f"{settings.origin}: {name}", expected=expected, found=found
    )


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of an address: whom a request goes to."""
    parts = urlsplit(url)
    return (parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))


class Throttle:
    """A bucket of one second's bytes: whoever takes more waits until it is full again."""

    def __init__(
        self,
        rate_bytes_s: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Begin with a full bucket; a rate of 0 bytes a second is no limit."""
        self.rate_bytes_s = rate_bytes_s
        self._monotonic = monotonic
        self._sleep = sleep
        self._left_bytes = float(rate_bytes_s)
        self._last = monotonic() if rate_bytes_s else 0.0

    def take(self, size_bytes: int) -> float:
        """Wait until so many bytes are allowed, and return for how many seconds that was."""
        if not self.rate_bytes_s:
            return 0.0
        now = self._monotonic()
        filled = self._left_bytes + (now - self._last) * self.rate_bytes_s
        self._left_bytes = min(float(self.rate_bytes_s), filled) - size_bytes
        self._last = now
        if self._left_bytes >= 0:
            return 0.0
        pause_s = -self._left_bytes / self.rate_bytes_s
        self._sleep(pause_s)
        return pause_s


def parse_address(text: str) -> str:
    """Return a repository's address without a slash at its end.

    Raises:
        UsageError: It is none.
    """
    if not _ADDRESS.fullmatch(text):
        raise UsageError(
            "not a repository's address", expected="http://, https:// or file://", found=repr(text)
        )
    return text.rstrip("/")


def parse_retry_after(headers: Mapping[str, str]) -> int | None:
    """Return the seconds a server asks to be left alone, or None if it says nothing of use.

    A moment is read against the answer's own `Date`: this machine's clock has no part in it.

    Source: RFC 9110, section 10.2.3.
    """
    said = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(said):
        return int(said)
    try:
        left = parsedate_to_datetime(said) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0, int(left.total_seconds()))


def parse_server_time(headers: Mapping[str, str]) -> datetime | None:
    """Return the present as an answer tells it, or None: its `Date`, and its `Age` in a cache.

    Source: RFC 9110, section 6.6.1, and RFC 9111, section 5.1.
    """
    age = headers.get("Age", "").strip()
    age_s = int(age) if _SECONDS.fullmatch(age) else 0
    try:
        told = parsedate_to_datetime(headers.get("Date", "")) + timedelta(seconds=age_s)
        return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def strong_validator(headers: Mapping[str, str]) -> str:
    """Return what tells whether the file is still the same one, or "".

    Source: RFC 9110, sections 8.8.2.2 and 13.1.5: a date counts only if it is older than the
    answer by a second or more.
    """
    tag = headers.get("ETag", "")
    if tag:
        return tag if tag.startswith('"') else ""
    changed = headers.get("Last-Modified", "")
    try:
        age = parsedate_to_datetime(headers.get("Date", "")) - parsedate_to_datetime(changed)
    except (ValueError, TypeError, OverflowError):
        return ""
    return changed if age.total_seconds() >= 1 else ""
