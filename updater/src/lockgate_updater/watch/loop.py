"""The loop that keeps a client up to date: look, act, wait. One lock for each round.

The lock is held while a round works and never while the loop waits, so that `run`, `confirm` and
people come through. No error of ours ends the loop: it is told, and the next round comes later.
A bug ends it, loudly: whoever starts it starts it again.
"""

from __future__ import annotations

import os
import random
import select
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TypeAlias

from lockgate_release.decision import Leave
from lockgate_release.errors import LockgateError, TransportError
from lockgate_updater.events import Event, Observer, Progress
from lockgate_updater.outcomes import UpdateResult
from lockgate_updater.results import CheckResult, Unknown
from lockgate_updater.session import Client, Session, open_session
from lockgate_updater.state.identity import load_client_id
from lockgate_updater.watch.health import (
    HealthNote,
    HealthReport,
    judge_health,
    load_note,
    store_note,
    troubles_of,
    with_check,
    with_error,
)
from lockgate_updater.watch.notify import Notifier
from lockgate_updater.watch.schedule import (
    Uniform,
    back_off_s,
    first_delay_s,
    interval_s,
    parse_quiet_hours,
    phase_of,
    slot_delay_s,
)

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Bell", "Round", "Waiter", "Watch"]

_LONGEST_NAP_S = 60.0
"""Waiting is done in naps, so that a machine that slept notices soon that a check is due."""
_LOCK_WAIT_S = 1.0
"""Who finds another updater at work comes back later: it does what this round would have done."""

Result: TypeAlias = UpdateResult | CheckResult


class Waiter(Protocol):
    """How the loop waits."""

    def wait(self, seconds: float) -> None:
        """Return after so many seconds, or earlier when it is rung."""
        ...

    def ring(self) -> None:
        """End the wait that is going on, or the next one. Safe in signal handlers and threads."""
        ...

    def close(self) -> None:
        """Give back what is held open."""
        ...


class Bell:
    """Waits for a byte in a pipe: the one way in which a signal handler may safely wake a loop."""

    def __init__(self) -> None:
        """Open the pipe; no program that is started inherits it."""
        self._out, self._in = os.pipe()
        os.set_blocking(self._out, False)
        os.set_blocking(self._in, False)

    def wait(self, seconds: float) -> None:
        """Wait so long, or until it is rung."""
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        if poll.poll(seconds * 1000):
            with suppress(BlockingIOError):
                os.read(self._out, 4096)

    def ring(self) -> None:
        """End the wait."""
        with suppress(OSError):
            os.write(self._in, b"!")

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._out)
        os.close(self._in)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One look, and what came of it.

    Attributes:
        at: When.
        result: What was done, or what a check said, or `Unknown` with the error.
        health: How the client is now.
        delay_s: How long the loop waits now, in seconds.
    """

    at: datetime
    result: Result
    health: HealthReport
    delay_s: float

    @property
    def outcome(self) -> str:
        """The name of what was done or said: one of `Outcome`, or that of a check's class."""
        if isinstance(self.result, UpdateResult):
            return self.result.outcome.value
        return {"UpToDate": "up-to-date"}.get(
            type(self.result).__name__, type(self.result).__name__.lower()
        )

    def __str__(self) -> str:
        """Return one line for people."""
        return (
            f"{self.outcome}: {self.result.reason} [{self.health.state}; "
            f"next look in {self.delay_s:.0f} s]"
        )


class _Stopped(Exception):  # noqa: N818 (not a failure: somebody has asked for it)
    """The loop was asked to end while a download was going on; the next update goes on there."""


class Watch:
    """Keeps one client up to date until it is stopped. Made by `Updater.watch`."""

    def __init__(
        self,
        client: Client,
        *,
        observe: Observer,
        check_only: bool = False,
        uniform: Uniform | None = None,
        monotonic: Callable[[], float] | None = None,
        waiter: Waiter | None = None,
    ) -> None:
        """Prepare the loop.

        Args:
            client: Whom to keep up to date.
            observe: Is told each step and how far a download has got.
            check_only: Look and tell, and install nothing.
            uniform: Draws a number between two.
            monotonic: A clock that never goes back, in seconds.
            waiter: How to wait.

        Raises:
            UsageError: The quiet hours make no sense.
        """
        # A release that proves itself for long is as much a sign of life as a wait.
        self._client = replace(client, beat=self._beat)
        self._check_only = check_only
        self._quiet = parse_quiet_hours(client.configuration.quiet_hours)
        self._tell_event = observe
        self._uniform = uniform or random.SystemRandom().uniform
        self._monotonic = monotonic or _uptime_s
        self._waiter = waiter or Bell()
        self._notifier = Notifier(client.environ)
        self._backed_off_s = 0.0
        self._is_stopped = False
        self._is_asked = False

    def __enter__(self) -> Self:
        """Use the loop in a `with`, which gives back what it holds open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give back what is held open."""
        self._waiter.close()

    def stop(self) -> None:
        """End the loop after the step it is at; a download is left where it is.

        Safe in signal handlers and threads.
        """
        self._is_stopped = True
        self._waiter.ring()

    def check_now(self) -> None:
        """Look without waiting any longer. Safe in signal handlers and threads."""
        self._is_asked = True
        self._waiter.ring()

    def run(self, tell: Callable[[Round], object]) -> None:
        """Look again and again until `stop`, and tell of each round.

        Raises:
            LocalError: The client's own id cannot be read or written: there is no beginning.
        """
        self._client.home.prepare()
        note, now = self._note(), self._client.clock()
        delay = first_delay_s(self._interval(note), self._phase(), note.next_at, now)
        self._notifier.say(READY=1, STATUS=f"first look in {delay:.0f} s")
        while self._sleep(delay):
            found = self.once()
            if found is None:
                break
            delay = found.delay_s
            self._notifier.say(STATUS=str(found))
            tell(found)
        self._notifier.say(STOPPING=1)

    def once(self) -> Round | None:
        """Look once, at once, and act on it; None if `stop` ended it in a download."""
        try:
            return self._round()
        except _Stopped:
            return None

    def _round(self) -> Round:
        """Look and act; errors of ours become `Unknown`."""
        client = self._client
        at = client.clock()
        note, troubles = self._note(), tuple[str, ...]()
        result: Result
        try:
            with open_session(
                client, purpose="watch", observe=self._observe, wait_s=_LOCK_WAIT_S
            ) as session:
                try:
                    result = self._act(session)
                    note = with_check(note, at, session.interval_s, session.expiries())
                except LockgateError as exc:
                    result, note = _unknown(exc), with_error(note, at, exc)
                delay = self._plan(result, note)
                note = replace(note, next_at=at + timedelta(seconds=int(delay)))
                store_note(client.home.health, note)
                channel = client.configuration.channel
                troubles = troubles_of(note, session.memory, channel, session.running_version(), at)
        except LockgateError as exc:
            # Another updater is at work, or the home cannot be used: nobody to tell but people.
            result = _unknown(exc)
            delay = self._plan(result, note)
        return Round(at=at, result=result, health=judge_health(note, troubles), delay_s=delay)

    def _act(self, session: Session) -> Result:
        is_quiet = self._client.clock().astimezone().time() in self._quiet
        if self._check_only or is_quiet:
            decision = session.judge(force=False)
            if self._check_only or not isinstance(decision, Leave):
                if reporter := session.reporter():
                    # Nothing is installed now, so nobody is in an arm now.
                    reporter.looked(session, decision, is_manual=True)
                return decision
        from lockgate_updater.install.operation import Operation  # noqa: PLC0415 (not for a check)

        return Operation(session).update(force=False)

    def _beat(self) -> None:
        self._notifier.say(WATCHDOG=1)

    def _observe(self, event: Event) -> None:
        # So is a long download.
        self._beat()
        if self._is_stopped and isinstance(event, Progress):
            raise _Stopped
        self._tell_event(event)

    def _plan(self, result: Result, note: HealthNote) -> float:
        """Return how long to wait after this result, in seconds."""
        interval = self._interval(note)
        if not isinstance(result, Unknown):
            self._backed_off_s = 0.0
            return slot_delay_s(interval, self._phase(), self._client.clock(), self._uniform)
        asked = result.error.retry_after_s if isinstance(result.error, TransportError) else None
        delay = back_off_s(interval, self._backed_off_s, self._uniform, asked)
        self._backed_off_s = delay
        return delay

    def _sleep(self, delay: float) -> bool:
        """Wait, and return whether to look: not when the loop was stopped."""
        until = self._monotonic() + delay
        nap = min(_LONGEST_NAP_S, self._notifier.ping_every_s or _LONGEST_NAP_S)
        while not (self._is_stopped or self._is_asked):
            self._notifier.say(WATCHDOG=1)
            left = until - self._monotonic()
            if left <= 0:
                break
            self._waiter.wait(min(left, nap))
        self._is_asked = False
        return not self._is_stopped

    def _note(self) -> HealthNote:
        return load_note(self._client.home.health)

    def _interval(self, note: HealthNote) -> int:
        return interval_s(note.interval_s, self._client.configuration.check_interval_s)

    def _phase(self) -> float:
        client = self._client
        return phase_of(load_client_id(client.home.identity, client.machine, client.draw))


def _unknown(error: LockgateError) -> Unknown:
    return Unknown(reason=str(error), error=error)


def _uptime_s() -> float:
    """Return seconds since the machine was started, with those it was asleep where it knows."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)
