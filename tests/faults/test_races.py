"""Writers against each other, as real processes: one wins each step, nothing mixed, nothing burnt.

Here a few rounds of what `python -m tests.faults.races` runs for as long as one likes.
"""

from pathlib import Path

from tests.faults.races import run_race
from tests.faults.site import Site, open_site
from tests.simulators.fault_proxy import Fault, Trouble

FEW = ["two publishers, two servers", "paused before the pointer"]


AT_THE_POINTER = [Trouble.SLOW_DOWN, Trouble.LOST_ANSWER, Trouble.ERROR_AFTER]


def _meet_troubles(site: Site) -> None:
    """One trouble at the pointer is nothing that whoever publishes would notice."""
    for number, trouble in enumerate(AT_THE_POINTER):
        site.proxies[0].plan(Fault(trouble, "PUT", "*/timestamp.json"))
        site.must(site.publish(f"6.0.{number}"))
        assert site.proxies[0].heal(), trouble


def test_of_two_writers_at_once_each_is_in_force_or_is_told_and_comes_second(
    tmp_path: Path, service: str
) -> None:
    with open_site(tmp_path, service, servers=2) as site:
        for name in FEW:
            run_race(site, name, 0)
        _meet_troubles(site)
        sight = site.look()
        assert sight.offers("stable")[0] == (f"6.0.{len(AT_THE_POINTER) - 1}", 10_000)
        assert sight.offers("beta")[0] == ("5.0.1-beta", 10_000)
