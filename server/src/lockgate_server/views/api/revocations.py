"""Revocations."""

from __future__ import annotations

from flask import Response

from lockgate_release.names import parse_app_name
from lockgate_release.requests import RevokeRequest, UnrevokeRequest
from lockgate_server.services.write.revoking import describe_revoked, revoke
from lockgate_server.services.write.unrevoking import describe_unrevoked, unrevoke
from lockgate_server.views.api.context import answer, caller, json_body, write_deps

__all__ = ["post_lift", "post_revocation"]


def post_revocation(app: str) -> Response:
    """Revoke a release."""
    request = json_body(RevokeRequest.parse)
    return answer(describe_revoked(revoke(write_deps(), parse_app_name(app), request, caller())))


def post_lift(app: str) -> Response:
    """Take a revocation back that the publishers have lifted."""
    request = json_body(UnrevokeRequest.parse)
    outcome = unrevoke(write_deps(), parse_app_name(app), request, caller())
    return answer(describe_unrevoked(request, outcome))
