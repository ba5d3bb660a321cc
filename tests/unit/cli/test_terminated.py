"""A command that a service of CI cancels ends like one that a person interrupts."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.ending import Terminated
from tests.simulators.client import CLIENT_ID
from tests.simulators.command_line import CommandLine
from tests.simulators.publisher import NOW
from tests.simulators.repository import RepositorySimulator
from tests.simulators.scripted_api import serve_script
from tests.unit.cli.test_main import API

_COMMAND = [sys.executable, "-c", "from lockgate_cli.entry import main; main()"]


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes a connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


@pytest.mark.usefixtures("unmeasured", "hearing_signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_folder_and_says_what_happened(
    silent: socket.socket, tmp_path: Path, number: signal.Signals
) -> None:
    root, above = tmp_path / "root.json", tmp_path / "tmp"
    root.write_bytes(RepositorySimulator().root_bytes)
    above.mkdir()
    address = f"http://127.0.0.1:{silent.getsockname()[1]}"
    said_by = ["--app", "demo", "--server", address, "--root", str(root), "--client-id", CLIENT_ID]
    command = [*_COMMAND, "explain", *said_by]
    environ = {**os.environ, "TMPDIR": str(above)}
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        connection, _ = silent.accept()
        assert len(list(above.iterdir())) == 1
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        connection.close()
    assert process.returncode == 128 + number, said
    assert f"ended by {number.name}; running it again goes on from here" in said
    assert "Traceback" not in said
    assert list(above.iterdir()) == []


def test_a_question_that_is_cut_off_by_a_signal_ends_with_its_code(tmp_path: Path) -> None:
    person = CommandLine(folder=tmp_path, now=NOW, watched=True)
    person.environ = {"LOCKGATE_TOKEN": "t"}
    person.answers = [Terminated(signal.SIGTERM)]
    with serve_script(API) as server:
        ended = person.run("revoke", "demo", "1.0.0", "--reason", "bad", "--server", server.address)
    assert ended.code == 143
    assert "ended by SIGTERM" in ended.err
