"""What systemd hears of a watch, and the signals that wake and end it."""

import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator

import pytest

from lockgate_updater import Updater
from lockgate_updater.watch.loop import Bell
from lockgate_updater.watch.notify import Notifier
from tests.simulators.client import COMMAND, SimulatedClient
from tests.simulators.http_server import Server, serve
from tests.simulators.repository import RepositorySimulator, checked_by
from tests.unit.updater.watching import Time


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
