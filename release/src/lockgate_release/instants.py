"""Points in time as Lockgate writes them: aware, UTC, whole seconds, `2026-01-31T08:00:00Z`."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["format_instant", "parse_instant", "utc_now"]

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_LENGTH = len("2026-01-31T08:00:00Z")


def format_instant(instant: datetime) -> str:
    """Return `instant` as text, cut to whole seconds.

    Raises:
        ValueError: `instant` carries no time zone.
    """
    if instant.tzinfo is None:
        raise ValueError("an instant must be aware")
    return instant.astimezone(UTC).strftime(_FORMAT)


def parse_instant(text: str) -> datetime:
    """Return the aware UTC instant that `text` names.

    Raises:
        ValueError: `text` is not exactly of the form `2026-01-31T08:00:00Z`.
    """
    if len(text) != _LENGTH or not text.isascii():
        raise ValueError(f"not an instant of the form 2026-01-31T08:00:00Z: {text!r}")
    return datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)


def utc_now() -> datetime:
    """Return the present, aware and in whole seconds. Only the outermost layer may call this."""
    return datetime.now(UTC).replace(microsecond=0)
