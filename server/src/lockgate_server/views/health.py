"""Health, the same on both apps."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from lockgate_server.services.read.health import Health
from lockgate_server.views.problems import problem

__all__ = ["health_blueprint"]


def health_blueprint(health: Health) -> Blueprint:
    """Return the addresses that monitors ask."""
    blueprint = Blueprint("health", __name__, url_prefix="/health")

    @blueprint.get("/live")
    def live() -> Response:
        return _uncached({"status": "live"})

    @blueprint.get("/ready")
    def ready() -> Response:
        obstacles = health.obstacles()
        if obstacles:
            return problem(503, "not-ready", "; ".join(obstacles))
        return _uncached({"status": "ready"})

    @blueprint.get("/snapshot")
    def snapshot() -> Response:
        return _uncached(dict(health.snapshot()))

    return blueprint


def _uncached(body: dict[str, object]) -> Response:
    response: Response = jsonify(body)
    response.headers["Cache-Control"] = "no-store"
    return response
