"""The guard that keeps tests on this machine and servers to what they have, seen refusing."""

import socket
import subprocess
import sys

import pytest

from tests.guard.sitecustomize import not_deployed

OUTSIDE = ("192.0.2.1", 9)  # TEST-NET-1 (RFC 5737): nobody lives there
# By its words, not its class: under xdist the guard was already loaded, by Python itself.
REFUSAL = "tests talk to loopback only"


def test_connecting_to_another_machine_is_refused() -> None:
    with socket.socket() as outgoing, pytest.raises(BaseException, match=REFUSAL):
        outgoing.connect(OUTSIDE)


def test_a_datagram_to_another_machine_is_refused() -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as outgoing,
        pytest.raises(BaseException, match=REFUSAL),
    ):
        outgoing.sendto(b"hello", OUTSIDE)


@pytest.mark.parametrize("name", ["host.invalid", "192.0.2.1", "::ffff:192.0.2.1"])
def test_looking_up_another_machine_is_refused(name: str) -> None:
    with pytest.raises(BaseException, match=REFUSAL):
        socket.getaddrinfo(name, 80)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_may_be_looked_up(name: str) -> None:
    assert socket.getaddrinfo(name, 80)


def test_a_process_started_by_a_test_is_refused_too() -> None:
    program = "import socket; socket.getaddrinfo('host.invalid', 80)"
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert REFUSAL in done.stderr


def test_a_connection_within_this_machine_goes_through() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5) as outgoing,
    ):
        accepted, _ = server.accept()
        accepted.close()
        assert outgoing.recv(1) == b""


@pytest.mark.parametrize(
    ("command", "absent"),
    [
        (["/v/bin/python", "/v/bin/lockgate-server", "run"], {"numpy"}),
        (["/v/bin/python", "-m", "lockgate_server.children.public"], {"numpy"}),
        (["/v/bin/python", "/v/bin/lockgate", "simulate"], {"boto3"}),
        (["/v/bin/python", "/v/bin/lockgate-updater", "check"], {"boto3"}),
        (["/v/bin/python", "-m", "lockgate_updater", "check"], {"boto3"}),
        (["/v/bin/python", "-c", "import lockgate_updater"], {"boto3"}),
        (["/v/bin/python", "-c", "import lockgate_cli.main"], {"boto3"}),
        (["/v/bin/python", "-c", "import lockgate_updater, lockgate_server"], set()),
        (["/v/bin/python", "-m", "pytest"], set()),
    ],
)
def test_a_program_finds_no_package_that_only_the_tests_brought(
    command: list[str], absent: set[str]
) -> None:
    assert not_deployed(command) == absent


def test_what_is_not_deployed_cannot_be_imported() -> None:
    program = "import importlib, sys; importlib.import_module(sys.argv[2])"
    # Whatever nobody hides lies beside these tests, so that its absence says something.
    for name, word, code in (
        ("numpy", "lockgate-server", 1),
        ("numpy", "lockgate", 0),
        ("boto3", "lockgate", 1),
        ("boto3", "lockgate-server", 0),
    ):
        command = [sys.executable, "-c", program, word, name]
        done = subprocess.run(command, check=False, capture_output=True)
        assert done.returncode == code, (name, word)
