"""A program on trial has everything it would have had if the launcher had become it."""

import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulators.client import COMMAND, SimulatedClient
from tests.simulators.launched import PATIENT_S, put_on_trial, run, start, tries_left, wait_until
from tests.simulators.repository import RepositorySimulator

NOTIFIER = f"""#!{sys.executable}
import os, socket
assert os.environ["WATCHDOG_PID"] == str(os.getpid()), os.environ["WATCHDOG_PID"]
for words in (b"READY=1", b"WATCHDOG=1"):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.sendto(words, os.environ["NOTIFY_SOCKET"])
"""
SERVER = f"""#!{sys.executable}
import os, socket
assert os.environ["LISTEN_PID"] == str(os.getpid())
with socket.socket(fileno=3) as listening:
    visitor, _ = listening.accept()
    visitor.sendall(b"served")
    visitor.close()
"""
HANDS_ON = """
import os, sys
os.dup2(int(os.environ["LISTENING"]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[1], sys.argv[1:])
"""
IGNORES_ENDS = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execvp(sys.argv[1], sys.argv[1:])
"""
# As a service manager starts a service: its variables name the process that comes out of exec.
AS_A_SERVICE = (
    "sh",
    "-c",
    'export WATCHDOG_PID=$$ WATCHDOG_USEC=30000000 LISTEN_PID=$$; exec "$@"',
    "-",
)
NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")


def _environ(**more: str) -> dict[str, str]:
    return {**os.environ, **more}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENT_S)
        yield listening


def test_a_program_on_trial_reaches_the_service_manager_and_its_watchdog(
    client: SimulatedClient,
    repository: RepositorySimulator,
    manager: socket.socket,
) -> None:
    put_on_trial(client, repository, NOTIFIER.encode())
    environ = _environ(NOTIFY_SOCKET=manager.getsockname())
    assert run(client, before=AS_A_SERVICE, environ=environ)[0] == 0
    assert (manager.recv(99), manager.recv(99)) == (b"READY=1", b"WATCHDOG=1")


def test_a_program_on_trial_serves_a_socket_that_the_launcher_was_handed(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    put_on_trial(client, repository, SERVER.encode())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        launcher = subprocess.Popen(
            [sys.executable, "-c", HANDS_ON, *COMMAND, "run", "--home", str(client.home)],
            env=_environ(LISTENING=str(listening.fileno())),
            pass_fds=[listening.fileno()],
        )
        with socket.create_connection(listening.getsockname(), PATIENT_S) as visitor:
            assert visitor.recv(99) == b"served"
    assert launcher.wait() == 0


def test_a_signal_that_the_launcher_was_told_to_ignore_stays_ignored(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    put_on_trial(client, repository, b"#!/bin/sh\nkill -HUP $$\nexit 7\n")
    assert run(client, before=("sh", "-c", "trap '' HUP; exec \"$@\"", "-"))[0] == 7


def test_a_program_on_trial_ends_at_a_broken_pipe_as_others_do(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    put_on_trial(client, repository, b"#!/bin/sh\nkill -PIPE $$\nexit 7\n")
    assert run(client)[0] == 128 + signal.SIGPIPE


def test_an_end_is_heard_where_children_s_ends_are_ignored(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    put_on_trial(client, repository, b"#!/bin/sh\nexit 7\n")
    assert run(client, before=(sys.executable, "-c", IGNORES_ENDS))[0] == 7


def test_a_stop_reaches_the_program_and_stops_the_launcher_with_it(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    script = f"#!/bin/sh\necho $$ > {ready}.new; mv {ready}.new {ready}\nexec sleep 60\n"
    put_on_trial(client, repository, script.encode(), tries=1)
    launcher = start(client, process_group=0)
    wait_until(ready.exists)
    program = int(ready.read_text())
    launcher.send_signal(signal.SIGTSTP)
    wait_until(lambda: _state(launcher.pid) == _state(program) == "T")
    launcher.send_signal(signal.SIGCONT)
    wait_until(lambda: "T" not in {_state(launcher.pid), _state(program)})
    launcher.send_signal(signal.SIGTERM)
    launcher.communicate()
    assert launcher.returncode == 128 + signal.SIGTERM
    assert tries_left(client) == 1


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]


def test_a_terminal_s_interrupt_comes_once(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path
) -> None:
    ready, heard = tmp_path / "ready", tmp_path / "heard"
    script = (
        f"#!/bin/sh\ntrap 'echo heard >> {heard}' INT\ntouch {ready}\n"
        f"while [ ! -e {heard} ]; do sleep 0.05; done\nsleep 0.5\n"
    )
    put_on_trial(client, repository, script.encode())
    pid, terminal = pty.fork()
    if pid == 0:
        # Tests that run in the background of a shell are born deaf to it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execvp(COMMAND[0], [*COMMAND, "run", "--home", str(client.home)])
    wait_until(ready.exists)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert heard.read_text("utf-8") == "heard\n"


def _has_namespaces() -> bool:
    try:
        return (
            subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
        )
    except OSError:
        return False


@pytest.fixture
def namespace() -> tuple[str, ...]:
    if not _has_namespaces():
        pytest.skip("no new process namespaces for us on this machine")
    return NAMESPACE


def test_as_the_first_process_the_program_s_exit_code_passes_and_orphans_are_collected(
    client: SimulatedClient, repository: RepositorySimulator, namespace: tuple[str, ...]
) -> None:
    script = (
        b"#!/bin/sh\necho $PPID\n(sh -c 'sleep 0.1; exit 4' &)\nsleep 0.6\n"
        b"grep -l '^State:.Z' /proc/[0-9]*/status\nexit 5\n"
    )
    put_on_trial(client, repository, script)
    assert run(client, before=namespace) == (5, "1\n")
    assert tries_left(client) == 2


def test_as_the_first_process_a_signal_reaches_the_program(
    client: SimulatedClient,
    repository: RepositorySimulator,
    namespace: tuple[str, ...],
    tmp_path: Path,
) -> None:
    ready = tmp_path / "ready"
    script = f"#!/bin/sh\ntrap 'exit 9' TERM\ntouch {ready}\nwhile :; do sleep 0.05; done\n"
    put_on_trial(client, repository, script.encode(), tries=1)
    outer = start(client, before=namespace)
    wait_until(ready.exists)
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text("utf-8")
    os.kill(int(children), signal.SIGTERM)
    outer.communicate()
    assert outer.returncode == 9
    assert tries_left(client) == 1
