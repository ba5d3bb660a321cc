"""`python -m tests.faults.races [--rounds N]`: writers against each other, as real processes.

After each round: what is in force is whole; who was told yes finds it in force; who lost was told
so as a conflict, and the same again goes through; and no number is burnt, for the next round
publishes on top.
"""

# ruff: noqa: T201 (it is a command: it prints)

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from lockgate_release.errors import ExitCode
from tests.faults.bench import APP, BUCKET, session
from tests.faults.site import Running, Site, open_site
from tests.simulators.s3_server import s3_server

__all__ = ["RACES", "run_race"]

_POINTER = f"*/{APP}/metadata/timestamp.json"
_LAST_BEFORE = f"*/{APP}/metadata/*.snapshot.json"


def _one_server(site: Site, number: int) -> list[Running]:
    """Two publishers at once, at one server."""
    return [
        site.publish(f"2.{number}.0"),
        site.publish(f"2.{number}.1-beta", channel="beta"),
    ]


def _two_servers(site: Site, number: int) -> list[Running]:
    """Two publishers at once, each at a server with a database of its own."""
    return [
        site.publish(f"3.{number}.0", server=number % 2),
        site.publish(f"3.{number}.1-beta", channel="beta", server=1 - number % 2),
    ]


def _paused_at_the_pointer(site: Site, number: int) -> list[Running]:
    """A server is stopped while its pointer is on the way, and the other one publishes."""
    return _pause(site, number, "4", key=_POINTER, behind=False)


def _paused_before_the_pointer(site: Site, number: int) -> list[Running]:
    """A server is stopped between its documents and its pointer, and the other one publishes."""
    return _pause(site, number, "5", key=_LAST_BEFORE, behind=True)


def _pause(site: Site, number: int, major: str, *, key: str, behind: bool) -> list[Running]:
    slow = number % 2
    gate = site.proxies[slow].hold("PUT", key, behind=behind)
    late = site.publish(f"{major}.{number}.0", server=slow)
    gate.wait_until_reached()
    site.pause(slow)
    try:
        other = site.publish(f"{major}.{number}.1-beta", channel="beta", server=1 - slow)
        site.must(other)
        assert other.version in site.look().live()
        gate.open()
    finally:
        site.go_on(slow)
    return [late]


RACES: Mapping[str, Callable[[Site, int], list[Running]]] = {
    "two publishers, one server": _one_server,
    "two publishers, two servers": _two_servers,
    "paused at the pointer": _paused_at_the_pointer,
    "paused before the pointer": _paused_before_the_pointer,
}


def run_race(site: Site, name: str, number: int) -> int:
    """Run one round, and return how many of its commands lost and had to be typed again."""
    lost = []
    for running in RACES[name](site, number):
        code, words = running.end()
        assert code in {ExitCode.OK, ExitCode.CONFLICT}, (code, words)
        if code == ExitCode.CONFLICT:
            assert "Traceback" not in words, words
            lost.append(running)
        else:
            assert running.version in site.look().live(), words
    for running in lost:
        channel = "beta" if "beta" in running.version else "stable"
        site.must(site.publish(running.version, channel=channel))
    _check(site)
    return len(lost)


def _check(site: Site) -> None:
    sight = site.look()
    for channel in ("stable", "beta"):
        newest = sight.offers(channel)[0][0]
        assert newest in sight.live()
    for server in site.servers:
        answer = server.call("GET", f"/api/v1/apps/{APP}")
        assert answer.status == 200, answer.body
        assert answer.json()["timestamp_version"] == sight.chain.timestamp.version


def main() -> int:
    """Run every race, round after round; 1 if one went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.races", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    folder = Path(tempfile.mkdtemp(prefix="lockgate-races-"))
    try:
        with s3_server() as service:
            client = session().client("s3", endpoint_url=service)
            client.create_bucket(Bucket=BUCKET)
            client.close()
            with open_site(folder, service, servers=2) as site:
                for name in RACES:
                    lost = sum(run_race(site, name, number) for number in range(rounds))
                    print(f"{name:30} {rounds:>4} rounds, {lost} typed again", flush=True)
    except AssertionError as exc:
        print(f"broken: {exc}")
        return 1
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
