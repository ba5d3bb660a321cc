"""The real api app on a loopback port, over a store and a ledger in memory."""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from lockgate_release.digests import digest_bytes
from lockgate_server.api import ApiDeps, create_api_app
from lockgate_server.keys import KeyRing
from lockgate_server.ports import Scope
from lockgate_server.public import PublicDeps, create_public_app
from lockgate_server.services.read.health import Health
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.views.api.context import ApiContext
from tests.simulators.memory_ledger import MemoryLedger
from tests.simulators.memory_reports import MemoryReportLedger
from tests.simulators.memory_store import MemoryStore
from tests.simulators.publisher import NOW


class Silent(WSGIRequestHandler):
    """Log nothing: the tests' output is for the tests."""

    def log(self, *_: Any, **__: Any) -> None:
        """Say nothing."""


@contextmanager
def serve_app(app: Callable[..., Any]) -> Iterator[str]:
    """Serve a WSGI app until the block ends; yields its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(kw_only=True)
class ServerSide:
    """A server's state, all in memory but its keys; `clock` says what time it believes it is."""

    folder: Path
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.store = MemoryStore(clock=lambda: self.now)
        self.ledger = MemoryLedger()
        self.reports = MemoryReportLedger()

    def token(self, scope: Scope) -> str:
        """Make a token and return its secret."""
        secret = f"lg_{secrets.token_hex(16)}"
        self.ledger.create_token(
            scope=scope,
            label=scope.value,
            secret_sha256=digest_bytes(secret.encode()),
            now=self.now,
        )
        return secret

    def write_deps(self) -> WriteDeps:
        return WriteDeps(
            store=self.store,
            ledger=self.ledger,
            keys=KeyRing(self.folder, {}),
            now=lambda: self.now,
            random_hex=secrets.token_hex,
            sleep=lambda _: None,
            reports=self.reports,
        )

    def api(self) -> Flask:
        context = ApiContext(write=self.write_deps(), version="0.1.0")
        deps = ApiDeps(context=context, health=self._health(), new_id=lambda: "request-1")
        return create_api_app(deps)

    def public(self, api_port: int) -> Flask:
        return create_public_app(
            PublicDeps(
                store=self.store,
                health=self._health(),
                api_port=api_port,
                new_id=lambda: "request-1",
            )
        )

    def _health(self) -> Health:
        return Health(
            store=self.store,
            ledger=self.ledger,
            now=lambda: self.now,
            started_at=self.now,
            version="0.1.0",
        )
