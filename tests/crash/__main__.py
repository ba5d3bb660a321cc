"""`python -m tests.crash [CAMPAIGN] [SCENARIO …]`: the crash proof, and its table.

Without a campaign all of them run, two at a time. What is done is written down as it is done: with
`--log FILE` a run that was broken off goes on where it stopped. The exit code is 1 if anything was
broken.
"""

# ruff: noqa: T201 (it is a command: it prints)

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tests.crash.shim import missing_tools, preload
from tests.crash.table import as_markdown
from tests.crash.tally import Sample, Tally

_ROW = "{:12} {:10} {:>8} {:>8} {:>8} {:>8}"
_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 2 << 30

_Task = tuple[str, tuple[str, ...]]
"""A scenario, and what is done to it."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("campaign", nargs="?", default="all", help="several: with commas")
    parser.add_argument("scenarios", nargs="*")
    parser.add_argument("--every", type=int, default=1, help="try every N-th point only")
    parser.add_argument("--most", type=int, default=0, help="try at most N points of a scenario")
    parser.add_argument("--seed", type=int, default=0, help="which of them, and which combinations")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--log", type=Path, help="what it holds is not tried again; appended to")
    parser.add_argument("--json", action="store_true", help="print tallies instead of a table")
    return parser.parse_args()


def _carry_out(task: _Task, sample: Sample) -> list[Tally]:
    from tests.crash.bench import prepared
    from tests.crash.campaigns import CAMPAIGNS

    scenario, campaigns = task
    on_disk = any(CAMPAIGNS[name].on_disk for name in campaigns)
    folder = Path(tempfile.mkdtemp(prefix="lockgate-crash-", dir=None if on_disk else _memory()))
    try:
        with prepared(scenario, folder / scenario) as bench:
            return [CAMPAIGNS[name].act(bench, sample) for name in campaigns]
    finally:
        shutil.rmtree(folder)


def _memory() -> Path | None:
    """Where files are made and removed fastest. Nothing is read back from a disk here."""
    if not _MEMORY.is_dir() or not os.access(_MEMORY, os.W_OK):
        return None
    free = os.statvfs(_MEMORY)
    return _MEMORY if free.f_bavail * free.f_frsize >= _ENOUGH_BYTES else None


def _tasks(
    campaign: str, scenarios: list[str], done: Iterable[Tally], *, sampled: bool
) -> list[_Task]:
    """What is left to be done: each campaign by itself, or all of a scenario on one bench.

    A sample tries each campaign in the scenarios only that it is meant for.
    """
    from tests.crash.campaigns import CAMPAIGNS

    ready = {(tally.campaign, tally.scenario) for tally in done}
    left: dict[str, list[str]] = {}
    for name in CAMPAIGNS if campaign == "all" else campaign.split(","):
        meant = CAMPAIGNS[name].scenarios
        if scenarios:
            meant = tuple(one for one in scenarios if one in meant or not sampled)
        for scenario in meant:
            if (name, scenario) not in ready:
                left.setdefault(scenario, []).append(name)
    if sampled:
        return [(scenario, tuple(names)) for scenario, names in left.items()]
    pairs = [(scenario, (name,)) for scenario, names in left.items() for name in names]
    order = list(CAMPAIGNS)
    return sorted(pairs, key=lambda pair: order.index(pair[1][0]))


def _unknown(campaign: str, scenarios: list[str]) -> list[str]:
    from tests.crash.campaigns import CAMPAIGNS
    from tests.crash.scenarios import SCENARIOS

    named = [] if campaign == "all" else campaign.split(",")
    wrong = [name for name in named if name not in CAMPAIGNS]
    return wrong + [name for name in scenarios if name not in SCENARIOS]


def _read(log: Path | None) -> list[Tally]:
    if log is None or not log.exists():
        return []
    return [Tally(**json.loads(line)) for line in log.read_text().splitlines()]


def _run(tasks: list[_Task], sample: Sample, jobs: int) -> Iterator[Tally]:
    from tests.crash.warm import warm_up

    warm_up()
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        for tallies in pool.imap_unordered(partial(_carry_out, sample=sample), tasks):
            yield from tallies


def main() -> int:
    """Run what was asked for; 1 if anything was broken, 2 if the rig cannot run here."""
    if missing := missing_tools():
        print(f"the crash rig needs {' and '.join(missing)}", file=sys.stderr)
        return 2
    preload()
    options = _arguments()
    if unknown := _unknown(options.campaign, options.scenarios):
        print(f"no such campaign or scenario: {', '.join(unknown)}", file=sys.stderr)
        return 2
    tallies = _read(options.log)
    tasks = _tasks(options.campaign, options.scenarios, tallies, sampled=bool(options.most))
    sample = Sample(every=options.every, seed=options.seed, most=options.most)
    if not options.json:
        print(_ROW.format("campaign", "scenario", "points", "tried", "broken", "seconds"))
    began = time.monotonic()
    for tally in _run(tasks, sample, options.jobs):
        tallies.append(tally)
        _tell(tally, options)
    if not options.json:
        _conclude(tallies, time.monotonic() - began)
    return 1 if any(tally.broken for tally in tallies) else 0


def _tell(tally: Tally, options: argparse.Namespace) -> None:
    line = json.dumps(asdict(tally))
    if options.log is not None:
        with options.log.open("a") as log:
            log.write(f"{line}\n")
    if options.json:
        print(line, flush=True)
        return
    counts = (tally.points, tally.tried, len(tally.broken), round(tally.seconds))
    print(_ROW.format(tally.campaign, tally.scenario, *counts), flush=True)


def _conclude(tallies: list[Tally], seconds: float) -> None:
    from tests.crash.campaigns import CAMPAIGNS
    from tests.crash.scenarios import SCENARIOS

    campaigns, scenarios = list(CAMPAIGNS), list(SCENARIOS)
    ordered = sorted(
        tallies, key=lambda one: (campaigns.index(one.campaign), scenarios.index(one.scenario))
    )
    print(f"\n{seconds / 60:.1f} minutes\n\n{as_markdown(ordered)}")
    for words in (words for tally in ordered for words in tally.broken):
        print(words)


if __name__ == "__main__":
    sys.exit(main())
