"""Errors as `application/problem+json` (RFC 9457), from one table."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping

from flask import Flask, Response, g, jsonify
from werkzeug.exceptions import HTTPException

from lockgate_release.errors import (
    ConflictError,
    DeniedError,
    DocumentError,
    LocalError,
    LockgateError,
    RepositoryError,
    TransportError,
    UsageError,
)
from lockgate_release.log.server_events import REQUEST_BUG
from lockgate_release.log.telling import tell
from lockgate_server.errors import (
    LengthRequiredError,
    NotFoundError,
    TooLargeError,
    UnauthenticatedError,
)
from lockgate_server.ports import UnsupportedError

__all__ = [
    "RETRY_AFTER_S",
    "install_error_handlers",
    "problem",
    "problem_members",
    "status_of",
]

_log = logging.getLogger(__name__)

# The first row whose class fits counts: subclasses stand before their parents.
_STATUSES: tuple[tuple[type[LockgateError], int], ...] = (
    (NotFoundError, 404),
    (TooLargeError, 413),
    (LengthRequiredError, 411),
    (UsageError, 400),
    (DocumentError, 400),
    (RepositoryError, 422),
    (UnauthenticatedError, 401),
    (DeniedError, 403),
    (ConflictError, 409),
    (UnsupportedError, 501),
    (LocalError, 503),
    (TransportError, 503),
)

_TITLES = {
    400: "The request makes no sense as it was said",
    401: "No token, or none that is known",
    403: "The token does not allow this",
    404: "Not found",
    405: "Not this way",
    408: "The request came too slowly",
    409: "Somebody else was first",
    411: "The length must be said",
    413: "Too large",
    415: "Not this type",
    421: "The wrong side of the server",
    422: "Refused: it cannot be trusted",
    429: "Too often",
    500: "A fault of the server",
    501: "The server's store cannot do this",
    503: "Not now",
    507: "The server's disk is full",
}

RETRY_AFTER_S = "5"


def status_of(error: LockgateError) -> int:
    """Return the HTTP status that says what the error says."""
    if _is_disk_full(error):
        return 507
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def _is_disk_full(error: LockgateError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in {errno.ENOSPC, errno.EDQUOT}


def problem_members(
    status: int, code: str, detail: str, ids: Mapping[str, str], **members: object
) -> dict[str, object]:
    """Return what stands in a problem; empty members are left out, but for the request's id."""
    return {
        "type": "about:blank",
        "title": _TITLES.get(status, "An error"),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": ids["request_id"],
        **{
            name: value
            for name, value in (("operation_id", ids["operation_id"]), *members.items())
            if value != ""
        },
    }


def problem(status: int, code: str, detail: str = "", **members: object) -> Response:
    """Return a problem; empty members are left out. The request's log line names it too."""
    g.problem_code, g.problem_detail = code, detail
    ids = {"request_id": g.get("request_id", ""), "operation_id": g.get("operation_id", "")}
    response: Response = jsonify(problem_members(status, code, detail, ids, **members))
    response.status_code = status
    response.content_type = "application/problem+json"
    response.headers["Cache-Control"] = "no-store"
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="lockgate"'
    if status in {503, 507}:
        response.headers["Retry-After"] = RETRY_AFTER_S
    return response


def install_error_handlers(app: Flask) -> None:
    """Make every error of `app` a problem."""
    app.register_error_handler(LockgateError, _on_lockgate_error)
    app.register_error_handler(HTTPException, _on_http_exception)
    app.register_error_handler(BlockingIOError, _on_silence)
    app.register_error_handler(Exception, _on_bug)


def _on_lockgate_error(error: LockgateError) -> Response:
    status = status_of(error)
    return problem(
        status,
        error.code,
        str(error),
        expected=error.expected,
        found=error.found,
        hint=error.hint,
        subject=error.subject,
    )


def _on_http_exception(error: HTTPException) -> Response:
    status = error.code or 500
    code = "not-found" if status == 404 else f"http.{status}"
    response = problem(status, code, error.description or "")
    for name, value in error.get_headers():
        if name.lower() in {"allow", "location"}:
            response.headers[name] = value
    return response


def _on_silence(error: BlockingIOError) -> Response:
    # The supervisor has set for how long a connection may be silent; `slow_bodies` does for all.
    del error
    return problem(408, "http.408", "The body did not come in time.")


def _on_bug(error: Exception) -> Response:
    tell(_log, REQUEST_BUG, reason=type(error).__name__, error=error)
    return problem(500, "error", "What went wrong stands in the server's log, under this request.")
