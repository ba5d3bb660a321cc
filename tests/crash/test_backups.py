"""A backup is whole or none, and so is a server that is put back, wherever a kill falls.

Here a few of the kills that `python -m tests.crash.backups` tries completely.
"""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.crash.shim import missing_tools

ROOT = Path(__file__).resolve().parents[2]
SEED = os.environ.get("LOCKGATE_CRASH_SEED") or str(datetime.now(UTC).toordinal())


@pytest.mark.skipif("cc" in missing_tools(), reason="the crash rig needs cc")
def test_a_killed_backup_is_none_and_a_killed_restore_goes_on() -> None:
    command = [sys.executable, "-m", "tests.crash.backups", "--most", "3", "--seed", SEED, "--json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    tallies = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(tallies) == 3, ran.stderr
    for tally in tallies:
        assert tally["broken"] == [], f"LOCKGATE_CRASH_SEED={SEED}"
        assert tally["tried"] == 3, tally
