"""When to look again: pure. Time, randomness and the client's id are arguments.

1. Each client has a slot of its own in the interval, taken from its id: a fleet that was started at
   the same moment spreads over the whole interval, and stays spread.
2. Around its slot a client comes up to a fifth of the interval early or late.
3. After a check that did not find out, the wait backs off: decorrelated jitter, from a minute up
   to the interval or an hour, whichever is longer.
4. What a server asks for with `Retry-After` is obeyed, between a minute and a day.
5. The interval is the channel's. The owner's is an upper bound: a channel in the middle of a
   rollout may ask for faster, and never gets faster than once a minute.
6. In the owner's quiet hours checks go on, but nothing new is fetched or installed. A revocation is
   obeyed all the same.

The wall clock only says which slot is next. What it says wrong cannot make a wait shorter than a
minute, or longer than about one and a half intervals.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time

from lockgate_release.errors import UsageError

__all__ = [
    "DEFAULT_INTERVAL_S",
    "MAX_INTERVAL_S",
    "MIN_INTERVAL_S",
    "QuietHours",
    "back_off_s",
    "first_delay_s",
    "interval_s",
    "parse_quiet_hours",
    "phase_of",
    "slot_delay_s",
]

MIN_INTERVAL_S = 60
MAX_INTERVAL_S = 86_400
DEFAULT_INTERVAL_S = 3600
LONGEST_BACK_OFF_S = 3600
FIRST_SPREAD_S = 900
"""How far the first checks of a fleet are spread: somebody may be waiting for them."""
_JITTER = 0.2
_GROWTH = 3
_WINDOW = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")

Uniform = Callable[[float, float], float]
"""Draws a number between two: `random.Random().uniform`."""


def phase_of(client_id: str) -> float:
    """Return the client's place in every interval, from 0 to below 1 (rule 1)."""
    drawn = hashlib.sha256(b"lockgate check phase\0" + client_id.encode()).digest()
    return float(int.from_bytes(drawn[:6], "big")) / float(1 << 48)


def interval_s(channel_s: int | None, owner_s: int | None) -> int:
    """Return the interval in seconds, 60 to 86400 (rule 5).

    Args:
        channel_s: What the channel's document asks for, or None if it was never seen.
        owner_s: What the machine's owner has said, or None.
    """
    if channel_s is None:
        wanted = DEFAULT_INTERVAL_S if owner_s is None else owner_s
    else:
        wanted = channel_s if owner_s is None else min(channel_s, owner_s)
    return min(max(wanted, MIN_INTERVAL_S), MAX_INTERVAL_S)


def slot_delay_s(interval: int, phase: float, now: datetime, uniform: Uniform) -> float:
    """Return how long to wait for the client's next slot, in seconds (rules 1 and 2).

    Args:
        interval: The interval in seconds.
        phase: What `phase_of` says.
        now: The present, aware.
        uniform: Draws the jitter.
    """
    delay = (phase * interval - now.timestamp()) % interval
    if delay < interval / 2:
        delay += interval
    jitter = uniform(-_JITTER * interval, _JITTER * interval)
    return max(delay + jitter, float(MIN_INTERVAL_S))


def back_off_s(
    interval: int, previous_s: float, uniform: Uniform, retry_after_s: int | None = None
) -> float:
    """Return how long to wait after a check that did not find out, in seconds (rules 3 and 4).

    Args:
        interval: The interval in seconds.
        previous_s: The last wait of this kind, or 0 after a good check.
        uniform: Draws the wait.
        retry_after_s: What the server asked for, in seconds, or None.
    """
    if retry_after_s is not None:
        asked = min(max(retry_after_s, MIN_INTERVAL_S), MAX_INTERVAL_S)
        # All that were told the same number would be back at the same moment.
        return asked + uniform(0.0, _JITTER * asked)
    longest = max(interval, LONGEST_BACK_OFF_S)
    base = float(MIN_INTERVAL_S)
    return min(float(longest), uniform(base, max(previous_s, base) * _GROWTH))


def first_delay_s(interval: int, phase: float, planned: datetime | None, now: datetime) -> float:
    """Return how long to wait before the first check of a process, in seconds.

    What an earlier process has planned is kept, so that a service which is restarted again and
    again asks no more often. What is overdue, or was never planned, comes within 15 minutes.

    Args:
        interval: The interval in seconds.
        phase: What `phase_of` says.
        planned: When the next check was to be, or None.
        now: The present, aware.
    """
    left = (planned - now).total_seconds() if planned is not None else 0.0
    if 0 < left <= (1.5 + _JITTER) * interval:
        return left
    return phase * min(interval, FIRST_SPREAD_S)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Windows of a day's wall-clock time in which nothing new is installed (rule 6)."""

    windows: tuple[tuple[time, time], ...] = ()

    def __contains__(self, moment: time) -> bool:
        """Whether the wall clock stands in a window: from its beginning, up to before its end."""
        return any(
            begin <= moment < end if begin < end else moment >= begin or moment < end
            for begin, end in self.windows
        )


def parse_quiet_hours(text: str) -> QuietHours:
    """Return the windows that a text such as `22:00-06:00, 12:00-13:00` says.

    Raises:
        UsageError: It is no such text.
    """
    said = [part.strip() for part in text.split(",")] if text.strip() else []
    return QuietHours(tuple(_parse_window(part, text) for part in said))


def _parse_window(part: str, text: str) -> tuple[time, time]:
    match = _WINDOW.fullmatch(part)
    numbers = [int(digits) for digits in match.groups()] if match else [0, 0, 0, 0]
    hours, minutes = numbers[::2], numbers[1::2]
    if not match or max(hours) > 23 or max(minutes) > 59 or numbers[:2] == numbers[2:]:
        raise UsageError(
            "not quiet hours",
            subject="quiet_hours",
            expected="windows such as 22:00-06:00, with commas between them",
            found=repr(text),
        )
    return time(numbers[0], numbers[1]), time(numbers[2], numbers[3])
