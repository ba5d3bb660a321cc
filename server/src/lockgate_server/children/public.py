"""The public child: imports nothing that signs, and is told no key."""

from __future__ import annotations

import atexit
import gc
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flask import Flask

from lockgate_release.instants import utc_now
from lockgate_server.children.common import (
    ChildArguments,
    begin,
    make_health,
    new_request_id,
    serve,
    size_setting,
)
from lockgate_server.ports.reports import ReportLedger
from lockgate_server.public import PublicDeps, create_public_app
from lockgate_server.reporting import Network, Reporting
from lockgate_server.services.reports.blocks import block_mark, client_address
from lockgate_server.services.reports.in_force import View
from lockgate_server.services.reports.intake import Intake, IntakeLimits
from lockgate_server.services.reports.shared import SharedCounts
from lockgate_server.stores.factory import open_store
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from lockgate_server.stores.sqlite_reports import SqliteReportLedger
from lockgate_server.views.slow_bodies import BodyWatch

__all__ = ["main"]

# A download holds a thread for as long as it lasts, so there are many; they are cheap.
_WORKERS, _THREADS = 2, 64


def main(arguments: list[str], environ: Mapping[str, str]) -> None:
    """Serve the public app until a signal, or the end of the supervisor."""
    told = begin("public", arguments, environ)
    workers = size_setting(environ, "LOCKGATE_PUBLIC_WORKERS", _WORKERS)
    # Made before the processes are, so that they know a block by the same number.
    secret = _Secret(salt=secrets.token_bytes(16), shared=SharedCounts())
    threads = size_setting(environ, "LOCKGATE_PUBLIC_THREADS", _THREADS)
    # Files are served on, however many bodies of reports do not come.
    most = max(1, threads // 2)
    serve(
        "public",
        told.fd,
        lambda: _make_app(told, workers, secret, BodyWatch(most=most, monotonic_s=time.monotonic)),
        workers=workers,
        threads=threads,
    )


@dataclass(frozen=True, slots=True)
class _Secret:
    """What the processes of the public side share, and nobody else has."""

    salt: bytes
    shared: SharedCounts


def _make_app(told: ChildArguments, workers: int, secret: _Secret, bodies: BodyWatch) -> Flask:
    """Return the app; what it holds is let go of when the process ends."""
    store, serving = open_store(told.settings.store_address), told.settings.serving
    ledger = SqliteLedger(told.settings.ledger_path)
    reports = SqliteReportLedger(told.settings.reports_path)
    # What there is by now stays: it is not looked through again whenever many reports wait.
    gc.freeze()
    return create_public_app(
        PublicDeps(
            store=store,
            redirect_to=serving.public_url if serving.redirects_artifacts else "",
            health=make_health(store, ledger, reports),
            api_port=told.api_port,
            new_id=new_request_id,
            intake=_start_intake(
                told.settings.reporting,
                View(store, ledger, time.monotonic),
                reports,
                workers,
                secret.shared,
            ),
            bodies=bodies,
            find_block=_block_finder(told.settings.reporting.trusted_proxies, secret.salt),
        )
    )


def _start_intake(
    reporting: Reporting,
    view: View,
    reports: ReportLedger,
    workers: int,
    shared: SharedCounts,
) -> Intake | None:
    """Return what takes reports in, and counts what waits when the process ends."""
    if not reporting.is_on:
        return None
    intake = Intake(
        ledger=reports,
        view=view,
        now=utc_now,
        monotonic_s=time.monotonic,
        limits=IntakeLimits(share_bp=reporting.share_bp, processes=workers),
        shared=shared,
    )
    atexit.register(intake.stop)
    intake.start()
    return intake


def _block_finder(trusted: Sequence[Network], salt: bytes) -> Callable[[str, str], int]:
    return lambda peer, forwarded: block_mark(client_address(peer, forwarded, trusted), salt)


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
