"""Reports through real processes: what a stop, a kill and a second process make of them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockgate_release.gate import Arm
from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.reports import CohortKey, Enrolled, Fared, Outcome, Report, dump_reports
from lockgate_release.rollout.counts import Cohort
from lockgate_server.services.reports.intake import FLUSH_S
from lockgate_server.stores.sqlite_reports import SqliteReportLedger
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_process import Answer, ServerProcess, run_command
from tests.simulators.server_site import type_command

APP = AppName("demo")
STABLE = ChannelName("stable")
BEHIND_A_PROXY = {"LOCKGATE_TRUSTED_PROXIES": "127.0.0.1"}
TRUSTING = {"LOCKGATE_REPORT_SHARE": "100%"}


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    environ = BEHIND_A_PROXY | getattr(request, "param", TRUSTING)
    with ServerProcess(tmp_path / "data", **environ) as running:
        publisher = PublisherSimulator(APP, now=datetime.now(UTC).replace(microsecond=0))
        running.register(publisher)
        running.publish(publisher, publisher.build("1.0.0"))
        running.publish(publisher, publisher.build("1.1.0"), exposure_bp=1_000)
        yield running


HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
COHORT = CohortKey(
    channel=STABLE,
    version="1.1.0",
    epoch=1,
    arm=Arm.OFFERED,
    platform=Platform("linux-x86_64"),
    from_version="1.0.0",
    hour=HOUR,
)


def enrolled(number: int) -> Enrolled:
    return Enrolled(nonce=f"{number:032x}", cohort=COHORT)


def healthy(number: int) -> Fared:
    return Fared(nonce=f"{number:032x}", cohort=COHORT, outcome=Outcome.HEALTHY)


def send(server: ServerProcess, *reports: Report, block: int) -> Answer:
    headers = {"X-Forwarded-For": f"198.{block >> 8 & 255}.{block & 255}.1"}
    return server.call(
        "POST", f"/{APP}/reports", dump_reports(reports), side="public", headers=headers
    )


def send_all(server: ServerProcess, numbers: range) -> int:
    """Each client from a block of its own, four at a time; returns how many were accepted."""

    def one(number: int) -> int:
        accepted: int = send(server, enrolled(number), block=number).json()["accepted"]
        return accepted

    with ThreadPoolExecutor(4) as pool:
        return sum(pool.map(one, numbers))


def counted(server: ServerProcess) -> Cohort | None:
    with closing(SqliteReportLedger(server.data / "reports.sqlite3")) as ledger:
        return next(iter(ledger.cohorts(APP, STABLE, "1.1.0")), None)


def clients(server: ServerProcess) -> int:
    found = counted(server)
    return found.enrolled if found else 0


def wait_for(server: ServerProcess, count: int) -> None:
    deadline = time.monotonic() + 60
    while clients(server) < count:
        assert time.monotonic() < deadline, server.said()
        time.sleep(0.1)


def test_a_stop_loses_nothing_that_was_accepted(server: ServerProcess) -> None:
    assert send_all(server, range(200)) == 200
    assert server.stop() == 0
    assert clients(server) == 200


def test_a_kill_loses_no_more_than_the_last_flush(server: ServerProcess) -> None:
    accepted: dict[int, float] = {}
    began = time.monotonic()
    while time.monotonic() - began < 3 * FLUSH_S:
        number = len(accepted)
        assert send(server, enrolled(number), block=number).json()["accepted"] == 1
        accepted[number] = time.monotonic()
        time.sleep(0.02)  # a flood is not what this is about
    server.kill()
    killed = time.monotonic()
    # A flush itself takes a while, on a busy machine.
    safe = sum(at < killed - 2 * FLUSH_S for at in accepted.values())
    assert safe > 0
    kept = clients(server)
    assert safe <= kept <= len(accepted)
    server.start()
    # Whoever heard no answer sends again: nobody counts twice, and nobody is missing.
    for start in range(0, len(accepted), 20):
        again = [enrolled(number) for number in range(start, min(start + 20, len(accepted)))]
        send(server, *again, block=start)
    wait_for(server, len(accepted))
    assert server.stop() == 0
    assert clients(server) == len(accepted)


def test_what_one_process_has_counted_the_other_one_knows(server: ServerProcess) -> None:
    for _ in range(3):
        assert send_all(server, range(50)) == 50
    wait_for(server, 50)
    for number in range(50):
        send(server, healthy(number), block=number)
    assert server.stop() == 0
    found = counted(server)
    assert found is not None
    assert (found.enrolled, found.healthy) == (50, 50)
    said = type_command("status", "--data", server.data)
    assert "reports dropped in the last 30 days: 100 repeated" in said.out


@pytest.mark.parametrize("server", [{"LOCKGATE_PUBLIC_WORKERS": "4"}], indirect=True)
def test_a_flood_from_one_block_through_real_processes_is_two_clients(
    server: ServerProcess,
) -> None:
    answers = [send(server, enrolled(number), block=7) for number in range(300)]
    assert {answer.status for answer in answers} <= {202, 429}
    assert server.stop() == 0
    assert clients(server) == 2


def test_a_server_that_takes_no_reports_says_so(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", LOCKGATE_REPORT_INTAKE="off") as server:
        assert send(server, enrolled(1), block=1).status == 404


def test_a_damaged_file_of_counts_stops_no_revocation(server: ServerProcess) -> None:
    send(server, enrolled(1), block=1)
    wait_for(server, 1)
    assert server.stop() == 0
    for name in ("reports.sqlite3", "reports.sqlite3-wal", "reports.sqlite3-shm"):
        (server.data / name).unlink(missing_ok=True)
    (server.data / "reports.sqlite3").write_bytes(b"no database" * 1000)
    server.start()
    revoke = {"version": "1.1.0", "reason": "it eats files"}
    assert server.call("POST", f"/api/v1/apps/{APP}/revocations", revoke).status in {200, 201}
    assert server.call("GET", "/health/ready").status == 200
    token = {"Authorization": f"Bearer {server.token}"}
    snapshot = server.call("GET", "/health/snapshot", headers=token).json()
    assert snapshot["reports_dropped"] is None


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"LOCKGATE_REPORT_INTAKE": "perhaps"}, "on or off"),
        ({"LOCKGATE_REPORT_SHARE": "0%"}, "0.01% to 100%"),
        ({"LOCKGATE_TRUSTED_PROXIES": "the-proxy"}, "192.0.2.7 or 10.0.0.0/8"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(
    tmp_path: Path, setting: dict[str, str], words: str
) -> None:
    refused = run_command("run", "--data", str(tmp_path / "data"), **setting)
    assert refused.returncode == 2
    assert words in refused.stderr
