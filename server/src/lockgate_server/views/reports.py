"""Where clients send reports: thin, and silent about why one was dropped.

Reports are most of what a server with clients hears, and a framework costs more than taking one in.
So a door stands before Flask: what it takes in it answers itself, and so it answers who comes too
often, which a flood is all about. What else it refuses it hands on, with the reason, to the view
below, which tells it as every refusal is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from lockgate_release.errors import DocumentError
from lockgate_release.log.server_events import REQUEST_FAILED, REQUEST_PROBED, REQUEST_REFUSED
from lockgate_release.reports import MAX_BATCH_BYTES, REPORTS_PATH, Receipt
from lockgate_server.errors import LengthRequiredError, NotFoundError, TooLargeError
from lockgate_server.ports.reports import Drop
from lockgate_server.services.reports.intake import Intake
from lockgate_server.views.doors import REFUSAL, Exchange, begin_exchange
from lockgate_server.views.problems import RETRY_AFTER_S, problem
from lockgate_server.views.slow_bodies import BodyWatch

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["ReportsDoor", "reports_blueprint"]

_END = f"/{REPORTS_PATH}"


@dataclass(slots=True)
class _BusyError(Exception):
    """No reports are taken in now."""

    status: HTTPStatus
    code: str
    words: str
    retry_after_s: str


def reports_blueprint() -> Blueprint:
    """Return the address that takes reports, for those that were not taken in."""
    blueprint = Blueprint("reports", __name__)

    @blueprint.post(f"/<app>{_END}")
    def refuse(app: str) -> Response:  # noqa: ARG001 (the door has looked at it)
        refusal = request.environ.get(REFUSAL)
        if refusal is None:
            return problem(404, NotFoundError.code, "no reports are taken here")
        raise refusal

    return blueprint


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportsDoor:
    """A WSGI application that takes reports in, and hands everything else on.

    Attributes:
        inside: The app behind it.
        intake: Takes them in.
        find_block: Returns the number of the block of addresses that a request comes from, given
            its peer and its `X-Forwarded-For`.
        new_id: Returns an id for a request that has none.
        bodies: Watches over bodies that come slowly.
    """

    inside: WSGIApplication
    intake: Intake
    find_block: Callable[[str, str], int]
    new_id: Callable[[], str]
    bodies: BodyWatch

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        app = _addressed_app(environ)
        if not app:
            return self.inside(environ, start_response)
        exchange = begin_exchange(environ, self.new_id)
        try:
            receipt = self._take(app, environ)
        except _BusyError as busy:
            return _answer_busy(busy, exchange, environ, start_response)
        except Exception as exc:  # noqa: BLE001 (a fault of ours is told there as well)
            environ[REFUSAL] = exc
            return self.inside(environ, start_response)
        body = _body_of(receipt)
        start_response("202 ACCEPTED", exchange.headers("application/json", "no-store", len(body)))
        exchange.tell(REQUEST_PROBED, environ, HTTPStatus.ACCEPTED.value, len(body))
        return [body]

    def _take(self, app: str, environ: WSGIEnvironment) -> Receipt:
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
        block = self.find_block(environ.get("REMOTE_ADDR") or "", forwarded)
        wait_s = self.intake.wait_s(block)
        if wait_s:
            words = "too many requests from these addresses"
            after_s = str(math.ceil(wait_s))
            raise _BusyError(HTTPStatus.TOO_MANY_REQUESTS, "too-many", words, after_s)
        if self.intake.is_full():
            words = "too many reports are waiting"
            raise _BusyError(HTTPStatus.SERVICE_UNAVAILABLE, "full", words, RETRY_AFTER_S)
        try:
            batch = self.intake.read(self._read_body(environ))
        except (DocumentError, TooLargeError):
            self.intake.drop(Drop.MALFORMED)
            raise
        return self.intake.receive(app, batch, block)

    def _read_body(self, environ: WSGIEnvironment) -> bytes:
        size = _body_size(environ)
        ticket = self.bodies.begin(environ.get("gunicorn.socket"))
        if ticket is None:
            words = "too many bodies are being waited for"
            raise _BusyError(HTTPStatus.SERVICE_UNAVAILABLE, "full", words, RETRY_AFTER_S)
        in_time = False
        try:
            body: bytes = environ["wsgi.input"].read(size)
        finally:
            in_time = self.bodies.end(ticket)
        if not in_time:
            # As where nothing comes at all: what fits there, says it here.
            raise BlockingIOError("the body did not come in time")
        return body


def _answer_busy(
    busy: _BusyError,
    exchange: Exchange,
    environ: WSGIEnvironment,
    start_response: StartResponse,
) -> Iterable[bytes]:
    status = busy.status.value
    body, headers = exchange.problem(status, busy.code, busy.words)
    phrase = busy.status.phrase.upper()
    start_response(f"{status} {phrase}", [*headers, ("Retry-After", busy.retry_after_s)])
    event = REQUEST_FAILED if status >= 500 else REQUEST_REFUSED
    reason = busy.words if status >= 500 else ""
    exchange.tell(event, environ, status, len(body), code=busy.code, reason=reason)
    return [body]


def _addressed_app(environ: WSGIEnvironment) -> str:
    """Return the app to which reports are sent, or "" where the request is something else."""
    path: str = environ.get("PATH_INFO", "")
    if environ.get("REQUEST_METHOD") != "POST" or not path.endswith(_END):
        return ""
    app = path[1 : -len(_END)]
    return "" if "/" in app or app == "api" else app


def _body_size(environ: WSGIEnvironment) -> int:
    said = environ.get("CONTENT_LENGTH", "")
    if not said.isdecimal() or "HTTP_TRANSFER_ENCODING" in environ:
        raise LengthRequiredError("how long the body is was not said")
    if len(said) > 18 or int(said) > MAX_BATCH_BYTES:
        raise TooLargeError(
            "too large", expected=f"at most {MAX_BATCH_BYTES} bytes", found=said[:18]
        )
    return int(said)


def _body_of(receipt: Receipt) -> bytes:
    return b'{"accepted": %d, "dropped": %d}' % (receipt.accepted, receipt.dropped)
