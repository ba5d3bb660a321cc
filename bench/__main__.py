"""Run every benchmark, or those that are named, and exit with 1 if a bar was missed."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "steady_check",
    "start_up",
    "chain",
    "footprint",
    "update_cost",
    "publish_cost",
    "revoke",
    "publish",
    "rollout_evidence",
    "ingest",
    "read_path",
    "recovery",
    "attestations",
    "rollout_simulation",
)


def main(names: list[str]) -> int:
    """Run the benchmarks with these names, or all; return the exit code."""
    missed = 0
    for name in names or NAMES:
        module = importlib.import_module(f"bench.{name}")
        table = module.run()
        print(f"\n## {name}: {(module.__doc__ or '').splitlines()[0]}\n")
        print(table.render(), flush=True)
        missed += table.missed
    print("\nevery bar was met" if not missed else f"\n{missed} bars were missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
