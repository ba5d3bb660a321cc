"""Whatever a store does wrong at any request, clients see old or new, and the rerun completes.

Here a sample of what `make faults` tries completely. Which requests are in it changes daily; to
repeat a failure, set LOCKGATE_FAULTS_SEED to the number in its message.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.crash.tally import Sample
from tests.faults.bench import open_bench
from tests.faults.campaign import requests_of, try_trouble
from tests.simulators.fault_proxy import Trouble

SEED = int(os.environ.get("LOCKGATE_FAULTS_SEED") or datetime.now(UTC).toordinal())


@pytest.mark.parametrize(("change", "every"), [("publish", 1), ("revoke", 3)])
def test_a_change_under_each_trouble_leaves_old_or_new_and_the_rerun_completes(
    tmp_path: Path, service: str, change: str, every: int
) -> None:
    with open_bench(tmp_path, service) as bench:
        requests = requests_of(bench, change)
        for number, trouble in enumerate(list(Trouble)[SEED % every :: every]):
            sample = Sample(every=len(requests), seed=SEED + 7 * number)
            tally = try_trouble(bench, change, trouble, sample, requests)
            assert not tally.broken, f"seed {SEED}: {tally.broken}"
