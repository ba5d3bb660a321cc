"""Rollouts, by a person's hand."""

from __future__ import annotations

from flask import Response

from lockgate_release.names import parse_app_name, parse_channel_name
from lockgate_release.steering_requests import RolloutRequest
from lockgate_server.services.write.rollouts import change_rollout
from lockgate_server.views.api.context import answer, caller, json_body, write_deps

__all__ = ["patch_rollout"]


def patch_rollout(app: str, channel: str, version: str) -> Response:
    """Set, pause, resume, halt, approve or finish a rollout, or give it a plan."""
    request = json_body(RolloutRequest.parse)
    outcome = change_rollout(
        write_deps(), parse_app_name(app), parse_channel_name(channel), version, request, caller()
    )
    return answer(
        {
            "rollout": outcome.answer.rollout.to_json(),
            "changed": outcome.changed,
            "would_change": outcome.answer.differs,
            "warnings": list(outcome.answer.warnings),
        }
    )
