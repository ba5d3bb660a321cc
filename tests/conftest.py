"""Holds for every test: no socket leaves this machine, and a failure can be repeated."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.guard import sitecustomize as guard
from tests.guard.tracing import let_threads_begin

# This process, and through PYTHONPATH every Python process a test starts; but for whoever names a
# bucket of theirs on which the tests of stores shall run, for that is on another machine.
if not os.environ.get("LOCKGATE_TEST_S3"):
    guard.refuse_to_leave_this_machine()
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(Path(guard.__file__).parent), os.environ.get("PYTHONPATH")])
    )

let_threads_begin()

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

HERE = Path(__file__).parent
MEASURED = frozenset(
    {
        HERE / "unit",
        HERE / "contracts",
        HERE / "e2e" / "test_server_command.py",
        HERE / "e2e" / "test_server_on_s3.py",
        HERE / "e2e" / "test_server_runs.py",
        HERE / "e2e" / "test_server_steers.py",
    }
)
"""Tests whose processes are measured: what runs in processes runs in those of these at least.

Coverage is a third of the processor time of a server's start, and more of a command's.
"""


@pytest.fixture(scope="module", autouse=True)
def _measured(request: pytest.FixtureRequest) -> Iterator[None]:
    """Coverage of the processes that a test starts, where there is something to learn from it."""
    with pytest.MonkeyPatch.context() as patch:
        if MEASURED.isdisjoint([request.path, *request.path.parents]):
            patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """No coverage in the processes of this test: it would hear SIGTERM in their place."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture
def hearing_signals() -> Iterator[None]:
    """What a test starts hears Ctrl-C and lost terminals, also where the tests run under nohup."""
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGHUP, hangup)
    signal.signal(signal.SIGINT, interrupt)
