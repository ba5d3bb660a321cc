"""The api app: what maintainers and CI ask for, behind tokens. Holds the online keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flask import Flask

from lockgate_server.ports import Scope
from lockgate_server.services.read.health import Health
from lockgate_server.views.api.auth import require
from lockgate_server.views.api.context import EXTENSION, ApiContext
from lockgate_server.views.api.routes import api_blueprint
from lockgate_server.views.app import bare_app
from lockgate_server.views.files import files_blueprint
from lockgate_server.views.health import health_blueprint
from lockgate_server.views.problems import install_error_handlers
from lockgate_server.views.requests import install_request_logging

__all__ = ["ApiDeps", "create_api_app"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDeps:
    """What the api app needs.

    Attributes:
        context: What its views need.
        health: What monitors ask.
        new_id: Returns an id for a request that has none.
    """

    context: ApiContext
    health: Health
    new_id: Callable[[], str]


def create_api_app(deps: ApiDeps) -> Flask:
    """Return the api app; it serves the public files too, so that CI reads them uncached."""
    app = bare_app("lockgate_server.api")
    app.extensions[EXTENSION] = deps.context
    install_request_logging(app, deps.new_id)
    install_error_handlers(app)
    ledger = deps.context.write.ledger
    app.register_blueprint(health_blueprint(deps.health, partial(require, ledger, Scope.READ)))
    app.register_blueprint(api_blueprint(deps.context.write.ledger))
    app.register_blueprint(files_blueprint(deps.context.write.store))
    return app
