"""Frozen repository, or wrong clock: what expired metadata says, and what it cannot.

Pure. Whatever comes out, nothing was found out: a check that meets it ends in *unknown*. The time
that a server tells is a hint for words and never for trust: it makes nothing fresh.

| this machine's clock                                | error                             |
|-----------------------------------------------------|-----------------------------------|
| stands a day or more before what was signed already | `ClockError`                      |
| is ahead of the server's by more than a day         | `ClockError`                      |
| fits the server's, or is behind it                  | `FrozenError`                     |
| cannot be compared (a folder, no `Date`)            | the error as it was: one of both  |

A server's time that lies before a moment already signed is a lie or a fault, and is not compared.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lockgate_release.errors import ClockError, ExpiredError, FrozenError, LockgateError
from lockgate_release.instants import format_instant

__all__ = ["CLOCK_TOLERANCE", "check_clock", "explain_expiry"]

CLOCK_TOLERANCE = timedelta(days=1)


def check_clock(signed_at: datetime | None, now: datetime) -> None:
    """Refuse to judge freshness by a clock that stands before what was already signed.

    Args:
        signed_at: The latest moment seen signed, or None.
        now: The present, by this machine's clock.

    Raises:
        ClockError: The clock is behind.
    """
    if signed_at is not None and now < signed_at - CLOCK_TOLERANCE:
        raise ClockError(
            "this machine's clock is wrong",
            expected=f"a time after {format_instant(signed_at)}, which was signed already",
            found=format_instant(now),
            hint="Set the clock.",
        )


def explain_expiry(
    error: ExpiredError,
    *,
    now: datetime,
    signed_at: datetime | None,
    server_time: datetime | None,
) -> LockgateError:
    """Return the error that says best why metadata is past its expiry.

    Args:
        error: What verification said.
        now: The present, by this machine's clock.
        signed_at: The latest moment seen signed, or None.
        server_time: The present as the server told it, or None.
    """
    try:
        check_clock(signed_at, now)
    except ClockError as wrong:
        return wrong
    if server_time is None or (signed_at is not None and server_time < signed_at - CLOCK_TOLERANCE):
        return error
    if now > server_time + CLOCK_TOLERANCE:
        return ClockError(
            "metadata is past its expiry by this machine's clock, which is ahead of the server's",
            subject=error.subject,
            expected=f"about {format_instant(server_time)}, as the server says",
            found=format_instant(now),
            hint="Compare both with a clock that you trust; the server's word proves nothing.",
        )
    return FrozenError(
        "the repository is frozen: what it serves is past its expiry",
        subject=error.subject,
        found=f"{error.found}; this machine's clock says {format_instant(now)}, "
        f"the server's {format_instant(server_time)}",
        hint="Its server no longer signs, or somebody between serves old files.",
    )
