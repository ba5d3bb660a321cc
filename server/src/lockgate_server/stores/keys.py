"""What every object store demands of a key, a prefix and a range, before it looks anywhere."""

from __future__ import annotations

import re

from lockgate_release.errors import UsageError

__all__ = ["check_key", "check_prefix", "check_range", "clip_range"]

_KEY = re.compile(r"[A-Za-z0-9._+!-]{1,255}(?:/[A-Za-z0-9._+!-]{1,255})*")
_PREFIX = re.compile(r"(?:[A-Za-z0-9._+!-]{1,255}/)*[A-Za-z0-9._+!-]{0,255}")
_DOTS = frozenset({".", ".."})
# S3 takes 1,024 bytes; the rest is for the prefix in the store's own address.
_MAX_KEY = 900


def check_key(key: str) -> tuple[str, ...]:
    """Return the parts of a key that is one.

    Raises:
        ValueError: It is not one: asking for it is a bug of the caller.
    """
    parts = tuple(key.split("/"))
    if _KEY.fullmatch(key) is None or len(key) > _MAX_KEY or not _DOTS.isdisjoint(parts):
        raise ValueError(f"not a key of an object: {key[:100]!r}")
    return parts


def check_prefix(prefix: str) -> tuple[str, ...]:
    """Return the whole parts of what a key may begin with; the rest of it is not among them.

    Raises:
        ValueError: No key begins with it.
    """
    folders = tuple(prefix.split("/")[:-1])
    if _PREFIX.fullmatch(prefix) is None or not _DOTS.isdisjoint(folders):
        raise ValueError(f"not the beginning of a key: {prefix[:100]!r}")
    return folders


def check_range(start: int, stop: int | None) -> None:
    """Return when a range is one, whatever it is a range of.

    Raises:
        ValueError: It is empty or begins before 0.
    """
    if start < 0 or (stop is not None and stop <= start):
        raise ValueError(f"not a range: [{start}, {stop})")


def clip_range(key: str, start: int, stop: int | None, size_bytes: int) -> tuple[int, int]:
    """Return the range as it is for an object of this size.

    Raises:
        UsageError: It begins at or beyond the end, and not at 0.
    """
    if start and start >= size_bytes:
        raise UsageError(
            "range beyond the end",
            subject=key,
            expected=f"a start below {size_bytes}",
            found=str(start),
        )
    return start, size_bytes if stop is None else min(stop, size_bytes)
