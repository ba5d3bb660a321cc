"""A real server that steers: reports come in, the worker acts, and clients see it."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lockgate_release.decision_values import Offer
from lockgate_release.gate import Arm, bucket
from lockgate_release.names import AppName, ChannelName
from lockgate_release.reports import MAX_REPORTS, dump_reports
from lockgate_release.requests import OfferRequest
from lockgate_release.rollout.plan import DEFAULT_PLAN, Plan
from lockgate_release.steering_requests import ChosenPlan
from lockgate_server.stores.sqlite_reports import SqliteReportLedger
from lockgate_updater import Updater
from tests.simulators.fleet import FleetSimulator
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_process import READY_TIMEOUT_S, ServerProcess

NEW = "1.1.0"
QUICK = replace(
    DEFAULT_PLAN,
    stages=(
        replace(DEFAULT_PLAN.stages[2], dwell_s=0, reports=20),
        DEFAULT_PLAN.stages[3],
    ),
    window_s=3600,
    worst_ratio_percent=1_500,
)
"""A quarter, then everybody, as soon as the evidence is there."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """All clients here are in one block of addresses: let that block speak for all."""
    data = tmp_path_factory.mktemp("steered") / "data"
    with ServerProcess(data, LOCKGATE_REPORT_SHARE="100%") as running:
        yield running


def _begin(server: ServerProcess, app: AppName) -> PublisherSimulator:
    """Whoever has published 1.0.0 of an app to everybody."""
    publisher = PublisherSimulator(app, now=datetime.now(UTC).replace(microsecond=0))
    server.register(publisher)
    server.publish(publisher, publisher.build("1.0.0"))
    return publisher


def _publish(server: ServerProcess, publisher: PublisherSimulator, plan: Plan) -> None:
    build = publisher.build(NEW)
    server.upload(publisher, build)
    request = publisher.publish(server.chain(publisher), build)
    offer = OfferRequest(channel=ChannelName("stable"), version=NEW, chosen=ChosenPlan(plan=plan))
    body = replace(request, offer=offer).to_json()
    assert server.call("POST", f"/api/v1/apps/{publisher.app}/publish", body).status == 200


def _rollout(server: ServerProcess, publisher: PublisherSimulator) -> Any:
    offers = server.channel(publisher)["offers"]
    return next(item["rollout"] for item in offers if item["version"] == NEW)


def _outsider(
    server: ServerProcess, publisher: PublisherSimulator, home: Path, exposure_bp: int
) -> Updater:
    """A client that the rollout leaves outside."""
    salt = _rollout(server, publisher)["salt"]
    ids = (str(UUID(int=number, version=4)) for number in range(1_000))
    return Updater.create(
        home,
        app=publisher.app,
        repository=server.public,
        channel="stable",
        root=publisher.root,
        client_id=next(item for item in ids if bucket(salt, item) >= exposure_bp),
    )


def _offered(client: Updater) -> str:
    found = client.check()
    assert isinstance(found, Offer), found
    return found.version


def _round(server: ServerProcess) -> None:
    """Have the worker look: it does so when it starts, and then once a minute."""
    assert server.stop() == 0
    server.start()


def _wait_for(server: ServerProcess, publisher: PublisherSimulator, epoch: int) -> Any:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while _rollout(server, publisher)["epoch"] < epoch:
        assert time.monotonic() < deadline, server.said()
        time.sleep(0.1)
    return _rollout(server, publisher)


def test_a_bad_release_is_halted_by_what_its_clients_report(
    server: ServerProcess, tmp_path: Path
) -> None:
    app = AppName("bad")
    publisher = _begin(server, app)
    _publish(server, publisher, DEFAULT_PLAN)
    fleet, now = FleetSimulator(app=app, version=NEW), datetime.now(UTC)
    sent = fleet.reports(Arm.OFFERED, 30, bad=30, epoch=1, hour=now)
    for first in range(0, len(sent), MAX_REPORTS):
        body = dump_reports(sent[first : first + MAX_REPORTS])
        answer = server.call("POST", f"/{app}/reports", body, side="public")
        assert answer.status == 202
        assert answer.json()["dropped"] == 0
    _round(server)
    rollout = _wait_for(server, publisher, epoch=2)
    assert (rollout["state"], rollout["exposure_bp"]) == ("halted", 100)
    assert rollout["progress"]["reason"] == "above-ceiling"
    client = _outsider(server, publisher, tmp_path / "home", 100)
    assert _offered(client) == "1.0.0"
    (entry,) = server.call("GET", f"/api/v1/apps/{app}/audit?limit=1").json()["entries"]
    assert (entry["actor"], entry["action"]) == ("worker", "rollout.halt")
    assert entry["details"]["evidence"]["canary"]["failed_already"] == 30


def test_a_good_release_reaches_those_who_were_held_back(
    server: ServerProcess, tmp_path: Path
) -> None:
    app = AppName("good")
    publisher = _begin(server, app)
    _publish(server, publisher, QUICK)
    client = _outsider(server, publisher, tmp_path / "home", 2_500)
    assert _offered(client) == "1.0.0"
    # Reports of three hours ago, whose window has closed.
    ledger = SqliteReportLedger(server.data / "reports.sqlite3")
    fleet, now = FleetSimulator(app=app, version=NEW), datetime.now(UTC)
    ago = now - timedelta(hours=3)
    fleet.tell(ledger, canaries=(60, 3), control=(180, 18), now=ago)
    ledger.close()
    detail = f"/api/v1/apps/{app}/channels/stable/rollouts/{NEW}"
    verdict = server.call("GET", detail).json()["verdict"]
    assert (verdict["action"], verdict["reason"]) == ("widen", "proven")
    _round(server)
    rollout = _wait_for(server, publisher, epoch=2)
    assert (rollout["state"], rollout["exposure_bp"]) == ("active", 10_000)
    again = Updater.open(client.home, flags={"repository": server.public})
    assert _offered(again) == NEW
