"""The worker child: runs the jobs."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping

from lockgate_server.assembly import open_write_deps
from lockgate_server.backups.schedule import start_backups
from lockgate_server.children.common import begin
from lockgate_server.worker import holder_name, jobs_for, run_forever

__all__ = ["main"]


def main(arguments: list[str], environ: Mapping[str, str]) -> None:
    """Run the jobs until a signal, or the end of the supervisor."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    told = begin("worker", arguments, environ)
    with open_write_deps(told.settings, environ) as deps:
        start_backups(told.settings, environ, deps.ledger, holder_name(), stop)
        run_forever(deps, holder_name(), stop, jobs_for(told.settings))


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
