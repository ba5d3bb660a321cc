"""Keys that come and go: ceremonies signed by people, and the server's own next key."""

from __future__ import annotations

from flask import Response

from lockgate_release.ceremony_requests import CeremonyRequest
from lockgate_release.names import parse_app_name
from lockgate_server.services.write.ceremony import hold_ceremony
from lockgate_server.services.write.online_keys import describe_keys, make_next_key
from lockgate_server.services.write.status import read_current
from lockgate_server.views.api.context import answer, caller, json_body, write_deps

__all__ = ["post_ceremony", "post_next_key", "show_keys"]


def post_ceremony(app: str) -> Response:
    """Put newer metadata of people's roles in force, as one change that is safe to send again."""
    request = json_body(CeremonyRequest.parse)
    return answer(hold_ceremony(write_deps(), parse_app_name(app), request, caller()).to_json())


def post_next_key(app: str) -> Response:
    """Make the server's next key for an app, or say which it is; both keys sign from then on."""
    key = make_next_key(write_deps(), parse_app_name(app), caller())
    return answer({"keyid": key.keyid, "key": key.to_dict()})


def show_keys(app: str) -> Response:
    """Show which keys of the server's sign for an app."""
    deps = write_deps()
    return answer(describe_keys(deps, read_current(deps, parse_app_name(app))))
