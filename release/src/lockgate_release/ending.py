"""Signals that ask a command to end, as the exception that Ctrl-C is.

So whoever puts away after Ctrl-C (stops children, removes folders, gives back a try) does it as
well where systemd stops a unit, a job of CI is cancelled, or a terminal is closed. Takes over
handlers of this process, for as long as it is asked to.
"""

from __future__ import annotations

import signal
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Terminated", "exit_code_of", "heeding_signals", "words_of"]

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_BY_SIGNAL = 128
"""What shells add to a signal's number to make an exit code of it."""


class Terminated(KeyboardInterrupt):
    """Somebody has asked this process to end.

    Attributes:
        number: The signal's.
    """

    def __init__(self, number: int) -> None:
        """Take the signal."""
        super().__init__()
        self.number = number


@contextmanager
def heeding_signals() -> Iterator[None]:
    """Raise `Terminated` at SIGTERM, SIGHUP and Ctrl-C, for the length of the block.

    While the end that somebody asked for is on its way, by Ctrl-C too, another such signal changes
    nothing: services of CI send one after the other, and what is being put away meanwhile is not
    cut off. A second Ctrl-C does that. Where a library has swallowed the first, nothing is on its
    way, and the next is heard. A signal that our starter has us ignore (`nohup`) stays ignored.
    In another thread than the main one, nothing is heeded: no signal arrives there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    on_its_way = _OnItsWay()

    def end(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT or not on_its_way:
            raise on_its_way.begin(number)

    usual = {number: signal.getsignal(number) for number in (*_ENDING, signal.SIGINT)}
    taken = [number for number in _ENDING if usual[number] == signal.SIG_DFL]
    try:
        for number in taken:
            signal.signal(number, end)
        if usual[signal.SIGINT] == signal.default_int_handler:
            signal.signal(signal.SIGINT, end)
            taken.append(signal.SIGINT)
        yield
    finally:
        for number in taken:
            signal.signal(number, usual[number])


class _OnItsWay:
    """Whether the last `Terminated` is still handled by somebody: it lives just as long."""

    def __init__(self) -> None:
        self._last: weakref.ref[Terminated] | None = None

    def __bool__(self) -> bool:
        return self._last is not None and self._last() is not None

    def begin(self, number: int) -> Terminated:
        """Return a new one. Who raises it must not keep it in a name, or it would keep itself."""
        ending = Terminated(number)
        self._last = weakref.ref(ending)
        return ending


def exit_code_of(ending: BaseException) -> int:
    """Return what a command exits with that ended by `ending`, as shells expect it."""
    return _BY_SIGNAL + _signal_of(ending)


def words_of(ending: BaseException) -> str:
    """Return what has happened, for people."""
    number = _signal_of(ending)
    return "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"


def _signal_of(ending: BaseException) -> int:
    """Return the signal behind an exception; libraries make another of Ctrl-C on its way."""
    found: BaseException | None = ending
    while found is not None:
        if isinstance(found, Terminated):
            return found.number
        found = found.__cause__ or found.__context__
    return signal.SIGINT
