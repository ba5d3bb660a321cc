"""An installation is all-old or all-new after a kill at any moment, and the next run converges.

The whole of it takes half a minute: here every fifth point of each scenario, and all of them with
`LOCKGATE_CRASH_STRIDE=1`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.rig import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]
STRIDE = int(os.environ.get("LOCKGATE_CRASH_STRIDE", "5"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kill_before_any_change_leaves_old_or_new_and_the_next_run_converges(
    name: str, tmp_path: Path
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.crash.rig", name, tmp_path, str(STRIDE), "0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["broken"] == []
    assert found["tried"] >= 16 // STRIDE
