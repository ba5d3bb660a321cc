"""What a real client reports is what a real server counts."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockgate_release.documents import HealthCheck, Install
from lockgate_release.gate import Arm
from lockgate_release.names import AppName, ChannelName
from lockgate_release.rollout.counts import Cohort
from lockgate_server.stores.sqlite_reports import SqliteReportLedger
from lockgate_updater import Updater
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_process import ServerProcess

APP = AppName("demo")
STABLE = ChannelName("stable")
PATIENT_S = 60.0
CHECKED = Install(entrypoint="tool", health=HealthCheck(command=("tool",)))
WELL, ILL = (f"#!/bin/sh\nexit {code}\n".encode() for code in (0, 1))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path / "data") as running:
        yield running


def _wait_for_outcomes(server: ServerProcess, version: str, count: int) -> Sequence[Cohort]:
    deadline = time.monotonic() + PATIENT_S
    while True:
        with closing(SqliteReportLedger(server.data / "reports.sqlite3")) as ledger:
            found = ledger.cohorts(APP, STABLE, version)
        if sum(one.healthy + one.bad for one in found) >= count:
            return found
        assert time.monotonic() < deadline, (found, server.said())
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("exposure_bp", "program", "arm", "expected"),
    [
        (9_999, WELL, Arm.OFFERED, (1, 1, 0)),
        (9_999, ILL, Arm.OFFERED, (1, 0, 1)),
        (1, WELL, Arm.CONTROL, (1, 1, 0)),
    ],
)
def test_a_client_is_counted_once_in_its_arm_with_how_it_fared(
    server: ServerProcess,
    tmp_path: Path,
    exposure_bp: int,
    program: bytes,
    arm: Arm,
    expected: tuple[int, int, int],
) -> None:
    publisher = PublisherSimulator(APP, now=datetime.now(UTC).replace(microsecond=0))
    server.register(publisher)
    first = publisher.build("1.0.0", {"any": WELL}, name="tool", install=CHECKED)
    server.publish(publisher, first)
    client = Updater.create(
        tmp_path / "home",
        app=APP,
        repository=server.public,
        channel=STABLE,
        root=publisher.root,
        client_id="00000000-0000-4000-8000-000000000001",
        reports=True,
    )
    assert client.update().version == "1.0.0"
    second = publisher.build(
        "2.0.0", {"any": program + b"# another\n"}, name="tool", install=CHECKED
    )
    server.publish(publisher, second, exposure_bp=exposure_bp)
    for _ in range(2):
        client.update()
    (cohort,) = _wait_for_outcomes(server, "2.0.0", 1)
    assert cohort.arm is arm
    assert (cohort.enrolled, cohort.healthy, cohort.bad) == expected
    status = client.status().reports
    assert (status.to, status.waiting, status.answer) == (
        f"{server.public}/demo/reports",
        0,
        "status 202",
    )
    with closing(SqliteReportLedger(server.data / "reports.sqlite3")) as ledger:
        (counted,) = ledger.active(APP, datetime.now(UTC).date())
    assert (counted.version, counted.clients) == ("1.0.0", 1)
