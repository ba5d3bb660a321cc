"""What a client reports, when, and that it says it once; what it never reports."""

import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.documents import HealthCheck, Install, Remedy
from lockgate_release.errors import LockgateError
from lockgate_release.reports import Active, Enrolled, Fared, parse_reports
from lockgate_updater import Updater
from lockgate_updater.state.journal import State, load_record, store_record
from tests.simulators.client import CLIENT_ID, SimulatedClient, make_client
from tests.simulators.faults import Kind
from tests.simulators.http_server import serve
from tests.simulators.launched import put_on_trial, run, wait_until
from tests.simulators.reporting import TAKEN, Listener, let_report
from tests.simulators.repository import (
    HEALTHY,
    SICK,
    STABLE,
    RepositorySimulator,
    checked_by,
)
from tests.simulators.scripted_server import scripted_server

NEXT = {**HEALTHY, "two": b"2"}
CHECKED = checked_by("bin/app")


@pytest.fixture
def listener(client: SimulatedClient) -> Iterator[Listener]:
    """1.0.0 is installed, its client reports, and nothing was heard of it yet but that it is."""
    with scripted_server(TAKEN) as server:
        client.update()
        let_report(client, server)
        yield Listener(server)


def _offer(repository: RepositorySimulator, version: str, exposure_bp: int, epoch: int) -> None:
    """Offer a release to a share of clients, and have all others in control."""
    document = repository.channels[STABLE]
    offers = tuple(
        item
        if item.version != version
        else item.with_rollout(
            type(item.rollout)(
                salt=item.rollout.salt,
                exposure_bp=exposure_bp,
                control_bp=10_000 - exposure_bp,
                epoch=epoch,
            )
        )
        for item in document.offers
    )
    repository.issue(STABLE, offers=offers)


def test_a_client_that_was_not_asked_to_reports_nothing(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)
    client.update()
    assert not (client.home / "state" / "reports.json").exists()
    assert client.updater.status().reports.to == ""


def test_a_canary_enrols_and_tells_that_it_is_healthy_under_one_nonce(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener
) -> None:
    repository.publish("2.0.0", NEXT, exposure_bp=9_999)
    assert client.update() == "updated"
    assert listener.arms() == [("2.0.0", "offered", 1)]
    assert listener.outcomes() == [("2.0.0", "healthy", "")]
    cohort = listener.enrolled[0].cohort
    assert (cohort.from_version, cohort.channel) == ("1.0.0", "stable")
    assert (cohort.hour.minute, cohort.hour.second) == (0, 0)
    for _ in range(3):
        client.update()
    assert len(listener.enrolled) == len(listener.fared) == 1


def test_an_enrolment_is_heard_before_the_release_can_hurt_and_sent_once(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener
) -> None:
    repository.publish("2.0.0", NEXT, install=CHECKED)

    def observe(event: object) -> None:
        if getattr(event, "name", "") == "on-trial":
            wait_until(lambda: bool(listener.enrolled))

    client.updater.update(progress=observe)
    assert client.runs() == "2.0.0"
    first, last = (parse_reports(request.body).reports for request in listener.server.requests)
    assert [type(report) for report in first] == [Enrolled, Active]
    assert [type(report) for report in last] == [Fared]


def test_a_release_that_fails_is_told_with_its_kind_of_failure_once(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener
) -> None:
    repository.publish("2.0.0", SICK, install=CHECKED)
    assert client.update() == "rolled-back"
    assert listener.outcomes() == [("2.0.0", "bad", "health")]
    # It is tried again later: the same arm, the same nonce, and nothing more to tell.
    client.now += timedelta(hours=2)
    repository.resign()
    assert client.update() == "rolled-back"
    assert len(listener.enrolled) == len(listener.fared) == 1


def test_a_health_command_that_hangs_is_a_timeout(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener
) -> None:
    hangs = {"bin/app": b"#!/bin/sh\nsleep 60\n"}
    health = HealthCheck(command=("bin/app",), timeout_s=1)
    repository.publish("2.0.0", hangs, install=Install(health=health))
    assert client.update() == "rolled-back"
    assert listener.outcomes() == [("2.0.0", "bad", "timeout")]


def test_a_program_that_crashes_at_every_try_is_a_crash_loop(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener
) -> None:
    put_on_trial(client, repository, b"#!/bin/sh\nexit 7\n", tries=2)
    assert listener.arms()[-1] == ("2.0.0", "offered", 1)
    assert ("2.0.0", "healthy", "") not in listener.outcomes()
    heard = len(listener.server.requests)
    assert [run(client)[0] for _ in range(2)] == [7, 7]
    # Who starts a program waits for no server: the next update tells it.
    assert len(listener.server.requests) == heard
    client.update()
    assert listener.outcomes()[-1] == ("2.0.0", "bad", "crash-loop")


def test_a_control_client_proves_what_it_has_in_each_epoch(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener
) -> None:
    repository.publish("1.1.0", {**HEALTHY, "one": b"1"}, install=CHECKED)
    client.update()
    repository.publish("2.0.0", NEXT, exposure_bp=1)
    for _ in range(3):
        assert client.update() == "held"
    assert listener.arms()[1:] == [("2.0.0", "control", 1)]
    assert listener.outcomes()[1:] == [("2.0.0", "healthy", "")]
    assert listener.enrolled[-1].cohort.from_version == "1.1.0"
    _offer(repository, "2.0.0", 2, epoch=2)
    client.update()
    assert listener.arms()[2:] == [("2.0.0", "control", 2)]
    _offer(repository, "2.0.0", 9_999, epoch=3)
    client.update()
    assert listener.arms()[3:] == [("2.0.0", "offered", 3)]
    assert listener.outcomes()[3:] == [("2.0.0", "healthy", "")]
    assert len({item.nonce for item in listener.enrolled}) == 4


def test_a_control_client_whose_program_fails_says_so_and_changes_nothing(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener, tmp_path: Path
) -> None:
    well = tmp_path / "well"
    well.touch()
    asks = {"bin/app": f"#!/bin/sh\ntest -f {well}\n".encode()}
    repository.publish("1.1.0", asks, install=CHECKED)
    client.update()
    well.unlink()
    repository.publish("2.0.0", NEXT, exposure_bp=1)
    assert client.update() == "held"
    assert listener.outcomes()[-1] == ("2.0.0", "bad", "health")
    assert client.runs() == "1.1.0"
    assert client.updater.status().quarantine == ()


def test_a_control_client_of_which_nothing_is_known_is_healthy_at_its_next_update(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener
) -> None:
    repository.publish("1.1.0", {**HEALTHY, "one": b"1"}, install=Install())
    client.update()
    repository.publish("2.0.0", NEXT, exposure_bp=1)
    client.update()
    assert listener.arms()[-1] == ("2.0.0", "control", 1)
    assert len(listener.fared) == 1
    client.update()
    assert listener.outcomes()[-1] == ("2.0.0", "healthy", "")


def test_who_asks_by_hand_is_in_no_arm(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener
) -> None:
    repository.publish("2.0.0", NEXT, exposure_bp=1)
    assert client.update(force=True) == "updated"
    with (client.home / "lockgate.toml").open("a") as settings:
        settings.write('pin = "3.0.0"\n')
    repository.publish("3.0.0", NEXT)
    assert client.update() == "updated"
    assert listener.arms() == []
    assert [item.version for item in listener.active] == ["1.0.0"]


def test_a_first_installation_and_one_that_is_forced_are_in_no_arm(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    with scripted_server(TAKEN) as server:
        let_report(client, server)
        listener = Listener(server)
        client.update()
        repository.publish("2.0.0", NEXT)
        repository.revoke("1.0.0", remedy=Remedy.REPLACE)
        assert client.update() == "updated"
        assert client.runs() == "2.0.0"
        assert listener.arms() == []


def test_a_check_says_nothing_and_one_that_watches_only_says_that_it_is_there(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener
) -> None:
    repository.publish("2.0.0", NEXT)
    client.updater.check()
    assert listener.server.requests == []
    with client.updater.watch(check_only=True) as loop:
        loop.once()
    assert listener.arms() == []
    assert [item.version for item in listener.active] == ["1.0.0"]


def test_a_watch_reports_as_an_update_does(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener
) -> None:
    repository.publish("2.0.0", NEXT)
    with client.updater.watch() as loop:
        loop.once()
    assert listener.outcomes() == [("2.0.0", "healthy", "")]


def test_wrong_bytes_are_told_at_once_and_a_bad_network_only_after_a_while(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener
) -> None:
    repository.publish("2.0.0", NEXT)
    repository.spoil("/artifacts/", Kind.CUT, 10)
    with pytest.raises(LockgateError):
        client.update()
    assert listener.arms() == [("2.0.0", "offered", 1)]
    assert listener.outcomes() == []
    client.now += timedelta(hours=7)
    repository.now = client.now
    repository.resign()
    with pytest.raises(LockgateError):
        client.update()
    assert listener.outcomes() == [("2.0.0", "not-installed", "download")]
    repository.publish("3.0.0", {**NEXT, "big": random.Random(1).randbytes(100_000)})
    repository.spoil("/artifacts/", Kind.CORRUPT, 50)
    with pytest.raises(LockgateError):
        client.update()
    assert listener.outcomes()[1:] == [("3.0.0", "not-installed", "verify")]


def test_where_the_window_is_short_what_cannot_be_fetched_is_told_at_once(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener
) -> None:
    repository.publish("2.0.0", NEXT)
    document = repository.channels[STABLE]
    plan = {"plan": {"window": "30m"}}
    offers = tuple(
        item.with_rollout(replace(item.rollout, progress=plan)) for item in document.offers
    )
    repository.issue(STABLE, offers=offers)
    repository.spoil("/artifacts/", Kind.CUT, 10)
    with pytest.raises(LockgateError):
        client.update()
    assert listener.arms() == [("2.0.0", "offered", 1)]
    assert listener.outcomes() == [("2.0.0", "not-installed", "download")]


def test_what_is_offered_no_longer_is_told_as_not_installed(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener
) -> None:
    repository.publish("2.0.0", NEXT)
    repository.spoil("/artifacts/", Kind.STATUS, 503)
    with pytest.raises(LockgateError):
        client.update()
    repository.revoke("2.0.0")
    client.update()
    assert listener.outcomes() == [("2.0.0", "not-installed", "download")]


def test_a_client_is_counted_once_a_day_by_the_day_it_was_counted_last(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener
) -> None:
    client.now = client.now.replace(hour=12)
    for _ in range(3):
        client.update()
    first = client.now.date()
    client.now += timedelta(days=1)
    repository.now = client.now
    repository.resign()
    for _ in range(3):
        client.update()
    said = [(item.version, item.last_counted) for item in listener.active]
    assert said == [("1.0.0", None), ("1.0.0", first)]


def test_nothing_that_leaves_or_waits_names_the_client(
    client: SimulatedClient, repository: RepositorySimulator, listener: Listener
) -> None:
    repository.publish("2.0.0", SICK, install=CHECKED)
    client.update()
    kept = (client.home / "state" / "reports.json").read_bytes()
    machine = json.loads((client.home / "state" / "identity.json").read_bytes())["machine"]
    for data in (kept, *(request.body for request in listener.server.requests)):
        for secret in (CLIENT_ID, CLIENT_ID.replace("-", ""), machine, str(client.home)):
            assert secret.encode() not in data
    for request in listener.server.requests:
        assert set(request.headers) <= {
            "host",
            "user-agent",
            "content-type",
            "content-length",
            "accept-encoding",
        }


@pytest.mark.parametrize("noted", [False, True])
@pytest.mark.parametrize(
    ("tree", "state", "outcome"),
    [(NEXT, State.COMMITTED, ("healthy", "")), (SICK, State.ROLLING_BACK, ("bad", "health"))],
)
def test_a_kill_before_or_after_the_note_loses_no_outcome_and_makes_no_second_nonce(
    client: SimulatedClient,
    repository: RepositorySimulator,
    tree: Mapping[str, bytes],
    state: State,
    outcome: tuple[str, str],
    noted: bool,
) -> None:
    journal, notes = (client.home / "state" / name for name in ("journal.json", "reports.json"))
    client.update()
    seen: dict[str, bytes] = {}

    def keep(_: object) -> None:
        record = load_record(journal)
        if record is not None and record.state is State.TRIAL:
            seen.update(journal=journal.read_bytes(), notes=notes.read_bytes())

    with scripted_server(TAKEN) as server:
        let_report(client, server)
        repository.publish("2.0.0", tree, install=CHECKED)
        client.updater.update(progress=keep)
        told = notes.read_bytes()
        journal.write_bytes(seen["journal"])
        record = load_record(journal)
        assert record is not None
        assert record.attempt is not None
        failed = replace(record.attempt, quarantine=True, reason="", failure=outcome[1])
        store_record(journal, record.going(state, failed))
        notes.write_bytes(told if noted else seen["notes"])
        client.update()
        client.update()
        assert Listener(server).outcomes() == [("2.0.0", *outcome)]
        assert len(Listener(server).enrolled) == 1


KILLED = """
import os, signal, sys
from lockgate_release.reports import Active, Enrolled, Fared, parse_reports
from lockgate_updater import Updater

def observe(event):
    if getattr(event, "name", "") == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

Updater.open(sys.argv[1]).update(progress=observe)
"""


@pytest.mark.parametrize(
    "step", ["offered", "downloading", "proven", "switched", "on-trial", "committed"]
)
def test_a_process_that_is_killed_tells_its_outcome_later_under_the_first_nonce(
    repository: RepositorySimulator, tmp_path: Path, step: str
) -> None:
    with serve(repository) as source, scripted_server(TAKEN) as server:
        client = make_client(repository, tmp_path / "home", address=source.address)
        Updater.open(client.home).update()
        let_report(client, server)
        repository.publish("2.0.0", NEXT, install=CHECKED)
        ran = subprocess.run(
            [sys.executable, "-c", KILLED, client.home, step], check=False, capture_output=True
        )
        assert ran.returncode == -signal.SIGKILL, ran.stderr
        for _ in range(2):
            Updater.open(client.home).update()
        listener = Listener(server)
        assert listener.outcomes() == [("2.0.0", "healthy", "")]
        assert listener.arms() == [("2.0.0", "offered", 1)]
