"""An update that systemd stops is one that a person interrupts: the next goes on from there."""

import signal
import socket
import subprocess
import sys

import pytest

from tests.simulators.client import SimulatedClient


@pytest.mark.usefixtures("unmeasured", "hearing_signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_update_that_systemd_stops_ends_as_an_interrupted_one(
    client: SimulatedClient, number: signal.Signals
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = ["-m", "lockgate_updater", "update", "--home", str(client.home)]
        with subprocess.Popen(
            [sys.executable, *command, "--repository", address], stderr=subprocess.PIPE, text=True
        ) as process:
            connection, _ = silent.accept()
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
            connection.close()
    assert process.returncode == 128 + number, said
    assert f"lockgate-updater: ended by {number.name}; the next update goes on from here" in said
    assert "Traceback" not in said
    assert client.update() == "updated"
