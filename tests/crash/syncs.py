"""`python -m tests.crash.syncs`: how many syncs an update costs, counted in its own calls."""

# ruff: noqa: T201 (it is a command: it prints)

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.crash.shim import SYNCS, preload

_JOURNAL = "state/journal.json"


def main() -> None:
    """Print the syncs of the whole command, and those from staged to at rest."""
    from tests.crash.bench import prepared

    with tempfile.TemporaryDirectory() as folder, prepared("update", Path(folder, "x")) as bench:
        calls = bench.undisturbed.calls
    states = [
        json.loads(call.data)["state"]
        for call in calls
        if call.name == "write" and call.path == "state/.journal.json.new"
    ]
    announced = [call.at for call in calls if call.name == "rename" and call.other == _JOURNAL]
    # The record's own sync comes before its name, and counts: begin after the tree has its name.
    named = announced[states.index("staged")]
    begun = max(call.at for call in calls if call.name == "syncfs" and call.at < named)
    syncs = [call.at for call in calls if call.name in SYNCS]
    staged = [at for at in syncs if at > begun]
    print(json.dumps({"states": states, "command": len(syncs), "staged": len(staged)}))


if __name__ == "__main__":
    preload()
    main()
