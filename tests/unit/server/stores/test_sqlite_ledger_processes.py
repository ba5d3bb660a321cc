"""The ledger under several processes at once, and under kills."""

import fcntl
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lockgate_release.names import AppName
from lockgate_server.stores.sqlite_ledger import SqliteLedger

APP = AppName("app")

_HEAD = """
import json, os, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from lockgate_release.names import AppName
from lockgate_server.ports import Highest, Intent
from lockgate_server.stores.sqlite_ledger import SqliteLedger
NOW = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
APP = AppName("app")
path, me = Path(sys.argv[1]), sys.argv[2]
def intent():
    return Intent(app=APP, actor=me, action="publish", details={}, request_id="",
                  timestamp_sha256="ab" * 32)
def highest(number):
    return Highest(root=number, timestamp=number, snapshot=number, releases=number, sequences={})
"""


def start(program: str, path: Path, name: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _HEAD + program, str(path), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run_at_once(program: str, path: Path, count: int) -> list[str]:
    """Runs processes that all wait for a line before they begin, and returns what they say."""
    running = [start(program, path, f"process-{number}") for number in range(count)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0] * count
    return said


def test_processes_that_open_a_new_ledger_at_once_share_one(tmp_path: Path) -> None:
    program = """
print("ready", flush=True); input()
for number in range(8):
    ledger = SqliteLedger(path / str(number) / "ledger.db")
    print(ledger.begin(intent(), now=NOW))
    ledger.close()
"""
    said = [[int(line) for line in said.split()] for said in run_at_once(program, tmp_path, 4)]
    for round_number in range(8):
        assert sorted(numbers[round_number] for numbers in said) == [1, 2, 3, 4]


def test_a_process_prepares_the_file_alone(tmp_path: Path) -> None:
    program = """
sys.addaudithook(lambda event, _: event == "fcntl.flock" and print("waits", flush=True))
ledger = SqliteLedger(path / "ledger.db")
print("opened")
ledger.close()
"""
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    second = start(program, tmp_path)
    assert second.stdout is not None
    assert second.stdout.readline() == "waits\n"
    assert not (tmp_path / "ledger.db").exists()
    os.close(folder)
    assert second.communicate(timeout=60)[0] == "opened\n"


def test_processes_write_one_whole_log_and_one_holds_the_lease(tmp_path: Path) -> None:
    program = """
ledger = SqliteLedger(path / "ledger.db")
print("ready", flush=True); input()
for number in range(10):
    ledger.finish(ledger.begin(intent(), now=NOW), highest(number + 1))
lease = ledger.take_lease("job", me, now=NOW, until=NOW + timedelta(hours=1))
print(json.dumps(lease is not None))
ledger.close()
"""
    said = run_at_once(program, tmp_path, 4)
    assert sorted(json.loads(line) for line in said) == [False, False, False, True]
    ledger = SqliteLedger(tmp_path / "ledger.db")
    entries = ledger.audit(None, limit=1000)
    assert [entry.number for entry in entries] == list(range(40, 0, -1))
    assert ledger.open_entries(APP) == ()
    assert ledger.verify_audit() is None
    ledger.close()


def test_an_open_intent_survives_the_death_of_its_writer(tmp_path: Path) -> None:
    program = """
ledger = SqliteLedger(path / "ledger.db")
ledger.finish(ledger.begin(intent(), now=NOW), highest(1))
ledger.begin(intent(), now=NOW)
os.kill(os.getpid(), signal.SIGKILL)
"""
    writer = start(program, tmp_path, "dies")
    writer.communicate(timeout=60)
    assert writer.returncode == -signal.SIGKILL
    ledger = SqliteLedger(tmp_path / "ledger.db")
    (entry,) = ledger.open_entries(APP)
    assert (entry.number, entry.outcome, entry.intent.actor) == (2, "open", "dies")
    assert ledger.verify_audit() is None
    ledger.close()


@pytest.mark.parametrize("round_number", range(4))
def test_a_kill_at_a_random_moment_loses_nothing_that_was_promised(
    tmp_path: Path, round_number: int
) -> None:
    program = """
ledger = SqliteLedger(path / "ledger.db")
while True:
    number = ledger.begin(intent(), now=NOW)
    print("begun", number, flush=True)
    ledger.finish(number, highest(number))
    print("done", number, flush=True)
"""
    writer = start(program, tmp_path)
    assert writer.stdout is not None
    writer.stdout.readline()
    time.sleep(random.Random(round_number).uniform(0, 0.1))
    writer.send_signal(signal.SIGKILL)
    # A kill can cut a line anywhere: only whole lines were said.
    said = re.findall(r"^(begun|done) (\d+)\n", writer.communicate(timeout=60)[0], re.MULTILINE)
    begun = max([1, *(int(number) for word, number in said if word == "begun")])
    done = max([0, *(int(number) for word, number in said if word == "done")])
    ledger = SqliteLedger(tmp_path / "ledger.db")
    entries = ledger.audit(None, limit=10**6)
    assert len(entries) in {begun, begun + 1}
    finished = [entry.number for entry in entries if entry.outcome == "done"]
    assert len(finished) in {done, done + 1}
    highest = ledger.highest(APP)
    assert (highest.timestamp if highest else 0) == len(finished)
    assert ledger.verify_audit() is None
    # The next writer is not held up by what the dead one held.
    assert ledger.is_usable()
    ledger.close()


def test_a_fork_uses_connections_of_its_own(tmp_path: Path) -> None:
    program = """
ledger = SqliteLedger(path / "ledger.db")
ledger.begin(intent(), now=NOW)
before = ledger._connections._mine()
child = os.fork()
assert (ledger._connections._mine() is before) == (child != 0)
for _ in range(20):
    ledger.begin(intent(), now=NOW)
if child == 0:
    ledger.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert ledger.verify_audit() is None
print(len(ledger.audit(None, limit=100)))
ledger.close()
"""
    said, _ = start(program, tmp_path).communicate(timeout=60)
    assert said == "41\n"
