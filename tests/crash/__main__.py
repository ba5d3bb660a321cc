"""`python -m tests.crash [CAMPAIGN] [SCENARIO …]`: the crash proof, and its table.

Without a campaign all of them run, two at a time. The exit code is 1 if anything was broken.
"""

# ruff: noqa: T201 (it is a command: it prints)

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tests.crash.shim import missing_tools, preload
from tests.crash.tally import Sample, Tally

_ROW = "{:12} {:10} {:>8} {:>8} {:>8} {:>8}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("campaign", nargs="?", default="all")
    parser.add_argument("scenarios", nargs="*")
    parser.add_argument("--every", type=int, default=1, help="try every N-th point only")
    parser.add_argument("--seed", type=int, default=0, help="which of them, and which combinations")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print tallies instead of a table")
    return parser.parse_args()


def _carry_out(task: tuple[str, str], sample: Sample) -> Tally:
    from tests.crash.bench import prepared
    from tests.crash.campaigns import CAMPAIGNS

    campaign, scenario = task
    folder = Path(tempfile.mkdtemp(prefix="lockgate-crash-"))
    try:
        with prepared(scenario, folder / scenario) as bench:
            return CAMPAIGNS[campaign].act(bench, sample)
    finally:
        shutil.rmtree(folder)


def _tasks(campaign: str, scenarios: list[str]) -> list[tuple[str, str]]:
    from tests.crash.campaigns import CAMPAIGNS

    chosen = CAMPAIGNS if campaign == "all" else {campaign: CAMPAIGNS[campaign]}
    return [
        (name, scenario)
        for name, found in chosen.items()
        for scenario in scenarios or found.scenarios
    ]


def main() -> int:
    """Run what was asked for; 1 if anything was broken, 2 if the rig cannot run here."""
    if missing := missing_tools():
        print(f"the crash rig needs {' and '.join(missing)}", file=sys.stderr)
        return 2
    preload()
    options = _arguments()
    tasks = _tasks(options.campaign, options.scenarios)
    sample = Sample(every=options.every, seed=options.seed)
    if not options.json:
        print(_ROW.format("campaign", "scenario", "points", "tried", "broken", "seconds"))
    broken: list[str] = []
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        for tally in pool.imap(partial(_carry_out, sample=sample), tasks):
            broken += tally.broken
            _print(tally, as_json=options.json)
    for words in () if options.json else broken:
        print(words)
    return 1 if broken else 0


def _print(tally: Tally, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(tally)), flush=True)
        return
    counts = (tally.points, tally.tried, len(tally.broken), round(tally.seconds))
    print(_ROW.format(tally.campaign, tally.scenario, *counts), flush=True)


if __name__ == "__main__":
    sys.exit(main())
