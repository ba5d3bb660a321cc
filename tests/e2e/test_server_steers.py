"""A real server that steers: reports come in, the worker acts, and clients see it."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lockgate_release.decision_values import Held, Offer
from lockgate_release.gate import Arm, bucket
from lockgate_release.names import AppName, ChannelName
from lockgate_release.reports import MAX_REPORTS, dump_reports
from lockgate_release.requests import MIN_LIFETIME_S, OfferRequest
from lockgate_release.rollout.plan import DEFAULT_PLAN, Plan
from lockgate_release.steering_requests import ChosenPlan
from lockgate_server.assembly import open_write_deps
from lockgate_server.children.common import make_health, new_request_id
from lockgate_server.public import PublicDeps, create_public_app
from lockgate_server.services.reports.in_force import View
from lockgate_server.services.reports.intake import Intake, IntakeLimits
from lockgate_server.services.write.deps import Caller
from lockgate_server.services.write.publish import publish
from lockgate_server.settings import ServerSettings
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


def _post_three_hours_ago(server: ServerProcess, app: AppName) -> None:
    """Have a fleet report whose windows have closed: over HTTP, while the clock was behind."""
    ago = datetime.now(UTC) - timedelta(hours=3)
    settings = ServerSettings(data=server.data)
    fleet = FleetSimulator(app=app, version=NEW)
    sent = [
        *fleet.reports(Arm.OFFERED, 60, bad=3, epoch=1, hour=ago),
        *fleet.reports(Arm.CONTROL, 180, bad=18, epoch=1, hour=ago),
    ]
    with open_write_deps(settings, {}) as deps:
        intake = Intake(
            ledger=deps.reports,
            view=View(deps.store, deps.ledger, time.monotonic),
            now=lambda: ago,
            monotonic_s=time.monotonic,
            limits=IntakeLimits(share_bp=10_000),
        )
        health = make_health(deps.store, deps.ledger, deps.reports)
        web = create_public_app(
            PublicDeps(
                store=deps.store, health=health, api_port=0, new_id=new_request_id, intake=intake
            )
        ).test_client()
        for first in range(0, len(sent), MAX_REPORTS):
            answer = web.post(f"/{app}/reports", data=dump_reports(sent[first:][:MAX_REPORTS]))
            assert (answer.status_code, answer.get_json()["dropped"]) == (202, 0)
        intake.stop()


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
    _post_three_hours_ago(server, app)
    detail = f"/api/v1/apps/{app}/channels/stable/rollouts/{NEW}"
    verdict = server.call("GET", detail).json()["verdict"]
    assert (verdict["action"], verdict["reason"]) == ("widen", "proven")
    _round(server)
    rollout = _wait_for(server, publisher, epoch=2)
    assert (rollout["state"], rollout["exposure_bp"]) == ("active", 10_000)
    again = Updater.open(client.home, flags={"repository": server.public})
    assert _offered(again) == NEW


def test_a_preview_that_is_over_is_emptied_and_its_clients_are_told(
    server: ServerProcess, tmp_path: Path
) -> None:
    app, preview = AppName("previewed"), ChannelName("pr-7")
    publisher = _begin(server, app)
    build = publisher.build("1.1.0-pr.7")
    server.upload(publisher, build)
    request = publisher.publish(server.chain(publisher), build, channels=[preview])
    offer = OfferRequest(channel=preview, version=build.version, lifetime_s=MIN_LIFETIME_S)
    assert server.stop() == 0
    # It was published two hours ago, and its clients had it.
    ago = datetime.now(UTC) - timedelta(hours=2)
    with open_write_deps(ServerSettings(data=server.data), {}) as deps:
        then = replace(deps, now=lambda: ago)
        publish(then, app, replace(request, offer=offer), Caller(actor="a test"))
    server.start()
    deadline = time.monotonic() + READY_TIMEOUT_S
    while server.channel(publisher, preview)["offers"]:
        assert time.monotonic() < deadline, server.said()
        time.sleep(0.1)
    client = Updater.create(
        tmp_path / "home",
        app=app,
        repository=server.public,
        channel=preview,
        root=publisher.root,
    )
    found = client.check()
    assert isinstance(found, Held), found
    assert "was a preview and has ended" in found.reason
    (entry,) = server.call("GET", f"/api/v1/apps/{app}/audit?limit=1").json()["entries"]
    assert (entry["actor"], entry["action"]) == ("worker", "channel.end")
    assert server.channel(publisher)["offers"][0]["version"] == "1.0.0"
