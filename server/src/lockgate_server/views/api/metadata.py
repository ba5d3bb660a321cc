"""Newer metadata of the offline roles."""

from __future__ import annotations

from flask import Response

from lockgate_release.names import parse_app_name
from lockgate_release.requests import RenewRequest
from lockgate_release.trust.roles import Role
from lockgate_server.ports import Scope
from lockgate_server.services.write.renewing import renew
from lockgate_server.views.api.auth import require
from lockgate_server.views.api.context import answer, caller, json_body, write_deps

__all__ = ["post_metadata"]


def post_metadata(app: str) -> Response:
    """Put newer metadata in force: `releases` by publishers, the rest by administrators."""
    request = json_body(RenewRequest.parse)
    if request.role in {Role.ROOT, Role.TARGETS}:
        require(write_deps().ledger, Scope.ADMIN)
    renewed = renew(write_deps(), parse_app_name(app), request, caller())
    return answer({"timestamp_version": renewed.timestamp_version, "version": renewed.version})
