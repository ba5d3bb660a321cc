"""States signed for copies."""

from __future__ import annotations

from flask import Response

from lockgate_release.names import parse_app_name
from lockgate_release.requests import MirrorRequest
from lockgate_server.services.write.mirror_state import sign_for_mirror
from lockgate_server.views.api.context import answer, caller, context, json_body, write_deps

__all__ = ["post_mirror_timestamp"]


def post_mirror_timestamp(app: str) -> Response:
    """Sign a longer-lived state for a copy, and hand it to nobody else."""
    request = json_body(MirrorRequest.parse)
    signature = sign_for_mirror(
        write_deps(),
        parse_app_name(app),
        request,
        caller(),
        limit_s=context().mirror_limit_s,
    )
    return answer(signature.to_json())
