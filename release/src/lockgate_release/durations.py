"""Spans of time as people write them: `90s`, `15m`, `24h`, `7d`. Whole seconds inside."""

from __future__ import annotations

import re

from lockgate_release.errors import UsageError

__all__ = ["format_duration", "parse_duration"]

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPELLING = re.compile(r"([0-9]{1,9})([smhd])")
_MAX_S = 3650 * 86400


def parse_duration(text: str) -> int:
    """Return the seconds that `text` names: a whole number and one of s, m, h, d.

    Raises:
        UsageError: It names none, or more than ten years.
    """
    match = _SPELLING.fullmatch(text.strip())
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else -1
    if not 0 <= seconds <= _MAX_S:
        raise UsageError(
            "not a span of time",
            expected="a whole number of s, m, h or d, such as 90s, 24h or 7d, at most ten years",
            found=repr(text[:80]),
        )
    return seconds


def format_duration(seconds: int) -> str:
    """Return the span in the largest unit that divides it: `parse_duration` reads it back."""
    for unit, unit_s in reversed(_UNITS_S.items()):
        if seconds and seconds % unit_s == 0:
            return f"{seconds // unit_s}{unit}"
    return f"{seconds}s"
