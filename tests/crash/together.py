"""Two updaters at once, and kills at any time instead of at chosen calls."""

from __future__ import annotations

import random
import signal
import time

from tests.crash.bench import Bench
from tests.crash.process import Process, run, updater
from tests.crash.shim import BARE, CHANGES, How, Strike
from tests.crash.tally import Sample, Tally, timed

__all__ = ["go_on_together", "kill_at_random", "race", "start_meanwhile", "take_over"]

_RACES = 100
_RANDOM_KILLS = 200
_RANDOM_KILLS_OF_LARGE = 60


def take_over(bench: Bench, sample: Sample) -> Tally:
    """Stop an updater at each change, start a second, kill the first: the second does it all."""
    return _beside_a_stopped_one("takeover", bench, sample, signal.SIGKILL)


def go_on_together(bench: Bench, sample: Sample) -> Tally:
    """Stop an updater at each change, start a second, let the first go on: both end well."""
    return _beside_a_stopped_one("together", bench, sample, signal.SIGCONT)


def _beside_a_stopped_one(name: str, bench: Bench, sample: Sample, ends: signal.Signals) -> Tally:
    with timed(name, bench.name) as tally:
        points = [call for call in bench.undisturbed.calls if call.name in CHANGES]
        tally.points = len(points)
        for call in sample.of(points):
            bench.put_back()
            first = bench.begin(Strike(how=How.STOP, at=call.at))
            if not first.wait_until_stopped():
                first.close()
                continue
            second = bench.begin(BARE)
            first.send(ends)
            wrong = _wrong_codes(bench, first, second, may_be_killed=ends is signal.SIGKILL)
            tally.add(f"beside one stopped at call {call.at}, {call.name} {call.path}", wrong)
    return tally


def start_meanwhile(bench: Bench, sample: Sample) -> Tally:
    """Stop an updater at a change, for good: the launcher must start a program all the same."""
    with timed("meanwhile", bench.name) as tally:
        # Each takes as long as a start waits for an updater.
        points = [call for call in bench.undisturbed.calls if call.name in CHANGES][::5]
        tally.points = len(points)
        for call in sample.of(points):
            bench.put_back()
            first = bench.begin(Strike(how=How.STOP, at=call.at))
            if not first.wait_until_stopped():
                first.close()
                continue
            ending = run(bench.home, updater(bench.home, ("run",)))
            wrong = "" if bench.started(ending) else f"no program: {ending.code} {ending.said}"
            first.send(signal.SIGKILL)
            first.wait()
            where = f"beside one stopped at call {call.at}, {call.name} {call.path}"
            tally.add(where, wrong or bench.judge() or bench.converge())
    return tally


def race(bench: Bench, sample: Sample) -> Tally:
    """Start two updaters at nearly the same time; both must end well."""
    chosen = random.Random(sample.seed)
    with timed("race", bench.name) as tally:
        tally.points = _RACES
        for number in sample.of(list(range(_RACES))):
            bench.put_back()
            first = bench.begin(BARE)
            time.sleep(chosen.random() * 0.05)
            second = bench.begin(BARE)
            tally.add(f"race {number}", _wrong_codes(bench, first, second))
    return tally


def _wrong_codes(
    bench: Bench, first: Process, second: Process, *, may_be_killed: bool = False
) -> str:
    """What is wrong after both have ended, or ""."""
    for process in (first, second):
        ending = process.wait()
        killed = process is first and may_be_killed and ending.was_killed
        if not killed and ending.code not in {0, bench.scenario.code}:
            return f"one ended with {ending.code}: {ending.said[-500:]}"
    return bench.judge() or bench.converge()


def kill_at_random(bench: Bench, sample: Sample) -> Tally:
    """Kill the bare command at a random moment, again and again."""
    chosen = random.Random(sample.seed)
    with timed("random", bench.name) as tally:
        tally.points = _RANDOM_KILLS_OF_LARGE if bench.name == "large" else _RANDOM_KILLS
        duration_s = _duration_s(bench)
        for number in sample.of(list(range(tally.points))):
            bench.put_back()
            process = bench.begin(BARE)
            time.sleep(chosen.random() * duration_s)
            process.send(signal.SIGKILL)
            process.wait()
            tally.add(f"kill {number}", bench.judge() or bench.converge())
    return tally


def _duration_s(bench: Bench) -> float:
    """About how long the bare command takes."""
    bench.put_back()
    began = time.monotonic()
    bench.begin(BARE).wait()
    return time.monotonic() - began
