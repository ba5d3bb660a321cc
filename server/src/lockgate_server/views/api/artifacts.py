"""Artifacts: is one there?"""

from __future__ import annotations

from flask import Response

from lockgate_release.names import parse_app_name, parse_sha256
from lockgate_server.services.write.artifacts import find_artifact
from lockgate_server.views.api.context import write_deps

__all__ = ["head_artifact"]


def head_artifact(app: str, sha256: str) -> Response:
    """Say whether an artifact is there, and how long it is."""
    info = find_artifact(write_deps(), parse_app_name(app), parse_sha256(sha256))
    response = Response(status=200, content_type="application/octet-stream")
    response.content_length = info.size_bytes
    return response
