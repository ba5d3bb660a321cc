"""Refuses every socket that would leave this machine, and gives servers no more than they have.

Python imports a module of this name by itself when it starts, so a process that finds this folder
on its PYTHONPATH is guarded too. `tests/conftest.py` puts it there.
"""

import ipaddress
import sys
from typing import Any

_LOCAL_NAMES = frozenset({"", "localhost", "ip6-localhost"})
_CONNECTING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_RESOLVING = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_SERVERS = ("lockgate-server", "lockgate_server.children.")
_CLIENTS = frozenset({"lockgate", "lockgate-updater"})
_CODE_OF_CLIENTS = ("lockgate_updater", "lockgate_cli")


class LeftThisMachineError(BaseException):
    """A test tried to reach another machine; no code under test takes it for a bad network."""


def _is_local(host: object) -> bool:
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
    if text in _LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    # The unspecified address is what a server binds to; connecting to it stays on this machine.
    return address.is_loopback or address.is_unspecified


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event in _CONNECTING:
        address = args[1]
        # A name or None is a Unix socket or a connected one; only internet addresses are tuples.
        host = address[0] if isinstance(address, tuple) else ""
    elif event in _RESOLVING:
        host = args[0]
    else:
        return
    if not _is_local(host):
        message = f"{event}: tests talk to loopback only, this one wanted {host!r}"
        raise LeftThisMachineError(message)


def refuse_to_leave_this_machine() -> None:
    """Guards this process from now on. An audit hook cannot be taken back, so once is enough."""
    if not getattr(sys, "_lockgate_guarded", False):
        sys.addaudithook(_audit)
        sys._lockgate_guarded = True  # type: ignore[attr-defined]


def not_deployed(command: list[str]) -> frozenset[str]:
    """Packages that lie beside these tests, and never beside a program that is started so.

    sqlite-utils imports numpy where it finds it, in each process of a server, and securesystemslib
    boto3, in each command of a client or a publisher: a third of what starting one costs here, and
    nothing that starting one costs anybody else.
    """
    started = [word.rpartition("/")[2] for word in command]
    absent = {"numpy"} if any(word.startswith(_SERVERS) for word in started) else set()
    is_client = any(name in word for word in command for name in _CODE_OF_CLIENTS)
    is_client = is_client and not any("lockgate_server" in word for word in command)
    if is_client or not _CLIENTS.isdisjoint(started):
        absent.add("boto3")
    return frozenset(absent)


if __name__ == "sitecustomize":
    refuse_to_leave_this_machine()
    for _name in not_deployed(sys.orig_argv[:4]):
        sys.modules[_name] = None  # type: ignore[assignment]  # to whoever imports it: not there
