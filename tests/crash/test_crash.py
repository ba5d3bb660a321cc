"""An installation is all-old or all-new, whatever cuts an update off, and the next run converges.

Here a sample of what `make crash` tries completely. Which points are in it changes daily; to repeat
a failure, set LOCKGATE_CRASH_SEED to the number in its message.
"""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.crash.campaigns import CAMPAIGNS
from tests.crash.scenarios import SCENARIOS
from tests.crash.shim import missing_tools

ROOT = Path(__file__).resolve().parents[2]
SEED = os.environ.get("LOCKGATE_CRASH_SEED") or str(datetime.now(UTC).toordinal())

pytestmark = pytest.mark.skipif(
    bool(missing_tools()), reason=f"the crash rig needs {' and '.join(missing_tools())}"
)


def _run(*arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.stdout, ran.stderr
    return ran.stdout


def _try(campaign: str, scenarios: str, every: int) -> list[dict[str, Any]]:
    sample = ["--every", str(every), "--seed", SEED, "--jobs", "1", "--json"]
    lines = _run("tests.crash", campaign, *scenarios.split(), *sample).splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("campaign", "scenarios", "every"),
    [
        ("strace", "first failing run", 1),
        ("kill", "update", 8),
        ("kill", "init first failing revoked replaced", 24),
        ("kill", "trial confirm quit run rollback damaged repair", 19),
        ("start", "failing", 12),
        ("recover", "failing", 40),
        ("cut", "failing", 60),
        ("fault", "update", 50),
        ("dead", "failing", 40),
        ("takeover", "update", 12),
        ("together", "first", 12),
        ("race", "update", 10),
        ("server", "update", 9),
        ("server", "first revoked", 30),
        ("random", "first update failing revoked", 40),
    ],
)
def test_old_or_new_and_the_next_run_converges(campaign: str, scenarios: str, every: int) -> None:
    tallies = _try(campaign, scenarios, every)
    assert len(tallies) == len(scenarios.split())
    for tally in tallies:
        assert tally["broken"] == [], f"LOCKGATE_CRASH_SEED={SEED}"
        assert tally["tried"] > 0


def test_the_rig_sees_what_is_wrong_with_programs_that_are() -> None:
    seen = json.loads(_run("tests.crash.toys"))
    right = {"old program", "new program"}
    assert set(seen["right"]["kill"]) == set(seen["right"]["cut"]) == right
    assert {"", "new p"} <= set(seen["in place"]["kill"])
    assert "missing" in seen["removed first"]["kill"]
    # A kill never shows a missing sync; a power cut does.
    assert set(seen["not synced"]["kill"]) <= right
    assert {"", "new p", "0" * len("new program")} <= set(seen["not synced"]["cut"])


def test_an_update_costs_at_most_twelve_syncs_from_staged_to_at_rest() -> None:
    counted = json.loads(_run("tests.crash.syncs"))
    assert counted["states"] == ["downloading", "staged", "trial", "committed", "idle"]
    assert counted["staged"] <= 12
    assert counted["command"] <= 18


def test_the_page_names_every_campaign_and_scenario() -> None:
    page = (ROOT / "docs" / "explanation" / "crash-safety.md").read_text()
    for name in [*CAMPAIGNS, *SCENARIOS]:
        assert f"| `{name}` |" in page, name
