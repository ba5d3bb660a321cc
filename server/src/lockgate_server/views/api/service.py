"""The API about itself."""

from __future__ import annotations

from flask import Response

from lockgate_server.views.api.context import answer, context

__all__ = ["show_service"]


def show_service() -> Response:
    """Say which side of the server this is."""
    here = context()
    said = {"name": "lockgate", "version": here.version, "side": "api"}
    return answer({**said, "public_url": here.public_url} if here.public_url else said)
