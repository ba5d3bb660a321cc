"""Approvals."""

from __future__ import annotations

from flask import Response

from lockgate_release.approval_requests import ApproveRequest
from lockgate_release.names import parse_app_name
from lockgate_server.services.write.approving import approve, describe_approved
from lockgate_server.views.api.context import answer, caller, json_body, write_deps

__all__ = ["post_approval"]


def post_approval(app: str) -> Response:
    """Keep what people have signed to let a release into a channel."""
    request = json_body(ApproveRequest.parse)
    outcome = approve(write_deps(), parse_app_name(app), request, caller())
    return answer(describe_approved(outcome).to_json())
