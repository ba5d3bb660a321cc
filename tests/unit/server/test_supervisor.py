"""Addresses, and what a child is told."""

import socket
import struct

import pytest

from lockgate_release.errors import LocalError, UsageError
from lockgate_server.children.common import size_setting
from lockgate_server.supervisor import _environ_of, _url, bind_address, parse_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, expected: tuple[str, int]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "8080", ":8080", "host:", "host:http", "host:65536", "h:٣"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_address(text)


def test_an_address_in_use_is_told_of() -> None:
    with (
        bind_address(("127.0.0.1", 0)) as taken,
        pytest.raises(LocalError, match="Is another server running there"),
    ):
        bind_address(("127.0.0.1", taken.getsockname()[1]))


def test_a_client_that_falls_silent_does_not_hold_a_thread_for_ever() -> None:
    with bind_address(("127.0.0.1", 0), silence_s=1) as sock:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            with socket.create_connection(sock.getsockname()), sock.accept()[0] as accepted:
                accepted.setblocking(True)  # as gunicorn does
                size = struct.calcsize("ll")
                found = accepted.getsockopt(socket.SOL_SOCKET, option, size)
                assert struct.unpack("ll", found) == (1, 0)
                user_timeout_ms = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                assert user_timeout_ms == 1000
                if option == socket.SO_RCVTIMEO:
                    with pytest.raises(BlockingIOError):
                        accepted.recv(1)


def test_an_ipv6_address_stands_in_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        bound = bind_address(("::1", 0))
    except LocalError:
        pytest.skip("no IPv6 loopback here")
    with bound:
        assert _url(bound).startswith("http://[::1]:")


def test_the_public_child_is_told_no_key() -> None:
    environ = {"LOCKGATE_ONLINE_KEY_DEMO": "secret", "PATH": "/bin"}
    assert _environ_of("public", environ) == {"PATH": "/bin"}
    assert _environ_of("api", environ) == environ


@pytest.mark.parametrize("said", ["0", "1001", "-1", "many", "٣", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="LOCKGATE_X"):
        size_setting({"LOCKGATE_X": said}, "LOCKGATE_X", 4)


def test_a_number_of_threads_is_a_setting() -> None:
    assert size_setting({}, "LOCKGATE_X", 4) == 4
    assert size_setting({"LOCKGATE_X": "7"}, "LOCKGATE_X", 4) == 7
