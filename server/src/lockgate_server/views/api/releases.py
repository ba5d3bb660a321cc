"""Releases: what is live, and publishing the next."""

from __future__ import annotations

from flask import Response

from lockgate_release.names import parse_app_name
from lockgate_release.requests import PublishRequest
from lockgate_server.services.write.installed import describe_installed
from lockgate_server.services.write.publish import publish
from lockgate_server.services.write.status import (
    describe_release,
    describe_releases,
    read_current,
)
from lockgate_server.views.api.context import answer, caller, json_body, write_deps

__all__ = ["list_installed", "list_releases", "publish_release", "show_release"]


def list_releases(app: str) -> Response:
    """List the live releases, newest first."""
    return answer(describe_releases(read_current(write_deps(), parse_app_name(app))))


def show_release(app: str, version: str) -> Response:
    """Show one live release with its documents."""
    deps = write_deps()
    return answer(describe_release(deps, read_current(deps, parse_app_name(app)), version))


def list_installed(app: str) -> Response:
    """Say which versions clients use."""
    return answer(describe_installed(write_deps(), parse_app_name(app)))


def publish_release(app: str) -> Response:
    """Put the next list of releases in force, and offer one of them."""
    request = json_body(PublishRequest.parse)
    outcome = publish(write_deps(), parse_app_name(app), request, caller())
    return answer(
        {
            "timestamp_version": outcome.timestamp_version,
            "releases_version": outcome.releases_version,
            "changed": outcome.changed,
            "offer": None if outcome.answer is None else outcome.answer.to_json(),
        }
    )
