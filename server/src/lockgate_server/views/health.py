"""Health: whether a side is well, for anybody; how far the server has got, for who may know."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, jsonify, request

from lockgate_server.errors import NotFoundError, UnauthenticatedError
from lockgate_server.services.read.checks import Level
from lockgate_server.services.read.health import Health
from lockgate_server.services.read.metrics import CONTENT_TYPE, to_metrics
from lockgate_server.views.problems import problem

__all__ = ["health_blueprint"]

_WHERE = "Details are on the side of the API, with a token of scope read."


def health_blueprint(health: Health, check_token: Callable[[], None] | None = None) -> Blueprint:
    """Return the addresses that monitors ask.

    Args:
        health: What they ask.
        check_token: Lets a request pass that may know details, and raises for every other; None on
            a side where nobody may.
    """
    blueprint = Blueprint("health", __name__, url_prefix="/health")

    def may_know() -> bool:
        """Whether the request may know details; one with a bad token is refused.

        Raises:
            UnauthenticatedError: It carries a token that is none.
            DeniedError: Its token is of no scope.
        """
        if check_token is None or "Authorization" not in request.headers:
            return False
        check_token()
        return True

    @blueprint.get("/live")
    def live() -> Response:
        return _uncached({"status": "live"})

    @blueprint.get("/ready")
    def ready() -> Response:
        checks = health.checks()
        levels = {one.name: one.level.value for one in checks}
        details = {one.name: list(one.details) for one in checks if one.details}
        more = {"details": details} if details and may_know() else {}
        reasons = {one.name: one.reason for one in checks if one.reason}
        if any(one.level is Level.FAILED for one in checks):
            failed = [one.reason for one in checks if one.level is Level.FAILED]
            return problem(
                503, "not-ready", "; ".join(failed), checks=levels, reasons=reasons, **more
            )
        return _uncached({"status": "ready", "checks": levels, "reasons": reasons, **more})

    @blueprint.get("/snapshot")
    def snapshot() -> Response:
        return _uncached(dict(health.snapshot() if may_know() else health.summary()))

    @blueprint.get("/metrics")
    def metrics() -> Response:
        if check_token is None:
            raise NotFoundError("no metrics on this side", hint=_WHERE)
        if not may_know():
            raise UnauthenticatedError("no token came with the request", hint=_WHERE)
        response = Response(to_metrics(health.snapshot()), content_type=CONTENT_TYPE)
        response.headers["Cache-Control"] = "no-store"
        return response

    return blueprint


def _uncached(body: dict[str, object]) -> Response:
    response: Response = jsonify(body)
    response.headers["Cache-Control"] = "no-store"
    return response
