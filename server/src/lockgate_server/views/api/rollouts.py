"""Rollouts, by a person's hand."""

from __future__ import annotations

from flask import Response

from lockgate_release.names import parse_app_name, parse_channel_name
from lockgate_release.steering_requests import RolloutRequest
from lockgate_server.services.steer.showing import describe_rollout
from lockgate_server.services.write.rollouts import change_rollout
from lockgate_server.views.api.context import answer, caller, json_body, write_deps

__all__ = ["patch_rollout", "show_rollout"]


def show_rollout(app: str, channel: str, version: str) -> Response:
    """Show how a rollout stands, with its evidence, judged now."""
    deps, name = write_deps(), parse_app_name(app)
    return answer(describe_rollout(deps, name, parse_channel_name(channel), version))


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
