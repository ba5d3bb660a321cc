"""Ceremonies: keys that come and go, signed by people, put in force by the server."""

from __future__ import annotations

from flask import Response

from lockgate_release.ceremony_requests import CeremonyRequest
from lockgate_release.names import parse_app_name
from lockgate_server.services.write.ceremony import hold_ceremony
from lockgate_server.views.api.context import answer, caller, json_body, write_deps

__all__ = ["post_ceremony"]


def post_ceremony(app: str) -> Response:
    """Put newer metadata of people's roles in force, as one change that is safe to send again."""
    request = json_body(CeremonyRequest.parse)
    return answer(hold_ceremony(write_deps(), parse_app_name(app), request, caller()).to_json())
