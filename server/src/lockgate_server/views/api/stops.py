"""The emergency stop."""

from __future__ import annotations

from flask import Response

from lockgate_release.names import parse_app_name
from lockgate_release.steering_requests import StartRequest, StopRequest
from lockgate_server.services.write.stopping import describe_stopped, start, stop
from lockgate_server.views.api.context import answer, caller, context, json_body, write_deps

__all__ = ["post_start", "post_stop"]


def post_stop(app: str) -> Response:
    """Let nothing reach further clients."""
    request, name = json_body(StopRequest.parse), parse_app_name(app)
    needed = context().start_needs
    return answer(describe_stopped(stop(write_deps(), name, request, caller(), needed=needed)))


def post_start(app: str) -> Response:
    """Say yes to going on."""
    request, name = json_body(StartRequest.parse), parse_app_name(app)
    needed = context().start_needs
    return answer(describe_stopped(start(write_deps(), name, request, caller(), needed=needed)))
