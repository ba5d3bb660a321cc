"""An installation is all-old or all-new, whatever cuts an update off, and the next run converges.

Here a sample of what `make crash` tries completely: one point of each campaign in each scenario it
is meant for. Which one changes daily; to repeat a failure, set LOCKGATE_CRASH_SEED to the number in
its message.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.crash.campaigns import CAMPAIGNS
from tests.crash.scenarios import SCENARIOS
from tests.crash.shim import missing_tools

ROOT = Path(__file__).resolve().parents[2]
SEED = os.environ.get("LOCKGATE_CRASH_SEED") or str(datetime.now(UTC).toordinal())

# The large one has its own name for a reason, and only random kills are meant for it.
SAMPLED = [name for name in SCENARIOS if name != "large"]

pytestmark = pytest.mark.skipif(
    bool(missing_tools()), reason=f"the crash rig needs {' and '.join(missing_tools())}"
)


def _run(*arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.stdout, ran.stderr
    return ran.stdout


def _try(campaign: str, scenarios: Sequence[str], *options: str) -> list[dict[str, Any]]:
    sample = [*options, "--seed", SEED, "--jobs", "1", "--json"]
    lines = _run("tests.crash", campaign, *scenarios, *sample).splitlines()
    return [json.loads(line) for line in lines]


def _assert_whole(tallies: list[dict[str, Any]]) -> None:
    for tally in tallies:
        assert tally["broken"] == [], f"LOCKGATE_CRASH_SEED={SEED}"
        assert tally["tried"] > 0, tally


# In quarters: in one piece it is what all other workers wait for at the end.
@pytest.mark.parametrize("quarter", range(4))
def test_old_or_new_and_the_next_run_converges(quarter: int) -> None:
    scenarios = SAMPLED[quarter::4]
    campaigns = [name for name in CAMPAIGNS if name != "strace"]
    tallies = _try(",".join(campaigns), scenarios, "--most", "1")
    meant = {(name, one) for name in campaigns for one in CAMPAIGNS[name].scenarios}
    tried = {(tally["campaign"], tally["scenario"]) for tally in tallies}
    assert tried == {(name, one) for name, one in meant if one in scenarios}
    _assert_whole(tallies)


def test_the_shim_has_seen_each_system_call() -> None:
    chosen = random.Random(SEED).choice(SAMPLED)
    tallies = _try("strace", [chosen])
    assert [tally["scenario"] for tally in tallies] == [chosen]
    _assert_whole(tallies)


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
