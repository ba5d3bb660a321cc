"""`python -m tests.faults [publish|revoke …]`: every trouble at every request, and the table.

The exit code is 1 if anything was broken.
"""

# ruff: noqa: T201 (it is a command: it prints)

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tests.crash.tally import Sample, Tally
from tests.faults.bench import BUCKET, open_bench, session
from tests.faults.campaign import CHANGES, requests_of, try_trouble
from tests.simulators.fault_proxy import Trouble
from tests.simulators.r2_server import R2Server
from tests.simulators.s3_server import s3_server

_ROW = "{:9} {:18} {:>7} {:>7} {:>7} {:>8}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("changes", nargs="*", help=", ".join(CHANGES))
    parser.add_argument("--trouble", action="append", help="only this; as in the table")
    parser.add_argument("--every", type=int, default=1, help="try every N-th request only")
    parser.add_argument("--seed", type=int, default=0, help="which of them")
    parser.add_argument("--attempts", type=int, default=1, help="how often the adapter sends")
    parser.add_argument("--service", choices=("moto", "r2"), default="moto")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print tallies instead of a table")
    return parser.parse_args()


@contextmanager
def _service(name: str, folder: Path) -> Iterator[str]:
    """Yields the address of a service with the bucket in it."""
    if name == "r2":
        with R2Server(folder / "r2", BUCKET) as server:
            yield server.endpoint
        return
    with s3_server() as endpoint:
        client = session().client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield endpoint


def _carry_out(task: tuple[str, Trouble], options: argparse.Namespace) -> Tally:
    name, trouble = task
    folder = Path(tempfile.mkdtemp(prefix="lockgate-faults-"))
    try:
        with (
            _service(options.service, folder) as service,
            open_bench(folder, service, attempts=options.attempts) as bench,
        ):
            sample = Sample(every=options.every, seed=options.seed)
            return try_trouble(bench, name, trouble, sample, requests_of(bench, name))
    finally:
        shutil.rmtree(folder)


def main() -> int:
    """Run what was asked for; 1 if anything was broken."""
    options = _arguments()
    troubles = [Trouble(said) for said in options.trouble or Trouble]
    tasks = [(name, trouble) for name in options.changes or CHANGES for trouble in troubles]
    if not options.json:
        print(_ROW.format("change", "trouble", "points", "tried", "broken", "seconds"))
    broken: list[str] = []
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        for tally in pool.imap(partial(_carry_out, options=options), tasks):
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
