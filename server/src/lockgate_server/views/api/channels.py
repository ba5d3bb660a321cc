"""Channels."""

from __future__ import annotations

from flask import Response

from lockgate_release.names import parse_app_name, parse_channel_name
from lockgate_server.services.write.lifetimes import end_channel
from lockgate_server.services.write.status import describe_channel
from lockgate_server.views.api.context import answer, caller, write_deps

__all__ = ["delete_channel"]


def delete_channel(app: str, channel: str) -> Response:
    """End a channel now."""
    name = parse_channel_name(channel)
    outcome = end_channel(write_deps(), parse_app_name(app), name, caller())
    return answer({"channel": describe_channel(outcome.answer), "changed": outcome.changed})
