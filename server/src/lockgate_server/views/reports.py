"""Where clients send reports: thin, and silent about why one was dropped."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from flask import Blueprint, Response, request

from lockgate_release.errors import DocumentError
from lockgate_release.reports import MAX_BATCH_BYTES, REPORTS_PATH, parse_reports
from lockgate_server.errors import LengthRequiredError, NotFoundError, TooLargeError
from lockgate_server.ports.reports import Drop
from lockgate_server.services.reports.intake import Intake
from lockgate_server.views.problems import problem

__all__ = ["reports_blueprint"]


def reports_blueprint(intake: Intake | None, find_block: Callable[[str, str], int]) -> Blueprint:
    """Return the address that takes reports.

    Args:
        intake: Takes them in; None where this server takes none.
        find_block: Returns the number of the block of addresses that a request comes from, given
            its peer and its `X-Forwarded-For`.
    """
    blueprint = Blueprint("reports", __name__)

    @blueprint.post(f"/<app>/{REPORTS_PATH}")
    def receive(app: str) -> Response:
        if intake is None:
            return problem(404, NotFoundError.code, "no reports are taken here")
        block = find_block(request.remote_addr or "", request.headers.get("X-Forwarded-For", ""))
        wait_s = intake.wait_s(block)
        if wait_s:
            return _later(429, "too-many", wait_s)
        if intake.is_full():
            return problem(503, "full", "too many reports are waiting")
        try:
            batch = parse_reports(_body())
        except (DocumentError, TooLargeError):
            intake.drop(Drop.MALFORMED)
            raise
        receipt = intake.receive(app, batch, block)
        body = json.dumps(receipt.to_json())
        return Response(body, 202, {"Cache-Control": "no-store"}, content_type="application/json")

    return blueprint


def _body() -> bytes:
    size_bytes = request.content_length
    if size_bytes is None:
        raise LengthRequiredError("how long the body is was not said")
    if size_bytes > MAX_BATCH_BYTES:
        raise TooLargeError(
            "too large", expected=f"at most {MAX_BATCH_BYTES} bytes", found=str(size_bytes)
        )
    return request.get_data(cache=False)


def _later(status: int, code: str, wait_s: float) -> Response:
    response = problem(status, code, "too many requests from these addresses")
    response.headers["Retry-After"] = str(math.ceil(wait_s))
    return response
