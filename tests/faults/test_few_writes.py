"""A revocation is live after few writes of the store, also where others write at the same time."""

import threading
from pathlib import Path

import pytest

from tests.faults.bench import APP, Bench, open_bench
from tests.simulators.fault_proxy import Seen

MOST_WRITES = 6
POINTER = f"*/{APP}/metadata/timestamp.json"


def writes_until_live(bench: Bench) -> list[Seen]:
    """The writes up to the one by which the pointer has moved."""
    writes = bench.proxy.writes()
    moved = [n for n, seen in enumerate(writes) if "timestamp" in seen.path and seen.status == 200]
    return writes[: moved[-1] + 1]


@pytest.mark.parametrize("channels", [["stable"], ["stable", "beta", "nightly"]])
def test_a_revocation_is_live_after_six_writes(
    tmp_path: Path, service: str, channels: list[str]
) -> None:
    with open_bench(tmp_path, service) as bench:
        version = bench.next_version()
        bench.must(bench.publish(version, *channels))
        bench.proxy.forget()
        bench.must(bench.revoke(version))
        writes = writes_until_live(bench)
        assert len(writes) == 3 + len(channels) <= MOST_WRITES, writes
        assert all(version in bench.look().revoked(channel) for channel in channels)


def test_a_revocation_that_others_overtake_is_tried_again_once_for_each(
    tmp_path: Path, service: str
) -> None:
    with open_bench(tmp_path, service, read_timeout_s=60.0) as bench:
        version = bench.next_version()
        bench.must(bench.publish(version))
        gate = bench.proxy.hold("PUT", POINTER)
        answers = []
        overtaken = threading.Thread(target=lambda: answers.append(bench.revoke(version)))
        bench.proxy.forget()
        overtaken.start()
        gate.wait_until_reached()
        bench.must(bench.elsewhere().run("revoke", APP, "1.0.1", "--reason", "old", "--yes"))
        gate.open()
        overtaken.join()
        bench.must(answers[0])
        assert set(bench.look().revoked()) == {"1.0.1", version}
        pointers = [seen.status for seen in bench.proxy.writes() if "timestamp" in seen.path]
        assert sorted(pointers) == [200, 200, 412]
        copies = len([seen for seen in bench.proxy.writes() if "/channels/stable/" in seen.path])
        assert len(bench.proxy.writes()) <= 3 * MOST_WRITES + copies
