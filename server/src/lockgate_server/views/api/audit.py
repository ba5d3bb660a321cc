"""The audit log."""

from __future__ import annotations

from flask import Response, request

from lockgate_release.names import parse_app_name
from lockgate_server.errors import NotFoundError
from lockgate_server.services.write.status import describe_audit, parse_limit
from lockgate_server.views.api.context import answer, write_deps

__all__ = ["list_audit"]

_DEFAULT_LIMIT = "100"


def list_audit(app: str) -> Response:
    """List who has changed what, newest first."""
    ledger, name = write_deps().ledger, parse_app_name(app)
    if ledger.pinned_root(name) is None:
        raise NotFoundError("no such app", subject=app)
    limit = parse_limit(request.args.get("limit", _DEFAULT_LIMIT))
    return answer(describe_audit(ledger.audit(name, limit=limit)))
