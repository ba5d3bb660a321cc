"""The public child: imports nothing that signs, and is told no key."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from flask import Flask

from lockgate_server.children.common import (
    ChildArguments,
    begin,
    make_health,
    new_request_id,
    serve,
    size_setting,
)
from lockgate_server.public import PublicDeps, create_public_app
from lockgate_server.stores.factory import open_store
from lockgate_server.stores.sqlite_ledger import SqliteLedger

__all__ = ["main"]

# A download holds a thread for as long as it lasts, so there are many; they are cheap.
_WORKERS, _THREADS = 2, 64


def main(arguments: list[str], environ: Mapping[str, str]) -> None:
    """Serve the public app until a signal, or the end of the supervisor."""
    told = begin("public", arguments, environ)
    serve(
        "public",
        told.fd,
        lambda: _make_app(told),
        workers=size_setting(environ, "LOCKGATE_PUBLIC_WORKERS", _WORKERS),
        threads=size_setting(environ, "LOCKGATE_PUBLIC_THREADS", _THREADS),
    )


def _make_app(told: ChildArguments) -> Flask:
    """Return the app; what it holds is let go of when the process ends."""
    store, serving = open_store(told.settings.store_address), told.settings.serving
    ledger = SqliteLedger(told.settings.ledger_path)
    return create_public_app(
        PublicDeps(
            store=store,
            redirect_to=serving.public_url if serving.redirects_artifacts else "",
            health=make_health(store, ledger),
            api_port=told.api_port,
            new_id=new_request_id,
        )
    )


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
