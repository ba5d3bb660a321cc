"""What every child of the supervisor has in common: its arguments, its end, and gunicorn.

A child is `python -m lockgate_server.children.PART …`, and is not for typing by hand. It ends when
the supervisor does, however that ends: it reads from a pipe whose other end only the supervisor
holds.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.config import Config
from gunicorn.glogging import Logger

from lockgate_release.errors import UsageError
from lockgate_release.instants import utc_now
from lockgate_release.log.rules import read_log_rules, set_up_lines
from lockgate_server import __version__
from lockgate_server.backing import read_backing
from lockgate_server.patience import read_patience
from lockgate_server.ports import Ledger, ObjectStore
from lockgate_server.ports.reports import ReportLedger
from lockgate_server.reporting import read_reporting
from lockgate_server.services.read.checks import BackupNews
from lockgate_server.services.read.health import Health, Signing
from lockgate_server.serving import read_serving
from lockgate_server.settings import (
    ServerSettings,
    parse_daily,
    parse_grace,
    parse_start_needs,
    parse_upload_route,
)
from lockgate_server.stores.factory import find_clock

__all__ = ["ChildArguments", "begin", "make_health", "new_request_id", "serve", "size_setting"]

_GRACE_S = 10
_REQUEST_ID_BYTES = 8


class _LogLines(Logger):
    """Sends what gunicorn says through the log lines of this process."""

    def setup(self, cfg: Config) -> None:
        del cfg
        for logger in (self.error_log, self.access_log):
            logger.handlers[:] = []
            logger.propagate = True


class _Gunicorn(BaseApplication):
    """gunicorn without its command line and its files."""

    def __init__(self, make_app: Callable[[], Flask], options: Mapping[str, Any]) -> None:
        self._make_app = make_app
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:  # noqa: ANN401 (its type has a name in the stubs only)
        """Make the app, in each worker by itself: a database connection does not survive a fork."""
        return self._make_app()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildArguments:
    """What the supervisor tells a child.

    Attributes:
        settings: Where the server keeps things.
        fd: The socket to serve, or -1.
        api_port: Where the API is.
    """

    settings: ServerSettings
    fd: int
    api_port: int


def begin(part: str, arguments: list[str], environ: Mapping[str, str]) -> ChildArguments:
    """Set up what every child needs, and return what it was told."""
    parser = argparse.ArgumentParser(prog=f"lockgate_server.children.{part}")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--lifeline", type=int, required=True)
    parser.add_argument("--fd", type=int, default=-1)
    parser.add_argument("--api-port", type=int, default=0)
    said = parser.parse_args(arguments)
    set_up_lines(
        part, sys.stderr, read_log_rules(lambda name: environ.get(f"LOCKGATE_{name.upper()}"))
    )
    _end_with(said.lifeline)
    settings = ServerSettings(
        data=said.data,
        storage=environ.get("LOCKGATE_STORAGE", ""),
        uploads=parse_upload_route(environ.get("LOCKGATE_UPLOADS")),
        gc_daily=parse_daily(environ.get("LOCKGATE_GC")),
        gc_grace=parse_grace(environ.get("LOCKGATE_GC_GRACE")),
        start_needs=parse_start_needs(environ.get("LOCKGATE_START_NEEDS")),
        serving=read_serving(lambda name: environ.get(f"LOCKGATE_{name.upper()}")),
        reporting=read_reporting(lambda name: environ.get(f"LOCKGATE_{name.upper()}")),
        backing=read_backing(lambda name: environ.get(f"LOCKGATE_{name.upper()}")),
        patience=read_patience(lambda name: environ.get(f"LOCKGATE_{name.upper()}")),
    )
    return ChildArguments(settings=settings, fd=said.fd, api_port=said.api_port)


def _end_with(lifeline: int) -> None:
    """Send this process a SIGTERM when the other end of the pipe is closed."""

    def watch() -> None:
        os.read(lifeline, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def serve(part: str, fd: int, make_app: Callable[[], Flask], *, workers: int, threads: int) -> None:
    """Serve an app on a bound socket until a signal ends it."""
    options = {
        "bind": [f"fd://{fd}"],
        "worker_class": "gthread",
        "workers": workers,
        "threads": threads,
        "graceful_timeout": _GRACE_S,
        "keepalive": 5,
        "control_socket_disable": True,
        "logger_class": _LogLines,
        "proc_name": f"lockgate-server {part}",
    }
    _Gunicorn(make_app, options).run()


def size_setting(environ: Mapping[str, str], name: str, default: int) -> int:
    """Return a number of processes or threads, 1 to 1000.

    Raises:
        UsageError: The environment says something else.
    """
    said = environ.get(name, "")
    if not said:
        return default
    if not said.isascii() or not said.isdecimal() or not 1 <= int(said[:9]) <= 1000:
        raise UsageError("not a number", subject=name, expected="1 to 1000", found=repr(said[:20]))
    return int(said)


def new_request_id() -> str:
    """Return an id for a request that came without one."""
    return secrets.token_hex(_REQUEST_ID_BYTES)


def make_health(
    store: ObjectStore,
    ledger: Ledger,
    reports: ReportLedger,
    *,
    signing: Signing | None = None,
    backup: Callable[[], BackupNews | None] = lambda: None,
) -> Health:
    """Return what monitors ask of this process."""
    return Health(
        store=store,
        ledger=ledger,
        now=utc_now,
        started_at=utc_now(),
        version=__version__,
        reports=reports,
        signing=signing,
        store_clock=partial(find_clock, store),
        backup=backup,
    )
