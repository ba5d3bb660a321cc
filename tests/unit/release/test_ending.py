"""A signal that asks for the end is what Ctrl-C is, once, and only for as long as it is wanted."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from lockgate_release.ending import Terminated, exit_code_of, heeding_signals, words_of

HEEDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@pytest.fixture(autouse=True)
def _as_a_shell_starts_us() -> Iterator[None]:
    usual = {number: signal.getsignal(number) for number in HEEDED}
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = _handlers()
    yield
    assert _handlers() == before
    for number, handler in usual.items():
        signal.signal(number, handler)


def _handlers() -> list[object]:
    return [signal.getsignal(number) for number in HEEDED]


def _send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGHUP, 129, "ended by SIGHUP"),
        (signal.SIGINT, 130, "interrupted"),
    ],
)
def test_each_signal_ends_as_ctrl_c_does_with_its_own_code(
    number: signal.Signals, code: int, words: str
) -> None:
    with pytest.raises(KeyboardInterrupt) as caught, heeding_signals():
        _send(number)
    assert (exit_code_of(caught.value), words_of(caught.value)) == (code, words)


def _put_away(first: signal.Signals, then: signal.Signals, put_away: list[str]) -> None:
    """Be ended by the first signal, and get the second while putting things away."""
    with heeding_signals():
        try:
            _send(first)
        finally:
            _send(then)
            put_away.append("all of it")


@pytest.mark.parametrize("first", HEEDED)
@pytest.mark.parametrize("then", [signal.SIGTERM, signal.SIGHUP])
def test_what_is_being_put_away_is_not_cut_off_by_the_next_signal(
    first: signal.Signals, then: signal.Signals
) -> None:
    put_away: list[str] = []
    with pytest.raises(KeyboardInterrupt) as caught:
        _put_away(first, then, put_away)
    assert put_away == ["all of it"]
    assert exit_code_of(caught.value) == 128 + first


def test_a_second_ctrl_c_cuts_it_off() -> None:
    put_away: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        _put_away(signal.SIGTERM, signal.SIGINT, put_away)
    assert put_away == []


@pytest.mark.parametrize("first", HEEDED)
@pytest.mark.parametrize("then", HEEDED)
def test_the_next_signal_is_heard_where_a_library_has_swallowed_the_first(
    first: signal.Signals, then: signal.Signals
) -> None:
    with heeding_signals():
        with suppress(KeyboardInterrupt):
            _send(first)
        with pytest.raises(KeyboardInterrupt) as caught:
            _send(then)
    assert exit_code_of(caught.value) == 128 + then


_SWALLOWS = """
import time
from lockgate_release.ending import exit_code_of, heeding_signals

def work():
    while True:
        time.sleep(0.01)

class Library:
    def __del__(self):  # What is raised in here, Python only prints.
        print("begun", flush=True)
        work()

try:
    with heeding_signals():
        Library()
        print("went on", flush=True)
        work()
except KeyboardInterrupt as exc:
    raise SystemExit(exit_code_of(exc))
"""


@pytest.mark.usefixtures("hearing_signals", "unmeasured")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_whose_library_swallowed_the_first_signal_is_ended_by_the_second(
    number: signal.Signals,
) -> None:
    command = [sys.executable, "-c", _SWALLOWS]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        assert process.stdout.readline() == "went on\n"
        process.send_signal(number)
        assert process.wait(timeout=60) == 128 + number


def test_what_our_starter_has_us_ignore_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with heeding_signals():
            _send(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_the_signal_is_known_where_a_library_has_made_another_exception_of_it() -> None:
    aborted = RuntimeError("aborted")
    aborted.__cause__ = Terminated(signal.SIGTERM)
    assert exit_code_of(aborted) == 143


def test_nothing_is_heeded_in_another_thread() -> None:
    found: list[object] = []

    def look() -> None:
        with heeding_signals():
            found.append(_handlers())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [_handlers()]
