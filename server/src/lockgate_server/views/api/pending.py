"""Changes that wait for signatures: begin one, look at it, sign it, withdraw it."""

from __future__ import annotations

from flask import Response

from lockgate_release.errors import UsageError
from lockgate_release.names import parse_app_name
from lockgate_release.pending_requests import (
    PendingRequest,
    SignaturesRequest,
    WithdrawRequest,
    is_change_id,
)
from lockgate_server.ports import Scope
from lockgate_server.services.write.pending import begin, sign
from lockgate_server.services.write.pending_words import (
    describe_pending,
    describe_signed,
    read_content,
)
from lockgate_server.services.write.status import read_current
from lockgate_server.services.write.withdrawing import withdraw
from lockgate_server.views.api.auth import require
from lockgate_server.views.api.context import answer, caller, json_body, write_deps

__all__ = [
    "list_pending",
    "post_pending",
    "post_signatures",
    "post_withdraw",
    "show_pending",
]


def post_pending(app: str) -> Response:
    """Keep a change until enough publishers have signed it."""
    request, deps = json_body(PendingRequest.parse), write_deps()
    if request.wishes.lifts:
        require(deps.ledger, Scope.ADMIN)
    return answer(describe_signed(deps, begin(deps, parse_app_name(app), request, caller())))


def list_pending(app: str) -> Response:
    """List the changes that wait for signatures."""
    deps = write_deps()
    return answer({"pending": describe_pending(deps, read_current(deps, parse_app_name(app)))})


def show_pending(app: str, change: str) -> Response:
    """Show a change with every byte of it, for whoever is to sign it."""
    return answer(read_content(write_deps(), parse_app_name(app), _parse_id(change)).to_json())


def post_signatures(app: str, change: str) -> Response:
    """Add signatures to a change; with the last that is missing, it comes into force."""
    request, deps = json_body(SignaturesRequest.parse), write_deps()
    signed = sign(deps, parse_app_name(app), _parse_id(change), request, caller())
    return answer(describe_signed(deps, signed))


def post_withdraw(app: str, change: str) -> Response:
    """Drop a change."""
    request, name = json_body(WithdrawRequest.parse), parse_app_name(app)
    dropped = withdraw(write_deps(), name, _parse_id(change), request.reason, caller())
    return answer({"change": dropped.change_id, "title": dropped.title})


def _parse_id(text: str) -> str:
    if not is_change_id(text):
        raise UsageError("not the id of a change", expected="64 hex digits", found=repr(text[:70]))
    return text
