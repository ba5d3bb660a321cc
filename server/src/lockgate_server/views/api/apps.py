"""Apps: their keys, their registration, how they stand."""

from __future__ import annotations

from flask import Response

from lockgate_release.names import parse_app_name
from lockgate_release.requests import RegisterRequest
from lockgate_server.services.write.apps import make_online_key, register
from lockgate_server.services.write.pending_words import describe_with_pending, summarise_app
from lockgate_server.services.write.status import read_current
from lockgate_server.views.api.context import answer, caller, json_body, write_deps

__all__ = ["list_apps", "make_key", "put_app", "show_app"]


def make_key(app: str) -> Response:
    """Make the server's key for an app, or say which it is."""
    key = make_online_key(write_deps(), parse_app_name(app))
    return answer({"keyid": key.keyid, "key": key.to_dict()})


def put_app(app: str) -> Response:
    """Register an app."""
    deps = write_deps()
    request = json_body(RegisterRequest.parse)
    base, is_new = register(deps, parse_app_name(app), request, caller())
    return answer(describe_with_pending(deps, base), 201 if is_new else 200)


def list_apps() -> Response:
    """List the apps that are in force."""
    deps = write_deps()
    registered = [app for app in deps.ledger.apps() if deps.ledger.highest(app) is not None]
    return answer({"apps": [summarise_app(deps, app) for app in registered]})


def show_app(app: str) -> Response:
    """Show how an app stands."""
    deps = write_deps()
    return answer(describe_with_pending(deps, read_current(deps, parse_app_name(app))))
