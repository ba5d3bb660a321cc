"""Naming the option or setting that a refused text came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from lockgate_release.errors import UsageError
from lockgate_release.names import ChannelName, parse_channel_name, parse_percentage

__all__ = ["DEFAULT_PARALLEL", "parse_channels", "parse_field", "parse_parallel", "parse_share"]

DEFAULT_PARALLEL = 4
"""How many parts of uploads are on their way at once, unless somebody says otherwise."""

_MAX_PARALLEL = 32

T = TypeVar("T")


def parse_field(name: str, parse: Callable[[str], T], text: str) -> T:
    """Return what `parse` makes of a text; a refusal names the field it stood in.

    Raises:
        UsageError: `parse` refuses it.
    """
    try:
        return parse(text)
    except UsageError as exc:
        if exc.subject:
            raise
        raise type(exc)(
            exc.what, subject=name, expected=exc.expected, found=exc.found, hint=exc.hint
        ) from exc


def parse_channels(name: str, texts: Iterable[str]) -> tuple[ChannelName, ...]:
    """Return the channels that an option names, each once.

    Raises:
        UsageError: One is no channel's name.
    """
    return tuple(dict.fromkeys(parse_field(name, parse_channel_name, text) for text in texts))


def parse_share(text: str | None) -> int | None:
    """Return what `--exposure` says in basis points, or None where it says nothing.

    Raises:
        UsageError: It is not a percentage.
    """
    return None if text is None else parse_field("--exposure", parse_percentage, text)


def parse_parallel(text: str) -> int:
    """Return how many parts may be on their way at once.

    Raises:
        UsageError: It is no number, or not a sensible one.
    """
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= _MAX_PARALLEL):
        raise UsageError(
            "not a number of parts",
            subject="upload_parallel",
            expected=f"a whole number from 1 to {_MAX_PARALLEL}",
            found=repr(text[:20]),
        )
    return int(text)
