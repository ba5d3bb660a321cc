"""What a server in service may meet: here one point of three; `make ordeals` meets all of them."""

from collections.abc import Iterator

import pytest

from tests.crash.tally import Sample
from tests.faults.ordeals import Ground, open_ground, run_ordeal

SAMPLED = ["kill publish", "bucket down", "database damaged"]


@pytest.fixture(scope="module")
def ground(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with open_ground(tmp_path_factory.mktemp("ground"), service) as made:
        made.outage_s = 2.0
        yield made


@pytest.mark.parametrize("name", SAMPLED)
def test_nothing_that_was_acknowledged_is_lost(ground: Ground, name: str) -> None:
    tally = run_ordeal(ground, name, Sample(most=1, seed=3))
    assert tally.broken == []
    assert tally.tried == 1
