"""What the doors before Flask have in common: ids, headers, and the line in the log.

A framework costs more than the little that most requests of clients ask for. A door is a WSGI
application that answers those itself, and hands everything else on as it came. What it answers has
the same headers, and the same line, as what Flask answers.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lockgate_release.log.events import Event
from lockgate_release.log.ids import OPERATION_HEADER, REQUEST_HEADER
from lockgate_release.log.telling import bound, tell
from lockgate_server.views.problems import problem_members
from lockgate_server.views.requests import parse_operation_id, parse_request_id

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["REFUSAL", "Exchange", "begin_exchange"]

REFUSAL = "lockgate.refusal"
"""Where a door leaves the error it met in a request's environment, for Flask to tell."""

_log = logging.getLogger("lockgate_server.access")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that a door answers.

    Attributes:
        request_id: Its id.
        operation_id: The run that it belongs to, or "".
        began_s: When it came, on the clock that only goes forward.
    """

    request_id: str
    operation_id: str
    began_s: float

    def headers(
        self, content_type: str, cache_control: str, size_bytes: int
    ) -> list[tuple[str, str]]:
        """Return what every answer says: what it is, for how long it may be kept, whose it is."""
        headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(size_bytes)),
            ("Cache-Control", cache_control),
            (REQUEST_HEADER, self.request_id),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if self.operation_id:
            headers.append((OPERATION_HEADER, self.operation_id))
        return headers

    def problem(self, status: int, code: str, detail: str) -> tuple[bytes, list[tuple[str, str]]]:
        """Return the body and the headers of a problem, as Flask's side tells it."""
        ids = {"request_id": self.request_id, "operation_id": self.operation_id}
        members = problem_members(status, code, detail, ids)
        body = json.dumps(members, sort_keys=True, separators=(",", ":")).encode() + b"\n"
        return body, self.headers("application/problem+json", "no-store", len(body))

    def tell(
        self,
        event: Event,
        environ: WSGIEnvironment,
        status: int,
        size_bytes: int,
        *,
        code: str = "",
        reason: str = "",
    ) -> None:
        """Write the request's line, if lines of this kind are written."""
        if not _log.isEnabledFor(event.level):
            return
        with bound(request_id=self.request_id, operation_id=self.operation_id):
            tell(
                _log,
                event,
                method=environ["REQUEST_METHOD"],
                path=environ["PATH_INFO"],
                status=status,
                bytes=size_bytes,
                ms=int((time.monotonic() - self.began_s) * 1000),
                actor="",
                code=code,
                reason=reason,
            )


def begin_exchange(environ: WSGIEnvironment, new_id: Callable[[], str]) -> Exchange:
    """Return the exchange that begins with a request."""
    return Exchange(
        parse_request_id(environ.get("HTTP_X_REQUEST_ID", ""), new_id),
        parse_operation_id(environ.get("HTTP_X_OPERATION_ID", "")),
        time.monotonic(),
    )
