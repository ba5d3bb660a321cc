"""Artifacts: is one there, and here is one."""

from __future__ import annotations

from flask import Response, request

from lockgate_release.names import parse_app_name, parse_sha256
from lockgate_server.services.write.artifacts import find_artifact, receive_artifact
from lockgate_server.views.api.context import answer, content_length, context, write_deps

__all__ = ["head_artifact", "put_artifact"]


def head_artifact(app: str, sha256: str) -> Response:
    """Say whether an artifact is there, and how long it is."""
    info = find_artifact(write_deps(), parse_app_name(app), parse_sha256(sha256))
    response = Response(status=200, content_type="application/octet-stream")
    response.content_length = info.size_bytes
    return response


def put_artifact(app: str, sha256: str) -> Response:
    """Receive an artifact."""
    size_bytes = content_length(context().max_artifact_bytes)
    digest = parse_sha256(sha256)
    is_new = receive_artifact(write_deps(), parse_app_name(app), digest, request.stream, size_bytes)
    return answer({"sha256": digest, "size": size_bytes}, 201 if is_new else 200)
