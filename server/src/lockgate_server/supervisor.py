"""The parent of a running server: binds the sockets, starts the children, keeps them alive.

It touches neither files nor the database while it runs, so it has nothing to die of. The children
inherit the bound sockets, so a child that is started again answers at the same address, and what
arrives in between waits.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lockgate_release.errors import LocalError, UsageError
from lockgate_release.log.server_events import CHILD_ENDED, CHILD_STARTED, SERVER_STOPPING
from lockgate_release.log.telling import tell
from lockgate_server.settings import ServerSettings

__all__ = [
    "PARTS",
    "Addresses",
    "RunPlan",
    "bind_address",
    "parse_address",
    "parse_parts",
    "run_server",
]

_log = logging.getLogger(__name__)

_TICK_S = 0.1
_GRACE_S = 20.0
_FIRST_BACKOFF_S = 0.5
_LONGEST_BACKOFF_S = 30.0
_STEADY_S = 60.0
_PROBE_TIMEOUT_S = 2.0
_BACKLOG = 1024
SILENCE_S = 60
"""For how long a connection may be silent in the middle of a request or an answer, in seconds."""

PARTS = ("public", "api", "worker")
"""What a server is made of."""

_KEYS = ("LOCKGATE_ONLINE_KEY_", "LOCKGATE_BACKUP_PASSPHRASE")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What to run.

    Attributes:
        settings: Where the server keeps things.
        listen: Host and port of the public side; port 0 takes a free one.
        api_listen: The same of the API.
        parts: Which of `PARTS` to run, at least one.
    """

    settings: ServerSettings
    listen: tuple[str, int]
    api_listen: tuple[str, int]
    parts: tuple[str, ...] = PARTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a running server answers, as URLs; "" for a side that does not run here."""

    public: str
    api: str


@dataclass(slots=True, kw_only=True)
class _Child:
    """One child, and when it may be started again."""

    part: str
    command: list[str]
    fds: tuple[int, ...]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    backoff_s: float = _FIRST_BACKOFF_S
    due_at: float = 0.0


def parse_address(text: str) -> tuple[str, int]:
    """Return the host and the port in `HOST:PORT` or `[HOST]:PORT`.

    Raises:
        UsageError: It is no such address.
    """
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not port.isascii() or not port.isdecimal():
        raise UsageError("not an address", expected="HOST:PORT", found=repr(text))
    if int(port) > 65535:
        raise UsageError("not a port", expected="0 to 65535", found=port)
    return host, int(port)


def parse_parts(text: str | None) -> tuple[str, ...]:
    """Return the parts in a list such as `api,worker`; nothing said means all of them.

    Raises:
        UsageError: One of them is no part.
    """
    said = [part.strip() for part in (text or ",".join(PARTS)).split(",")]
    for part in said:
        if part not in PARTS:
            expected = f"some of {', '.join(PARTS)}, with commas between them"
            raise UsageError(
                "not a part of a server", subject="parts", expected=expected, found=repr(part)
            )
    return tuple(part for part in PARTS if part in said)


def bind_address(address: tuple[str, int], *, silence_s: int = SILENCE_S) -> socket.socket:
    """Return a socket that is bound to an address and listens.

    Args:
        address: Host and port.
        silence_s: After so many seconds in which it sends nothing, or takes nothing of what it is
            sent, a connection ends: whoever vanished must not hold a thread for ever.

    Raises:
        LocalError: The address cannot be used.
    """
    host, port = address
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        sock = socket.create_server(address, family=family, backlog=_BACKLOG)
        # Every connection that is accepted inherits these, in whichever process.
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", silence_s, 0))
        # What the operating system sends by itself, a file say, heeds only this one.
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, silence_s * 1000)
        return sock
    except OSError as exc:
        raise LocalError(
            "the address cannot be used",
            subject=f"{host}:{port}",
            found=exc.strerror or str(exc),
            hint="Is another server running there?",
        ) from exc


def run_server(
    plan: RunPlan, environ: Mapping[str, str], announce: Callable[[Addresses], None]
) -> None:
    """Run until SIGTERM or SIGINT; then stop gracefully.

    Args:
        plan: What to run.
        environ: The environment of the children.
        announce: Told the addresses, once both answer.

    Raises:
        LocalError: An address cannot be used, or the run file cannot be written.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    addresses = {"public": plan.listen, "api": plan.api_listen}
    with contextlib.ExitStack() as held:
        sockets = {
            part: held.enter_context(bind_address(address))
            for part, address in addresses.items()
            if part in plan.parts
        }
        supervisor = _Supervisor(plan, environ, sockets, held.enter_context(_Lifeline()))
        try:
            supervisor.run(stop, announce)
        finally:
            supervisor.stop()
            supervisor.remove_run_file()


class _Lifeline:
    """A pipe that is never written to: it ends when this process does, whatever ends it."""

    def __enter__(self) -> int:
        self._read, self._write = os.pipe()
        return self._read

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._read)
        os.close(self._write)


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Supervisor:
    """The children and their sockets."""

    def __init__(
        self,
        plan: RunPlan,
        environ: Mapping[str, str],
        sockets: Mapping[str, socket.socket],
        lifeline: int,
    ) -> None:
        self._plan = plan
        settings = plan.settings
        self._environ = {**environ, **settings.to_environ()}
        self._sockets = sockets
        urls = {part: _url(sock) for part, sock in sockets.items()}
        self._addresses = Addresses(public=urls.get("public", ""), api=urls.get("api", ""))
        self._children = [self._child(part, lifeline) for part in plan.parts]

    def _child(self, part: str, lifeline: int) -> _Child:
        command = [
            *(sys.executable, "-m", f"lockgate_server.children.{part}"),
            *("--data", str(self._plan.settings.data), "--lifeline", str(lifeline)),
        ]
        if part == "public":
            # Somebody who asks it for the API is told where that is.
            api = self._sockets.get("api")
            port = api.getsockname()[1] if api else self._plan.api_listen[1]
            command += ["--api-port", str(port)]
        sock = self._sockets.get(part)
        if sock is None:
            return _Child(part=part, command=command, fds=(lifeline,))
        command += ["--fd", str(sock.fileno())]
        return _Child(part=part, command=command, fds=(lifeline, sock.fileno()))

    def run(self, stop: threading.Event, announce: Callable[[Addresses], None]) -> None:
        """Keep the children alive until `stop` is set."""
        is_ready = False
        while not stop.is_set():
            for child in self._children:
                self._keep_alive(child, time.monotonic())
            if not is_ready and all(_answers(sock) for sock in self._sockets.values()):
                is_ready = True
                self._write_run_file()
                announce(self._addresses)
            stop.wait(_TICK_S)

    def _keep_alive(self, child: _Child, now: float) -> None:
        if child.process is not None:
            code = child.process.poll()
            if code is None:
                return
            steady = now - child.started_at > _STEADY_S
            child.backoff_s = _FIRST_BACKOFF_S if steady else child.backoff_s
            child.due_at = now + child.backoff_s
            child.backoff_s = min(child.backoff_s * 2, _LONGEST_BACKOFF_S)
            child.process = None
            tell(_log, CHILD_ENDED, child=child.part, exit_code=code)
        if now >= child.due_at:
            child.started_at = now
            child.process = subprocess.Popen(
                child.command,
                pass_fds=child.fds,
                env=_environ_of(child.part, self._environ),
                stdin=subprocess.DEVNULL,
            )
            tell(_log, CHILD_STARTED, child=child.part)

    @property
    def _run_file(self) -> Path:
        """Where the addresses stand; parts that run alone leave the file of a whole server be."""
        path = self._plan.settings.run_file
        if self._plan.parts == PARTS:
            return path
        return path.with_name(f"run-{'-'.join(self._plan.parts)}.json")

    def remove_run_file(self) -> None:
        """Say that nothing runs here any more."""
        self._run_file.unlink(missing_ok=True)

    def _write_run_file(self) -> None:
        path = self._run_file
        body = {"public": self._addresses.public, "api": self._addresses.api, "pid": os.getpid()}
        temporary = path.with_name(f"{path.name}.new")
        try:
            temporary.write_text(json.dumps(body) + "\n", "utf-8")
            temporary.replace(path)
        except OSError as exc:
            raise LocalError(
                "the run file cannot be written", subject=str(path), found=exc.strerror or ""
            ) from exc

    def stop(self) -> None:
        """End the children gracefully, and those that do not end, not."""
        tell(_log, SERVER_STOPPING)
        alive = [child.process for child in self._children if child.process is not None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + _GRACE_S
        for process in alive:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environ_of(part: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child: the public one is told no key of ours."""
    if part != "public":
        return dict(environ)
    return {name: value for name, value in environ.items() if not name.startswith(_KEYS)}


def _answers(sock: socket.socket) -> bool:
    """Whether whoever holds the socket answers; the unspecified address is asked on loopback."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (not bound here)
    with contextlib.closing(
        http.client.HTTPConnection(host, port, timeout=_PROBE_TIMEOUT_S)
    ) as connection:
        try:
            connection.request("GET", "/health/live")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
