"""The api child: a process of its own, so that no download delays a revocation."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial

from flask import Flask

from lockgate_server import __version__
from lockgate_server.api import ApiDeps, create_api_app
from lockgate_server.assembly import make_write_deps
from lockgate_server.backups.record import read_record
from lockgate_server.children.common import (
    begin,
    make_health,
    new_request_id,
    serve,
    size_setting,
)
from lockgate_server.services.read.checks import BackupNews
from lockgate_server.services.read.health import Signing
from lockgate_server.services.write.key_check import find_key_problem
from lockgate_server.settings import ServerSettings
from lockgate_server.stores.factory import open_store
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from lockgate_server.views.api.context import ApiContext
from lockgate_server.views.api.slots import Slots, slots_of

__all__ = ["main"]

_WORKERS, _THREADS = 1, 64


def main(arguments: list[str], environ: Mapping[str, str]) -> None:
    """Serve the API until a signal, or the end of the supervisor."""
    told = begin("api", arguments, environ)
    threads = size_setting(environ, "LOCKGATE_API_THREADS", _THREADS)
    serve(
        "api",
        told.fd,
        lambda: _make_app(told.settings, environ, threads),
        workers=size_setting(environ, "LOCKGATE_API_WORKERS", _WORKERS),
        threads=threads,
    )


def _make_app(settings: ServerSettings, environ: Mapping[str, str], threads: int) -> Flask:
    """Return the app; what it holds is let go of when the process ends."""
    store, ledger = open_store(settings.store_address), SqliteLedger(settings.ledger_path)
    write = make_write_deps(settings, environ, store, ledger)
    return create_api_app(
        ApiDeps(
            context=ApiContext(
                write=write,
                version=__version__,
                start_needs=settings.start_needs,
                mirror_limit_s=settings.serving.mirror_limit_s,
                public_url=settings.serving.public_url,
                slots=Slots(slots_of(threads)),
            ),
            health=make_health(
                store,
                ledger,
                write.reports,
                signing=Signing(find_problem=partial(find_key_problem, write)),
                backup=partial(_find_backup, settings),
            ),
            new_id=new_request_id,
        )
    )


def _find_backup(settings: ServerSettings) -> BackupNews | None:
    record, backing = read_record(settings.backup_file), settings.backing
    if not record.to and not backing.to:
        return None
    return BackupNews(
        name=record.name,
        made_at=record.made_at,
        verified_at=record.verified_at,
        failed_at=record.failed_at,
        every=backing.every if backing.to else None,
    )


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
