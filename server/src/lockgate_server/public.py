"""The public app: files for clients and mirrors, reports, health. Holds no token and no key."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask, Response

from lockgate_server.ports import ObjectStore
from lockgate_server.services.read.health import Health
from lockgate_server.services.reports.intake import Intake
from lockgate_server.views.app import bare_app
from lockgate_server.views.files import FilesDoor, files_blueprint
from lockgate_server.views.health import health_blueprint
from lockgate_server.views.problems import install_error_handlers, problem
from lockgate_server.views.reports import ReportsDoor, reports_blueprint
from lockgate_server.views.requests import install_request_logging
from lockgate_server.views.slow_bodies import BodyWatch

__all__ = ["PublicDeps", "create_public_app"]

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicDeps:
    """What the public app needs.

    Attributes:
        store: Where the files are.
        health: What monitors ask.
        api_port: Where the maintainers' API is, on the same host.
        new_id: Returns an id for a request that has none.
        redirect_to: Where artifacts are to be had: who asks for one is sent there. "": here.
        intake: Takes reports in; None where this server takes none.
        find_block: Returns the number of the block of addresses that a request comes from.
        bodies: Watches over bodies that come slowly.
    """

    store: ObjectStore
    health: Health
    api_port: int
    new_id: Callable[[], str]
    redirect_to: str = ""
    intake: Intake | None = None
    find_block: Callable[[str, str], int] = lambda _peer, _forwarded: 0
    bodies: BodyWatch = field(
        default_factory=lambda: BodyWatch(most=32, monotonic_s=time.monotonic)
    )


def create_public_app(deps: PublicDeps) -> Flask:
    """Return the public app."""
    app = bare_app("lockgate_server.public")
    install_request_logging(app, deps.new_id)
    install_error_handlers(app)
    app.register_blueprint(health_blueprint(deps.health))
    app.register_blueprint(reports_blueprint())
    app.register_blueprint(files_blueprint(deps.store, redirect_to=deps.redirect_to))

    def wrong_side(path: str = "") -> Response:  # noqa: ARG001 (the address is not looked at)
        return problem(
            421,
            "wrong-side",
            f"The maintainers' API is at port {deps.api_port} of this host.",
            api_port=deps.api_port,
        )

    app.add_url_rule("/api/", "wrong_side", wrong_side, methods=_METHODS)
    app.add_url_rule("/api/<path:path>", "wrong_side", wrong_side, methods=_METHODS)
    app.wsgi_app = FilesDoor(  # type: ignore[method-assign]
        inside=app.wsgi_app,
        store=deps.store,
        redirect_to=deps.redirect_to,
        new_id=deps.new_id,
    )
    if deps.intake is not None:
        app.wsgi_app = ReportsDoor(  # type: ignore[method-assign]
            inside=app.wsgi_app,
            intake=deps.intake,
            find_block=deps.find_block,
            new_id=deps.new_id,
            bodies=deps.bodies,
        )
    return app
