"""Writers against each other, as real processes: one wins each step, nothing mixed, nothing burnt.

Here a few rounds of what `python -m tests.faults.races` runs for as long as one likes.
"""

from pathlib import Path

from tests.faults.races import run_race
from tests.faults.site import open_site

FEW = ["two publishers, two servers", "paused before the pointer"]


def test_of_two_writers_at_once_each_is_in_force_or_is_told_and_comes_second(
    tmp_path: Path, service: str
) -> None:
    with open_site(tmp_path, service, servers=2) as site:
        for name in FEW:
            run_race(site, name, 0)
        sight = site.look()
        assert {"3.0.0", "3.0.1-beta", "5.0.0", "5.0.1-beta"} <= sight.live()
        assert sight.offers("stable")[0] == ("5.0.0", 10_000)
        assert sight.offers("beta")[0] == ("5.0.1-beta", 10_000)
