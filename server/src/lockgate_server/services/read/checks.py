"""What is well and what is not, as pure rules: from what was found to a level and a reason.

1. A check is well, warns, or has failed. Only what has failed makes a side not ready.
2. The reason is for anybody who may ask: it names no app, no path, no address. Details are for
   people with a token.
3. The public side goes on serving files whatever signing, keys and clock do: it is taken off only
   for what it cannot serve without. So there these only warn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from lockgate_release.durations import format_duration
from lockgate_release.instants import format_instant

__all__ = [
    "BackupNews",
    "Check",
    "Level",
    "judge_backup",
    "judge_clock",
    "judge_keys",
    "judge_signing",
    "only_warn",
]

_SIGNED_DAILY_LEFT = timedelta(days=5)
"""The worker signs a timestamp again when six days are left: with less than five, it does not."""
_CLOCK_BEHIND = timedelta(minutes=1)
_CLOCK_OFF, _CLOCK_WRONG = timedelta(minutes=1), timedelta(minutes=5)


class Level(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What: `storage`, `database`, `key`, `clock`, `signing` or `backup`.
        level: How it ended.
        reason: Why, for anybody; "" where it is well.
        details: More, for people who may know.
    """

    name: str
    level: Level = Level.OK
    reason: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupNews:
    """How the newest backup went.

    Attributes:
        name: Its name, or "".
        made_at: When it was made, or None.
        verified_at: When it was restored to prove it, or None.
        failed_at: When the newest try failed, or None.
        every: How old it may become; None where the server makes none by itself.
    """

    name: str = ""
    made_at: datetime | None = None
    verified_at: datetime | None = None
    failed_at: datetime | None = None
    every: timedelta | None = None


def only_warn(check: Check) -> Check:
    """Return the check with a warning in the place of a failure (rule 3)."""
    return replace(check, level=Level.WARNING) if check.level is Level.FAILED else check


def judge_signing(expiries: Mapping[str, datetime | None], now: datetime) -> Check:
    """Whether every app's timestamp is signed again in time.

    Args:
        expiries: When each app's timestamp runs out; None where it cannot be read.
        now: The present.
    """
    level, reason, details = Level.OK, "", []
    for app, at in sorted(expiries.items()):
        if at is None or at <= now:
            level, reason = Level.FAILED, "an app's timestamp has run out, or cannot be read"
            said = "cannot be read" if at is None else f"ran out at {format_instant(at)}"
            details.append(f"{app}: the timestamp {said}")
        elif at - now < _SIGNED_DAILY_LEFT:
            details.append(f"{app}: not signed again, runs out at {format_instant(at)}")
            if level is Level.OK:
                level, reason = Level.WARNING, "an app's timestamp is not signed again daily"
    return Check(name="signing", level=level, reason=reason, details=tuple(details))


def judge_keys(problems: Mapping[str, str]) -> Check:
    """Whether every app's key is there, by why it is not."""
    if not problems:
        return Check(name="key")
    details = tuple(f"{app}: {why}" for app, why in sorted(problems.items()))
    return Check(
        name="key",
        level=Level.FAILED,
        reason="a key that the server signs with is missing, or is not the right one",
        details=details,
    )


def judge_clock(now: datetime, newest: datetime | None, store_now: datetime | None) -> Check:
    """Whether the clock can be right.

    Args:
        now: What it says.
        newest: The time of the newest entry in the audit log: it cannot be yet to come.
        store_now: What the object store's clock says, or None where it is the same clock.
    """
    if newest is not None and newest - now > _CLOCK_BEHIND:
        found = f"the audit log's newest entry is of {format_instant(newest)}"
        return _clock(Level.FAILED, "the clock is behind what was done before", found)
    off = abs(store_now - now) if store_now is not None else timedelta(0)
    if off <= _CLOCK_OFF:
        return Check(name="clock")
    found = f"the object store's clock is {format_duration(int(off.total_seconds()))} off"
    level = Level.FAILED if off > _CLOCK_WRONG else Level.WARNING
    return _clock(level, "the clock is not the object store's", found)


def _clock(level: Level, reason: str, detail: str) -> Check:
    return Check(name="clock", level=level, reason=reason, details=(detail,))


def judge_backup(news: BackupNews | None, now: datetime) -> Sequence[Check]:
    """Whether the newest backup is young enough; nothing where the server makes none by itself.

    It never makes a side not ready: a server without a backup serves as well as one with it.
    """
    if news is None or news.every is None:
        return ()
    age = None if news.made_at is None else now - news.made_at
    if age is not None and timedelta(0) <= age <= 2 * news.every and news.verified_at is not None:
        return (Check(name="backup"),)
    found = "none was made" if news.made_at is None else f"made at {format_instant(news.made_at)}"
    if news.failed_at is not None:
        found += f"; a try failed at {format_instant(news.failed_at)}"
    reason = "the newest backup is too old, or there is none"
    return (Check(name="backup", level=Level.WARNING, reason=reason, details=(found,)),)
