"""The loop: what it does each round, how it waits, what wakes and ends it, and what it notes."""

import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lockgate_release.documents import Remedy
from lockgate_release.errors import DocumentError, TransportError, UsageError
from lockgate_release.names import ChannelName
from lockgate_updater import Updater
from lockgate_updater.events import Event
from lockgate_updater.watch.health import (
    HealthNote,
    HealthState,
    dump_note,
    judge_health,
    load_note,
    store_note,
    with_check,
    with_error,
)
from lockgate_updater.watch.loop import Bell, Round, Watch
from lockgate_updater.watch.notify import Notifier
from tests.simulators.client import COMMAND, SimulatedClient
from tests.simulators.faults import Kind
from tests.simulators.http_server import Server, serve
from tests.simulators.repository import (
    HEALTHY,
    SICK,
    STABLE,
    RepositorySimulator,
    checked_by,
    confirmed_by_itself,
)

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
NEXT = {**HEALTHY, "two": b"2"}


class Time:
    """A waiter whose waiting takes no time: it moves the client's clocks."""

    def __init__(self, client: SimulatedClient) -> None:
        self.client = client
        self.seconds = 0.0
        self.naps: list[float] = []
        self.rung = 0

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.seconds += seconds
        self.client.now += timedelta(seconds=seconds)

    def ring(self) -> None:
        self.rung += 1

    def close(self) -> None:
        """Nothing is held."""


class Scene:
    """A watch over a simulated client, for so many rounds."""

    def __init__(self, client: SimulatedClient) -> None:
        self.client = client
        self.time = Time(client)
        self.rounds: list[Round] = []
        self.events: list[Event] = []

    def loop(self, *, check_only: bool = False) -> Watch:
        return self.client.updater.watch(
            progress=self.events.append,
            check_only=check_only,
            waiter=self.time,
            monotonic=self.time.monotonic,
            uniform=random.Random(5).uniform,
        )

    def run(
        self,
        rounds: int,
        *,
        check_only: bool = False,
        after: Callable[[int], object] = lambda _: None,
    ) -> list[str]:
        loop = self.loop(check_only=check_only)

        def tell(found: Round) -> None:
            self.rounds.append(found)
            after(len(self.rounds))
            if len(self.rounds) >= rounds:
                loop.stop()

        loop.run(tell)
        return [found.outcome for found in self.rounds]

    @property
    def note(self) -> HealthNote:
        return load_note(self.client.home / "state" / "health.json")


@pytest.fixture
def scene(client: SimulatedClient) -> Scene:
    return Scene(client)


def test_it_installs_what_appears_and_leaves_what_is_revoked(
    scene: Scene, repository: RepositorySimulator
) -> None:
    def after(number: int) -> None:
        if number == 2:
            repository.publish("1.1.0", NEXT)
        if number == 3:
            repository.revoke("1.1.0", remedy=Remedy.LAST_GOOD)

    assert scene.run(4, after=after) == ["updated", "up-to-date", "updated", "left"]
    assert scene.client.runs() == "1.0.0"


def test_the_channel_says_how_often(scene: Scene, repository: RepositorySimulator) -> None:
    name = ChannelName(STABLE)
    repository.channels[name] = replace(repository.channels[name], check_interval_s=600)
    repository.issue(STABLE)
    scene.run(20)
    waits = [found.delay_s for found in scene.rounds[2:]]
    assert min(waits) >= 0.6 * 600
    assert max(waits) <= 1.4 * 600


def test_the_owner_may_ask_for_more_often(client: SimulatedClient) -> None:
    with (client.home / "lockgate.toml").open("a") as settings:
        settings.write("check_interval_s = 300\n")
    scene = Scene(client)
    scene.run(5)
    assert all(found.delay_s <= 1.7 * 300 for found in scene.rounds)


@pytest.mark.parametrize("said", ["59", "true", '"60"', "86401"])
def test_an_interval_that_makes_no_sense_is_refused(client: SimulatedClient, said: str) -> None:
    with (client.home / "lockgate.toml").open("a") as settings:
        settings.write(f"check_interval_s = {said}\n")
    with pytest.raises(UsageError, match="60 to 86400"):
        _ = client.updater


def test_no_error_ends_it_and_the_network_coming_back_is_noticed(
    scene: Scene, repository: RepositorySimulator
) -> None:
    repository.spoil("timestamp", Kind.STATUS, 500)

    def after(number: int) -> None:
        if number == 4:
            repository.faults.clear()

    outcomes = scene.run(5, after=after)
    assert outcomes == ["unknown"] * 4 + ["updated"]
    states = [found.health.state for found in scene.rounds]
    assert states == ["healthy", "healthy", "offline", "offline", "healthy"]
    assert scene.rounds[0].delay_s <= 180
    assert scene.note.failures == 0


def test_a_wrong_repository_degrades_at_once(scene: Scene, repository: RepositorySimulator) -> None:
    repository.spoil("timestamp", Kind.CORRUPT, 40)
    scene.run(1)
    found = scene.rounds[0]
    assert found.health.state is HealthState.DEGRADED, found
    assert scene.client.updater.status().health.state is HealthState.DEGRADED


def test_another_updater_at_work_is_waited_for_not_died_of(scene: Scene) -> None:
    import fcntl

    scene.client.updater.status()
    handle = os.open(scene.client.home / "state" / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        assert scene.run(1) == ["unknown"]
    finally:
        os.close(handle)
    assert "another updater" in scene.rounds[0].result.reason
    assert scene.note == HealthNote()


def test_the_lock_is_free_while_it_waits(scene: Scene) -> None:
    scene.run(2, after=lambda _: scene.client.updater.check(wait_s=0))
    assert [found.outcome for found in scene.rounds] == ["updated", "up-to-date"]


def test_check_only_installs_nothing(scene: Scene) -> None:
    assert scene.run(2, check_only=True) == ["offer", "offer"]
    assert scene.client.runs() == ""


def test_in_quiet_hours_nothing_new_comes_but_a_revocation_is_obeyed(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("1.1.0", NEXT)
    client.update()
    repository.publish("1.2.0", {**NEXT, "three": b"3"})
    with (client.home / "lockgate.toml").open("a") as settings:
        settings.write('quiet_hours = "00:00-12:00, 12:00-00:00"\n')
    scene = Scene(client)

    def after(number: int) -> None:
        if number == 1:
            assert client.runs() == "1.1.0"
            repository.offer(STABLE, "1.1.0")
            repository.revoke("1.1.0", remedy=Remedy.LAST_GOOD)

    assert scene.run(2, after=after) == ["offer", "left"]
    assert client.runs() == "1.0.0"


def test_quiet_hours_that_make_no_sense_end_it_before_it_begins(client: SimulatedClient) -> None:
    with (client.home / "lockgate.toml").open("a") as settings:
        settings.write('quiet_hours = "at night"\n')
    with pytest.raises(UsageError):
        Scene(client).run(1)


def test_a_release_on_trial_is_left_to_its_program(
    scene: Scene, repository: RepositorySimulator
) -> None:
    repository.publish("1.1.0", NEXT, install=confirmed_by_itself("bin/app"))
    assert scene.run(3) == ["on-trial"] * 3
    scene.client.updater.confirm()
    assert scene.client.runs() == "1.1.0"


def test_a_failed_release_degrades_until_its_quarantine_ends(
    scene: Scene, repository: RepositorySimulator
) -> None:
    scene.client.update()
    repository.publish("1.1.0", SICK)
    assert scene.run(1) == ["rolled-back"]
    assert scene.rounds[0].health.state is HealthState.DEGRADED
    assert "1.1.0 failed here" in str(scene.client.updater.status().health.reasons)


def test_it_waits_by_the_monotonic_clock_whatever_the_wall_clock_does(scene: Scene) -> None:
    def after(number: int) -> None:
        leap = timedelta(hours=3)
        scene.client.now += leap if number % 2 else -leap

    scene.run(6, after=after)
    told = sum(found.delay_s for found in scene.rounds[:-1])
    first = scene.time.seconds - told
    assert 0 <= first <= 900
    assert max(scene.time.naps) <= 60


def test_a_restarted_service_keeps_its_place(scene: Scene) -> None:
    scene.run(1)
    planned = scene.note.next_at
    again = Scene(scene.client)
    again.run(1)
    assert planned is not None
    assert abs((again.rounds[0].at - planned).total_seconds()) <= 1


def test_stop_leaves_a_download_where_it_is(scene: Scene, repository: RepositorySimulator) -> None:
    repository.publish("1.1.0", {**HEALTHY, "big": random.Random(1).randbytes(3_000_000)})
    loop = scene.loop()
    loop.stop()
    assert loop.once() is None
    assert scene.client.runs() == ""
    assert scene.client.update() == "updated"


# -- The note ------------------------------------------------------------------------------


def test_a_note_survives_and_a_damaged_one_is_a_fresh_one(tmp_path: Path) -> None:
    path = tmp_path / "health.json"
    note = with_error(with_check(HealthNote(), NOW, 600), NOW, TransportError("gone"))
    store_note(path, note)
    assert load_note(path) == note
    for damage in (b"", b"{", b'{"format":2}', path.read_bytes()[:-9]):
        path.write_bytes(damage)
        assert load_note(path) == HealthNote()


def test_a_disk_that_refuses_the_note_keeps_nobody_from_work(tmp_path: Path) -> None:
    store_note(tmp_path / "nowhere" / "health.json", HealthNote())


def test_update_keeps_the_note_and_check_does_not(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.updater.check()
    assert not (client.home / "state" / "health.json").exists()
    client.update()
    note = load_note(client.home / "state" / "health.json")
    assert note.good_at is not None
    assert note.interval_s == 3600
    repository.spoil("timestamp", Kind.STATUS, 500)
    for _ in range(3):
        with pytest.raises(TransportError):
            client.update()
    assert client.updater.status().health.state is HealthState.OFFLINE


@pytest.mark.parametrize(
    ("failures", "error", "troubles", "state"),
    [
        (0, None, (), "healthy"),
        (2, TransportError("w"), (), "healthy"),
        (3, TransportError("w"), (), "offline"),
        (1, DocumentError("w"), (), "degraded"),
        (0, None, ("t",), "degraded"),
        (3, TransportError("w"), ("t",), "offline"),
    ],
)
def test_the_state_follows_from_the_note(
    failures: int, error: TransportError | None, troubles: tuple[str, ...], state: str
) -> None:
    note = HealthNote()
    for _ in range(failures):
        assert error is not None
        note = with_error(note, NOW, error)
    report = judge_health(note, troubles)
    assert report.state == state
    assert bool(report.reasons) == (state != "healthy")


def test_a_repository_that_is_not_signed_again_degrades_its_clients_before_it_expires(
    scene: Scene,
) -> None:
    scene.client.update()
    status = scene.client.updater.status()
    assert status.health.state == "healthy"
    role, at = status.health.note.expires_role, status.health.note.expires_at
    assert role == "timestamp"
    assert at is not None
    scene.client.now = at - timedelta(days=1)
    assert scene.client.updater.status().health.state == "healthy"
    scene.client.now = at - timedelta(hours=16)
    scene.client.update()
    health = scene.client.updater.status().health
    assert health.state == "degraded"
    assert health.reasons[0].startswith("the word of timestamp ends at ")


def test_a_note_of_an_updater_that_knew_no_expiry_is_read(tmp_path: Path) -> None:
    path = tmp_path / "health.json"
    said = {
        name: value
        for name, value in dump_note(with_check(HealthNote(), NOW)).items()
        if not name.startswith("expires_")
    }
    path.write_text(json.dumps(said))
    assert load_note(path) == with_check(HealthNote(), NOW)


# -- systemd and signals -------------------------------------------------------------------


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest) -> Iterator[tuple[str, socket.socket]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire,
    ):
        wire.settimeout(20)
        if request.param == "path":
            address = f"{folder}/notify"
            wire.bind(address)
        else:
            address = f"@lockgate-test-{os.getpid()}-{id(wire)}"
            wire.bind(f"\0{address[1:]}")
        yield address, wire


def test_systemd_hears_that_it_is_ready_alive_and_stopping(
    client: SimulatedClient, manager: tuple[str, socket.socket]
) -> None:
    address, wire = manager
    environ = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "40000000"}
    updater = Updater.open(
        client.home,
        environ=environ,
        clock=lambda: client.now,
        transport=lambda: client.repository,
    )
    time = Time(client)
    loop = updater.watch(waiter=time, monotonic=time.monotonic, uniform=random.Random(1).uniform)
    said: list[str] = []

    def listen() -> None:
        while not said or said[-1] != "STOPPING=1":
            said.append(wire.recv(4096).decode())

    manager_thread = threading.Thread(target=listen)
    manager_thread.start()
    loop.run(lambda _: loop.stop())
    manager_thread.join()
    assert said[0].startswith("READY=1\nSTATUS=first look in ")
    assert said[-1] == "STOPPING=1"
    assert "WATCHDOG=1" in said
    assert any(line.startswith("STATUS=updated: ") for line in said)
    assert max(time.naps) <= 20


def test_systemd_hears_that_it_is_alive_while_a_release_proves_itself(
    client: SimulatedClient, manager: tuple[str, socket.socket]
) -> None:
    address, wire = manager
    waits = b"""#!/bin/sh
touch "$LOCKGATE_HOME/begun"
until [ -e "$LOCKGATE_HOME/heard" ]; do sleep 0.05; done
"""
    client.repository.publish("2.0.0", {"bin/app": waits}, install=checked_by("bin/app"))
    updater = Updater.open(
        client.home,
        environ={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "4000000"},
        clock=lambda: client.now,
        transport=lambda: client.repository,
    )

    def listen() -> None:
        heard = 0
        while heard < 3:
            words = wire.recv(4096)
            heard += words == b"WATCHDOG=1" and (client.home / "begun").exists()
        (client.home / "heard").touch()

    service_manager = threading.Thread(target=listen)
    service_manager.start()
    with updater.watch() as loop:
        found = loop.once()
    service_manager.join()
    assert found is not None
    assert found.outcome == "updated"


def test_what_a_server_says_never_becomes_a_field_of_its_own(
    manager: tuple[str, socket.socket],
) -> None:
    address, wire = manager
    Notifier({"NOTIFY_SOCKET": address}).say(STATUS="one\nMAINPID=1")
    assert wire.recv(4096) == b"STATUS=one MAINPID=1"


def test_without_a_manager_nothing_is_said() -> None:
    assert Notifier({}).ping_every_s is None
    Notifier({"NOTIFY_SOCKET": "/nowhere/at/all"}).say(READY=1)
    assert Notifier({"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}).ping_every_s is None


def test_a_bell_rung_before_the_wait_ends_it() -> None:
    bell = Bell()
    for _ in range(100_000):
        bell.ring()
    bell.wait(600)
    bell.close()


def test_signals_look_at_once_and_end_it_cleanly(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    with serve(repository) as server:
        watch = start_watch(client, server)
        try:
            assert watch.stdout is not None
            assert watch.stderr is not None
            assert "watches" in watch.stderr.readline()  # Its handlers are there.
            watch.send_signal(signal.SIGHUP)
            first = json.loads(watch.stdout.readline())
            watch.send_signal(signal.SIGUSR1)
            second = json.loads(watch.stdout.readline())
            watch.send_signal(signal.SIGTERM)
            assert watch.wait(20) == 0
        finally:
            watch.kill()
            watch.communicate()
    assert (first["outcome"], second["outcome"]) == ("updated", "up-to-date")
    assert first["health"]["state"] == "healthy"
    assert client.runs() == "1.0.0"


def start_watch(client: SimulatedClient, server: Server) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "watch", "--json", "--home", client.home, "--repository", server.address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
