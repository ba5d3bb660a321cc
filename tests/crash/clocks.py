"""Sets the system's clock wrong under the real command, at each of its readings of the clock.

It jumps by a day, by a year, to 1970 and to the end of the century; for good, or for one reading.
The command must end as it may, soon and with words, never with "up to date" where it is not, and
leave old or new; the next run, under the right clock, must converge, and no release may stay in
quarantine for longer than if the clock had been right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from lockgate_release.errors import ExitCode
from lockgate_release.instants import parse_instant, utc_now
from tests.crash.bench import Bench
from tests.crash.claims import LONGEST_QUARANTINE, Listing, differences, list_home, what_runs
from tests.crash.process import Ending, run, updater
from tests.crash.shim import Clock, Strike
from tests.crash.tally import Sample, Tally, timed

__all__ = ["jump", "jump_and_check", "jump_and_watch"]

_DAY_S, _YEAR_S = 86_400, 366 * 86_400
_END_OF_CENTURY_S = int(datetime(2099, 12, 31, tzinfo=UTC).timestamp())
_BUSY_S = 3.0
"""So many seconds of a processor more than a command takes under a right clock: a busy loop."""
_WATCHED_S = 12 * 3600
_SHORTEST_S, _LONGEST_S = 60, 6200
"""Between two looks, of a channel that wants one an hour: the longest wait is an interval and a
half, and a fifth of one."""
_FEWEST_LOOKS, _MOST_LOOKS = 6, 150
_FIRST_READINGS = 24
_NEXT_LOOK = re.compile(r"next look in (\d+) s")


def _jumps() -> dict[str, int]:
    """Where the clock jumps, and by how many seconds that is."""
    now_s = int(utc_now().timestamp())
    return {
        "a day ahead": _DAY_S,
        "a day back": -_DAY_S,
        "a year ahead": _YEAR_S,
        "a year back": -_YEAR_S,
        "to 1970": -now_s,
        "to the end of the century": _END_OF_CENTURY_S - now_s,
    }


def _clocks(readings: Iterable[int]) -> list[tuple[str, Clock]]:
    return [
        (f"{words} at reading {at}, {length}", Clock(at=at, readings=count, by_s=by_s))
        for at in readings
        for words, by_s in _jumps().items()
        for length, count in (("for good", 0), ("for that one", 1))
    ]


def jump(bench: Bench, sample: Sample) -> Tally:
    """Let the clock jump at each reading; what is left is whole, and the next run converges."""
    with timed("clock", bench.name) as tally:
        points = _clocks(range(1, bench.undisturbed.readings + 1))
        tally.points = len(points)
        if bench.scenario.command == ("rollback",):
            bench.endings.append(_after_a_void_quarantine(bench))
        for where, clock in sample.of(points):
            ending = bench.run(Strike(clock=clock))
            wrong = _wrong_ending(bench, ending) or bench.judge()
            tally.add(where, wrong or _converge(bench) or _quarantine(bench))
    return tally


def _after_a_void_quarantine(bench: Bench) -> Listing:
    """What comes of going back under a clock far ahead: that wait is over as soon as it is right.

    So the next run installs the release again, which is whole and healthy.
    """
    bench.run(Strike(clock=Clock(at=1, by_s=_YEAR_S)))
    ending = bench.run_again()
    assert ending.code == 0, ending.said
    return list_home(bench.home)


def _wrong_ending(bench: Bench, ending: Ending) -> str:
    """What is wrong with how the command ended, or ""."""
    expected = {0, bench.scenario.code, ExitCode.REFUSED, ExitCode.LOCAL, ExitCode.LAUNCHER}
    if "Traceback (most recent call last)" in ending.said or ending.code not in expected:
        return f"it ended with {ending.code}: {ending.said[-1500:]}"
    if ending.cpu_s > bench.undisturbed.cpu_s + _BUSY_S:
        return f"it took {ending.cpu_s:.1f} s of a processor"
    newest = bench.endings[0]["current"].rpartition("/")[2] if "current" in bench.endings[0] else ""
    if "up-to-date:" in ending.said and what_runs(bench.expected.home) != newest:
        return f"it says that it is up to date, and is not: {ending.said}"
    return ""


def _converge(bench: Bench) -> str:
    """What is wrong after the next run, or "".

    A failure that was written down under a wrong clock is tried once more, and counts as another.
    """
    wrong = bench.converge()
    if wrong and bench.scenario.code == ExitCode.ROLLED_BACK:
        found = differences(list_home(bench.home), bench.endings[0])
        if all(words.partition(": ")[0].endswith("state/memory.json") for words in found):
            return ""
    return wrong


def _quarantine(bench: Bench) -> str:
    """Which release is left alone for longer than it may be, or ""."""
    if '"failures":[{' not in _memory(bench):
        return ""
    ending = run(bench.home, updater(bench.home, ("status", "--json")))
    for item in json.loads(ending.said)["quarantine"]:
        if parse_instant(item["until"]) - utc_now() > LONGEST_QUARANTINE:
            return f"{item['version']} is left alone until {item['until']}"
    return ""


def _memory(bench: Bench) -> str:
    path = bench.expected.home / "state" / "memory.json"
    return path.read_text() if path.exists() else ""


def jump_and_check(bench: Bench, sample: Sample) -> Tally:
    """Check under a clock that is far off from the start: nothing is known of what is new."""
    with timed("asks", bench.name) as tally:
        points = [(words, by_s) for words, by_s in _jumps().items() if abs(by_s) > _DAY_S]
        tally.points = len(points)
        for words, by_s in sample.of(points):
            bench.run()
            check = updater(bench.home, ("check", "--repository", bench.address))
            ending = run(bench.home, check, Strike(clock=Clock(at=1, by_s=by_s)))
            wrong = "" if ending.code == ExitCode.UNKNOWN else f"it ended with {ending.code}"
            tally.add(words, wrong or bench.judge() or bench.converge())
    return tally


def jump_and_watch(bench: Bench, sample: Sample) -> Tally:
    """Let the clock jump under half a day of `watch`, whose waits take no time here."""
    with timed("watch", bench.name) as tally:
        quiet = _watch(bench, Clock(end_after_s=_WATCHED_S))
        tally.add("a right clock", _wrong_watch(quiet))
        # All of the first looks, the update among them; then looks are like each other.
        later = range(_FIRST_READINGS, quiet.readings + 1, _FIRST_READINGS)
        points = _clocks([*range(1, _FIRST_READINGS), *later])
        tally.points = len(points) + 1
        for where, clock in sample.of(points):
            ending = _watch(bench, replace(clock, end_after_s=_WATCHED_S))
            wrong = _wrong_watch(ending) or bench.judge()
            tally.add(where, wrong or _converge(bench) or _quarantine(bench))
    return tally


def _watch(bench: Bench, clock: Clock) -> Ending:
    bench.put_back()
    watch = updater(bench.home, ("watch", "--repository", bench.address))
    return run(bench.home, watch, Strike(clock=clock))


def _wrong_watch(ending: Ending) -> str:
    """What is wrong with when it looked, or ""."""
    if ending.code != 0 or "Traceback (most recent call last)" in ending.said:
        return f"it ended with {ending.code}: {ending.said[-1500:]}"
    waits = [int(seconds) for seconds in _NEXT_LOOK.findall(ending.said)]
    if not _FEWEST_LOOKS <= len(waits) <= _MOST_LOOKS:
        return f"it looked {len(waits)} times in {_WATCHED_S // 3600} hours: {waits}"
    strange = [seconds for seconds in waits if not _SHORTEST_S <= seconds <= _LONGEST_S]
    return f"it waited for {strange} s" if strange else ""
