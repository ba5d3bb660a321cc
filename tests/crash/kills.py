"""Kills a command at each of its calls, and looks at what is left and what comes of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from lockgate_release.errors import ExitCode
from tests.crash.bench import Bench
from tests.crash.shim import CHANGES, SYNCS, Call, How, Strike
from tests.crash.tally import Sample, Tally, timed

__all__ = ["kill", "kill_child", "kill_recovery", "start_program"]


def _kills(calls: tuple[Call, ...]) -> list[tuple[str, Strike]]:
    """Every way to end a process with these calls: before each, and in the middle of writes."""
    found = []
    for call in calls:
        if call.name in CHANGES | SYNCS and call.result >= 0:
            where = f"killed before call {call.at}, {call.name} {call.path}"
            found.append((where, Strike(how=How.KILL, at=call.at)))
        if call.name == "write":
            where = f"killed in the middle of call {call.at}, write {call.path}"
            found.append((where, Strike(how=How.TEAR, at=call.at)))
    return found


def kill(bench: Bench, sample: Sample) -> Tally:
    """Kill the command at each call; the next run must converge."""
    with timed("kill", bench.name) as tally:
        points = _kills(bench.undisturbed.calls)
        tally.points = len(points)
        for where, strike in sample.of(points):
            bench.run(strike)
            tally.add(where, bench.judge() or bench.converge())
    return tally


def kill_child(bench: Bench, sample: Sample) -> Tally:
    """Kill the process that applies a delta at each of its calls; the updater must go on."""
    with timed("child", bench.name) as tally:
        calls = [call for call in bench.undisturbed.calls if _is_staged(call)]
        tally.points = len(calls)
        points = [
            (f"its child killed at call {call.at}, {call.name} {call.path}", call.at)
            for call in calls
        ]
        for where, at in sample.of(points):
            code = bench.run(Strike(how=How.KILL_CHILD, at=at)).code
            wrong = f"it ended with {code}" if code != bench.scenario.code else ""
            tally.add(where, wrong or bench.judge() or bench.converge())
    return tally


def _is_staged(call: Call) -> bool:
    return call.changes and call.path.startswith("versions/.staging-3.0.0-")


def start_program(bench: Bench, sample: Sample) -> Tally:
    """Kill the command at each call; the launcher must then start an old or a new program."""
    with timed("start", bench.name) as tally:
        points = _kills(bench.undisturbed.calls)
        tally.points = len(points)
        for where, strike in sample.of(points):
            bench.run(strike)
            tally.add(where, _start(bench))
    return tally


def _start(bench: Bench) -> str:
    """What is wrong when the launcher starts the program now, or ""."""
    ending = bench.run_next(("run",))
    nothing_yet = "" in bench.scenario.may_run and ending.code == ExitCode.LAUNCHER
    if not bench.started(ending) and not nothing_yet:
        return f"no program was started: {ending.code} {ending.said[-300:]}"
    return bench.judge()


def kill_recovery(bench: Bench, sample: Sample) -> Tally:
    """Kill the command in each state of its journal, and then the recovery at each of its calls."""
    with timed("recover", bench.name) as tally:
        for state, home in _crashed(bench, sample).items():
            again = bench.beginning_at(home)
            again.put_back()
            points = _kills(again.run_again().calls)
            tally.points += len(points)
            for where, strike in sample.of(points):
                again.put_back()
                again.run_again(strike)
                tally.add(f"{state}; then {where}", again.judge() or again.converge())
            shutil.rmtree(home)
    return tally


def _crashed(bench: Bench, sample: Sample) -> dict[str, Path]:
    """A home for each state of the journal, killed at the last moment of that state."""
    calls = bench.undisturbed.calls
    ends = [call.at for call in calls if call.name == "rename" and call.other == bench.journal]
    found: dict[str, Path] = {}
    for at in sample.some([*ends, max(call.at for call in calls if call.changes)]):
        bench.run(Strike(how=How.KILL, at=at))
        state = _state(bench.home / bench.journal)
        home = bench.home.with_name(f"crashed-{state}")
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(bench.home, home, symlinks=True)
        found[state] = home
    return found


def _state(journal: Path) -> str:
    if not journal.exists():
        return "none"
    try:
        return str(json.loads(journal.read_bytes())["state"])
    except ValueError:
        return "damaged"
