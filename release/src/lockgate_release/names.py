"""The names and numbers that travel between the parts, and the alphabets they are held to."""

from __future__ import annotations

import re
from typing import NewType

from lockgate_release.errors import UsageError

__all__ = [
    "MAX_EXPOSURE_BP",
    "AppName",
    "ChannelName",
    "Platform",
    "Sha256Hex",
    "format_percentage",
    "is_app_name",
    "is_channel_name",
    "is_platform",
    "is_sha256",
    "parse_app_name",
    "parse_channel_name",
    "parse_percentage",
    "parse_platform",
    "parse_sha256",
]

AppName = NewType("AppName", str)
ChannelName = NewType("ChannelName", str)
Platform = NewType("Platform", str)
Sha256Hex = NewType("Sha256Hex", str)

MAX_EXPOSURE_BP = 10_000
"""Everybody, in basis points."""

# Role names, directory names and URL path parts are all made of these, so they keep to what every
# file system, every proxy and both public TUF clients agree on.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}[a-z0-9]|[a-z0-9]")
_PLATFORM = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PERCENTAGE = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))?\s*%?")
# These would shadow the server's own addresses.
_RESERVED_APPS = frozenset({"api", "health", "metrics", "static"})


def is_app_name(text: str) -> bool:
    """Whether `text` may name an app: lower-case letters, digits and `._-`, at most 64."""
    return _NAME.fullmatch(text) is not None and text not in _RESERVED_APPS and ".." not in text


def is_channel_name(text: str) -> bool:
    """Whether `text` may name a channel: lower-case letters, digits and `._-`, at most 64."""
    return _NAME.fullmatch(text) is not None and ".." not in text


def is_platform(text: str) -> bool:
    """Whether `text` has the shape of a platform tag, such as `linux-x86_64`."""
    return _PLATFORM.fullmatch(text) is not None


def is_sha256(text: str) -> bool:
    """Whether `text` is a SHA-256 in 64 lower-case hexadecimal digits."""
    return _SHA256.fullmatch(text) is not None


def parse_app_name(text: str) -> AppName:
    """Return `text` as an app's name.

    Raises:
        UsageError: It is not one.
    """
    if not is_app_name(text):
        raise UsageError(
            "not an app name",
            expected="1 to 64 of a-z 0-9 . _ -, starting and ending with a letter or digit, "
            f"and none of {', '.join(sorted(_RESERVED_APPS))}",
            found=repr(text),
        )
    return AppName(text)


def parse_channel_name(text: str) -> ChannelName:
    """Return `text` as a channel's name.

    Raises:
        UsageError: It is not one.
    """
    if not is_channel_name(text):
        raise UsageError(
            "not a channel name",
            expected="1 to 64 of a-z 0-9 . _ -, starting and ending with a letter or digit",
            found=repr(text),
        )
    return ChannelName(text)


def parse_platform(text: str) -> Platform:
    """Return `text` as a platform tag.

    Raises:
        UsageError: It is not one.
    """
    if not is_platform(text):
        raise UsageError(
            "not a platform tag", expected="a tag such as linux-x86_64", found=repr(text)
        )
    return Platform(text)


def parse_sha256(text: str) -> Sha256Hex:
    """Return `text` as a SHA-256.

    Raises:
        UsageError: It is not one.
    """
    if not is_sha256(text):
        raise UsageError(
            "not a SHA-256", expected="64 lower-case hexadecimal digits", found=repr(text)
        )
    return Sha256Hex(text)


def parse_percentage(text: str) -> int:
    """Return a percentage such as `10%`, `0.5%` or `100` in basis points, 0 to 10000.

    The sign may be left out and changes nothing: `0.1` is a tenth of a percent, never a tenth of
    everybody and never rounded to nobody.

    Raises:
        UsageError: It is not a percentage, has more than two decimals, or is above 100 %.
    """
    match = _PERCENTAGE.fullmatch(text.strip())
    if match is None or not text.isascii():
        raise UsageError(
            "not a percentage",
            expected="a number from 0 to 100 with at most two decimals, such as 10% or 0.5%",
            found=repr(text),
        )
    basis_points = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
    if basis_points > MAX_EXPOSURE_BP:
        raise UsageError("not a percentage", expected="at most 100%", found=repr(text))
    return basis_points


def format_percentage(basis_points: int) -> str:
    """Return a share in basis points as people write it, such as `12.5%`."""
    whole, rest = divmod(basis_points, 100)
    return f"{whole}.{rest:02}".rstrip("0").rstrip(".") + "%"
