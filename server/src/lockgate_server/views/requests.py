"""What every request of both apps has: an id, a log line, and headers that every answer carries.

Of a client its line says the method, the path without its query, and how it was answered: no
address, no user agent, no header. Whoever has shown a token is named by the token's label and id.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from flask import Flask, Response, g, request

from lockgate_release.log.events import Event
from lockgate_release.log.ids import OPERATION_HEADER, REQUEST_HEADER, is_id
from lockgate_release.log.server_events import (
    REQUEST_FAILED,
    REQUEST_PROBED,
    REQUEST_REFUSED,
    REQUEST_SERVED,
)
from lockgate_release.log.telling import bind, tell, unbind

__all__ = ["install_request_logging", "parse_operation_id", "parse_request_id"]

_log = logging.getLogger("lockgate_server.access")
_BOUND = "lockgate.bound"


def parse_request_id(said: str, new_id: Callable[[], str]) -> str:
    """Return the id a client gave its request, if it may be one, else a new one."""
    return said if is_id(said) else new_id()


def parse_operation_id(said: str) -> str:
    """Return the id of the run that a request says it belongs to, or "" where it may be none."""
    return said if is_id(said) else ""


def install_request_logging(app: Flask, new_id: Callable[[], str]) -> None:
    """Give every request of `app` an id and a line in the log."""

    def begin() -> None:
        g.request_id = parse_request_id(request.headers.get(REQUEST_HEADER, ""), new_id)
        g.operation_id = parse_operation_id(request.headers.get(OPERATION_HEADER, ""))
        g.started = time.monotonic()
        request.environ[_BOUND] = bind(request_id=g.request_id, operation_id=g.operation_id)

    def end(response: Response) -> Response:
        response.headers[REQUEST_HEADER] = g.request_id
        if g.operation_id:
            response.headers[OPERATION_HEADER] = g.operation_id
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        _tell_request(response)
        return response

    def forget(error: BaseException | None) -> None:
        del error
        if _BOUND in request.environ:
            unbind(request.environ.pop(_BOUND))

    app.before_request(begin)
    app.after_request(end)
    app.teardown_request(forget)


def _tell_request(response: Response) -> None:
    """Tell how a request ended: of strangers' mistakes the code alone, so that lines stay short."""
    status, actor = response.status_code, g.get("actor", "")
    tell(
        _log,
        _event_of(status),
        method=request.method,
        path=request.path,
        status=status,
        bytes=response.content_length,
        ms=int((time.monotonic() - g.started) * 1000),
        actor=actor,
        code=g.get("problem_code", ""),
        reason=g.get("problem_detail", "") if actor or status >= 500 else "",
    )


def _event_of(status: int) -> Event:
    if status >= 500:
        return REQUEST_FAILED
    if status >= 400:
        return REQUEST_REFUSED
    if request.path.startswith("/health/") or request.blueprint == "reports":
        return REQUEST_PROBED
    return REQUEST_SERVED
