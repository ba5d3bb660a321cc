"""Lets calls fail as disks and systems make them fail: once, or from then on.

The command must say so and end with the code of a local error (or work all the same), and never
end in a traceback; what is left must be whole, and the next run must converge. The launcher must
start a program even when nothing can be written any more.
"""

from __future__ import annotations

import errno

from lockgate_release.errors import ExitCode
from tests.crash.bench import Bench
from tests.crash.process import Ending
from tests.crash.shim import CHANGES, OPENINGS, SYNCS, Call, How, Strike
from tests.crash.tally import Sample, Tally, timed

__all__ = ["fail", "fail_on"]

_GROWING = frozenset({"create", "write", "ftruncate", "rename", "link", "symlink", "mkdir"})
_NAMES = CHANGES - {"write", "ftruncate"}
_ONCE = {
    errno.ENOSPC: _GROWING | SYNCS,
    errno.EIO: CHANGES | SYNCS | OPENINGS,
    errno.EROFS: (_NAMES | {"open"}),
    errno.EMFILE: OPENINGS,
    errno.EACCES: (_NAMES | OPENINGS),
}
"""Which calls can fail with what."""

_FROM_THEN_ON = {
    errno.ENOSPC: _GROWING | SYNCS,
    errno.EIO: CHANGES | SYNCS,
    errno.EROFS: CHANGES | {"open"},
}
"""A disk that is full, that breaks, that its system has made read-only after an error."""


def _name(error: int) -> str:
    return errno.errorcode[error]


def _once(calls: tuple[Call, ...]) -> list[tuple[str, Strike]]:
    return [
        (
            f"{_name(error)} at call {call.at}, {call.name} {call.path}",
            Strike(how=How.FAIL, at=call.at, error=error),
        )
        for call in calls
        for error, names in _ONCE.items()
        if call.name in names
    ]


def _from_then_on(calls: tuple[Call, ...]) -> list[tuple[str, Strike]]:
    return [
        (
            f"{_name(error)} from call {call.at} on, {call.name} {call.path}",
            Strike(how=How.FAIL_ON, at=call.at, error=error, names=names),
        )
        for call in calls
        for error, names in _FROM_THEN_ON.items()
        if call.name in names
    ]


def fail(bench: Bench, sample: Sample) -> Tally:
    """Let each call fail once, with every error it can fail with."""
    return _campaign("fault", bench, sample, _once(bench.undisturbed.calls))


def fail_on(bench: Bench, sample: Sample) -> Tally:
    """Let each call fail, and every later one: the process cannot even tidy up."""
    return _campaign("dead", bench, sample, _from_then_on(bench.undisturbed.calls))


def _campaign(name: str, bench: Bench, sample: Sample, points: list[tuple[str, Strike]]) -> Tally:
    with timed(name, bench.name) as tally:
        tally.points = len(points)
        for where, strike in sample.of(points):
            ending = bench.run(strike)
            wrong = _wrong_words(bench, ending) or bench.judge()
            if not wrong and strike.how is How.FAIL_ON and bench.command[0] == "run":
                wrong = "" if bench.started(ending) else f"no program: {ending.said[-300:]}"
            tally.add(where, wrong or bench.converge())
    return tally


def _wrong_words(bench: Bench, ending: Ending) -> str:
    """What is wrong with how the command ended, or ""."""
    failed = ExitCode.LAUNCHER if bench.scenario.command == ("run",) else ExitCode.LOCAL
    if "Traceback (most recent call last)" in ending.said:
        return f"it ended in a traceback: {ending.said[-1500:]}"
    if ending.code not in {0, failed, bench.scenario.code}:
        return f"it ended with {ending.code}: {ending.said[-300:]}"
    return ""
