"""How long a release that failed here is left alone, under clocks that may be wrong. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["is_believable", "quarantine_end"]

_FIRST = timedelta(hours=1)
_FACTOR = 4
_LONGEST = timedelta(days=30)
_SET_BACK = timedelta(days=1)
"""A clock may be set back by this much without ending a quarantine."""


def quarantine_end(now: datetime, failures: int) -> datetime:
    """Return when a release may be tried again that fails now, and has failed this often."""
    return _later(now, _length(failures))


def is_believable(until: datetime, now: datetime, failures: int) -> bool:
    """Whether a quarantine can end then: never later than one that begins now, and a day.

    A later end was written by a clock that ran ahead, and might never come.
    """
    return until <= _later(now, _length(failures) + _SET_BACK)


def _length(failures: int) -> timedelta:
    factor: int = _FACTOR ** min(failures - 1, 10)
    return min(_FIRST * factor, _LONGEST)


def _later(now: datetime, wait: timedelta) -> datetime:
    """That much later, or the end of the calendar where a clock stands right before it."""
    end = datetime.max.replace(microsecond=0, tzinfo=UTC)
    return now + min(wait, end - now)
