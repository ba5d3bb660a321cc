"""Points in time as Lockgate writes them: aware, UTC, whole seconds, `2026-01-31T08:00:00Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime

__all__ = ["format_instant", "parse_instant", "utc_now"]

# Neither `strptime` nor `strftime` can be held to one spelling: the first takes lower case, the
# second writes years before 1000 without their zeros.
_SPELLING = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def format_instant(instant: datetime) -> str:
    """Return `instant` as text, cut to whole seconds.

    Raises:
        ValueError: `instant` carries no time zone.
    """
    if instant.tzinfo is None:
        raise ValueError("an instant must be aware")
    return instant.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def parse_instant(text: str) -> datetime:
    """Return the aware UTC instant that `text` names.

    Raises:
        ValueError: `text` is not exactly of the form `2026-01-31T08:00:00Z`.
    """
    if _SPELLING.fullmatch(text) is None:
        raise ValueError(f"not an instant of the form 2026-01-31T08:00:00Z: {text!r}")
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)


def utc_now() -> datetime:
    """Return the present, aware and in whole seconds. Only the outermost layer may call this."""
    return datetime.now(UTC).replace(microsecond=0)
