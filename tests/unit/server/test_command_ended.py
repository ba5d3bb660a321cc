"""A command of the server that is told to end ends with the code that shells expect."""

import signal
import subprocess
import sys

import pytest

_ENDED = """
import os, sys
from lockgate_server.command import group
@group.lockgate_server.command()
def work():
    try:
        os.kill(os.getpid(), int(sys.argv[1]))
    finally:
        print("put away", flush=True)
group.main(["work"])
"""


@pytest.mark.usefixtures("unmeasured", "hearing_signals")
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGTERM, "ended by SIGTERM"),
        (signal.SIGHUP, "ended by SIGHUP"),
        (signal.SIGINT, "interrupted"),
    ],
)
def test_a_signal_lets_a_command_put_away_what_it_has_begun(
    number: signal.Signals, words: str
) -> None:
    command = [sys.executable, "-c", _ENDED, str(int(number))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (128 + number, "put away\n"), ended.stderr
    assert ended.stderr.split("lockgate-server: ")[-1].strip() == words
    assert "Traceback" not in ended.stderr
