"""`install.health.reaches_server`: a release that cuts a machine off from its updates is left."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lockgate_release.documents import HealthCheck, Install, parse_release
from lockgate_release.errors import TransportError
from lockgate_updater import Updater
from lockgate_updater.events import Event, Step
from lockgate_updater.outcomes import Status, UpdateResult
from tests.simulators.client import COMMAND, SimulatedClient, make_client
from tests.simulators.faults import Kind
from tests.simulators.faulty_store import KilledError
from tests.simulators.http_server import Server, serve
from tests.simulators.repository import RepositorySimulator, checked_by, confirmed_by_itself

NEXT = {"bin/app": b"#!/bin/sh\nexit 0\n", "next": b"next\n"}
KILLS_ONCE = {
    "bin/app": b"#!/bin/sh\n"
    b'[ -e "$LOCKGATE_HOME/killed" ] && exit 0\n'
    b'touch "$LOCKGATE_HOME/killed"\n'
    b"kill -9 $PPID\n"
}


def asking(install: Install) -> Install:
    return replace(install, health=replace(install.health, reaches_server=True))


BY_COMMAND = asking(checked_by("bin/app"))
BY_PROGRAM = asking(confirmed_by_itself("bin/app", tries=2))
NO_PROGRAM = asking(Install())


@dataclass
class Machine:
    """A client of a real HTTP server that can go down, and come back."""

    client: SimulatedClient
    server: Server

    @property
    def updater(self) -> Updater:
        return Updater.open(self.client.home, environ={}, clock=lambda: self.client.now)

    def update(self, at: str = "", then: Callable[[], None] = lambda: None) -> UpdateResult:
        """Update, and let something happen at the first step of that name."""
        waiting = [at]

        def watch(event: Event) -> None:
            if isinstance(event, Step) and event.name == waiting[0]:
                waiting[0] = ""
                then()

        return self.updater.update(progress=watch)

    def go_down(self) -> None:
        self.server.repository.spoil("metadata/", Kind.STATUS, 503)

    def come_back(self) -> None:
        self.server.repository.faults.clear()

    def status(self) -> Status:
        return self.updater.status()


@pytest.fixture
def machine(repository: RepositorySimulator, tmp_path: Path) -> Iterator[Machine]:
    with serve(repository) as server:
        client = make_client(repository, tmp_path / "home", address=server.address)
        made = Machine(client, server)
        assert made.update().outcome == "updated"
        yield made


def test_it_is_signed_and_said_only_where_it_is_asked_for(repository: RepositorySimulator) -> None:
    plain = repository.publish("2.0.0", NEXT)
    asks = repository.publish("3.0.0", NEXT, install=BY_COMMAND)
    documents = {
        name: repository.files[name]
        for name in repository.files
        if name.endswith("release.json") and "/metadata/" not in name
    }
    assert plain != asks
    said = [data for data in documents.values() if b"reaches_server" in data]
    assert len(said) == 1
    assert parse_release(said[0]).install.health == HealthCheck(
        command=("bin/app",), timeout_s=20, reaches_server=True
    )


def test_a_release_that_reaches_the_server_is_committed(machine: Machine) -> None:
    machine.server.repository.publish("2.0.0", NEXT, install=BY_COMMAND)
    machine.server.paths_seen.clear()
    result = machine.update()
    assert result.outcome == "updated"
    assert "the update server can be reached" in result.reason
    looks = [path for path in machine.server.paths_seen if path.endswith("timestamp.json")]
    assert len(looks) == 3, "for the decision, again before the switch, and after the trial"


def test_a_server_that_is_gone_after_the_switch_brings_the_old_release_back(
    machine: Machine,
) -> None:
    machine.server.repository.publish("2.0.0", NEXT, install=BY_COMMAND)
    result = machine.update("switched", machine.server.stop)
    assert result.outcome == "rolled-back"
    assert "cannot be reached" in result.reason
    assert machine.client.runs() == "1.0.0"
    assert machine.client.versions() == {"1.0.0"}
    assert machine.client.leftovers() == []
    assert [item.version for item in machine.status().quarantine] == ["2.0.0"]


def test_a_tree_without_a_program_asks_as_well(machine: Machine) -> None:
    machine.server.repository.publish("2.0.0", {"data": b"2"}, install=NO_PROGRAM)
    assert machine.update("switched", machine.go_down).outcome == "rolled-back"
    assert machine.client.runs() == "1.0.0"
    machine.come_back()
    assert machine.update().outcome == "held", "it is in quarantine"


def test_who_does_not_ask_is_committed_without_a_server(machine: Machine) -> None:
    machine.server.repository.publish("2.0.0", NEXT, install=checked_by("bin/app"))
    assert machine.update("switched", machine.server.stop).outcome == "updated"
    assert machine.client.runs() == "2.0.0"


def test_without_a_server_right_before_the_switch_nothing_is_switched(machine: Machine) -> None:
    machine.server.repository.publish("2.0.0", NEXT, install=BY_COMMAND)
    with pytest.raises(TransportError):
        machine.update("unpacking", machine.go_down)
    assert machine.client.runs() == "1.0.0"
    assert machine.status().state == "staged"
    machine.come_back()
    machine.server.paths_seen.clear()
    assert machine.update().outcome == "updated"
    assert not [path for path in machine.server.paths_seen if "/artifacts/" in path]
    assert machine.client.leftovers() == []


def test_who_does_not_ask_is_switched_by_the_cached_decision(machine: Machine) -> None:
    machine.server.repository.publish("2.0.0", NEXT, install=checked_by("bin/app"))
    assert machine.update("unpacking", machine.go_down).outcome == "updated"


def kill() -> None:
    raise KilledError


@pytest.mark.parametrize("install", [BY_COMMAND, NO_PROGRAM], ids=["command", "no-program"])
def test_after_a_crash_it_is_neither_trusted_nor_blamed(machine: Machine, install: Install) -> None:
    machine.server.repository.publish("2.0.0", NEXT, install=install)
    with pytest.raises(KilledError):
        machine.update("switched", kill)
    assert machine.client.runs() == "2.0.0"
    machine.go_down()
    assert machine.update().outcome == "rolled-back"
    assert machine.client.runs() == "1.0.0"
    assert machine.client.versions() == {"1.0.0"}
    assert machine.status().quarantine == ()
    machine.come_back()
    assert machine.update().outcome == "updated"
    assert machine.client.runs() == "2.0.0"


def test_after_a_crash_the_server_is_asked_before_the_commit(machine: Machine) -> None:
    machine.server.repository.publish("2.0.0", NEXT, install=BY_COMMAND)
    with pytest.raises(KilledError):
        machine.update("on-trial", kill)
    machine.server.paths_seen.clear()
    assert machine.update().outcome == "updated"
    assert [path for path in machine.server.paths_seen if path.endswith("timestamp.json")]


def test_a_process_that_was_killed_in_the_trial_goes_back_at_the_next_start(
    machine: Machine,
) -> None:
    machine.server.repository.publish("2.0.0", KILLS_ONCE, install=BY_COMMAND)
    home = ["--home", str(machine.client.home)]
    killed = subprocess.run([*COMMAND, "update", *home], capture_output=True, check=False)
    assert killed.returncode == -9
    assert machine.client.runs() == "2.0.0"
    machine.go_down()
    ran = subprocess.run(
        [*COMMAND, "run", *home], capture_output=True, text=True, check=True, timeout=60
    )
    assert "cannot be reached" in ran.stderr
    assert machine.client.runs() == "1.0.0"
    assert machine.client.versions() == {"1.0.0"}
    assert machine.status().quarantine == ()


def test_a_confirm_without_a_server_is_refused_and_burns_no_try(machine: Machine) -> None:
    machine.server.repository.publish("2.0.0", NEXT, install=BY_PROGRAM)
    assert machine.update().outcome == "on-trial"
    machine.go_down()
    with pytest.raises(TransportError):
        machine.updater.confirm()
    confirm = [*COMMAND, "confirm", "--home", str(machine.client.home)]
    ran = subprocess.run(confirm, capture_output=True, check=False)
    assert ran.returncode == 21
    status = machine.status()
    assert (status.state, status.on_trial, status.tries_left) == ("trial", "2.0.0", 2)
    machine.come_back()
    assert machine.updater.confirm().outcome == "updated"
    assert machine.client.runs() == "2.0.0"


def test_a_server_that_answers_nonsense_was_reached(machine: Machine) -> None:
    machine.server.repository.publish("2.0.0", NEXT, install=BY_COMMAND)
    spoil = machine.server.repository.spoil
    result = machine.update("switched", lambda: spoil("timestamp", Kind.CORRUPT))
    assert result.outcome == "updated"
