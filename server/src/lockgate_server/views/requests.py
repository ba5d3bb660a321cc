"""What every request of both apps has: an id, a log line, and headers that every answer carries."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable

from flask import Flask, Response, g, request

__all__ = ["install_request_logging", "parse_operation_id", "parse_request_id"]

_log = logging.getLogger("lockgate_server.access")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def parse_request_id(said: str, new_id: Callable[[], str]) -> str:
    """Return the id a client gave its request, if it may be one, else a new one."""
    return said if _ID.fullmatch(said) else new_id()


def parse_operation_id(said: str) -> str:
    """Return the id of the run that a request says it belongs to, or "" where it may be none."""
    return said if _ID.fullmatch(said) else ""


def install_request_logging(app: Flask, new_id: Callable[[], str]) -> None:
    """Give every request of `app` an id and a line in the log."""

    def begin() -> None:
        g.request_id = parse_request_id(request.headers.get("X-Request-Id", ""), new_id)
        g.operation_id = parse_operation_id(request.headers.get("X-Operation-Id", ""))
        g.started = time.monotonic()

    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        if g.operation_id:
            response.headers["X-Operation-Id"] = g.operation_id
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        is_chatter = request.path.startswith("/health/") or request.blueprint == "reports"
        level = logging.DEBUG if is_chatter else logging.INFO
        if _log.isEnabledFor(level):
            _log.log(level, "request", extra={"lockgate": _describe(response)})
        return response

    app.before_request(begin)
    app.after_request(end)


def _describe(response: Response) -> dict[str, object]:
    return {
        "request_id": g.request_id,
        "operation_id": g.operation_id,
        "method": request.method,
        "path": request.path,
        "status": response.status_code,
        "bytes": response.content_length,
        "ms": int((time.monotonic() - g.started) * 1000),
        "actor": g.get("actor", ""),
    }
