"""Stores that speak S3 and make it hard to use, as they were measured, or as they say themselves.

A weakness stands in front of the S3 service of the tests; bytes and lists are that service's own.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any, TypeAlias

__all__ = ["Weakness", "weaken"]

App: TypeAlias = Callable[[dict[str, Any], Any], Iterable[bytes]]

_IF_MATCH, _IF_NONE_MATCH = "HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"
_WINDOW_S = 0.05


class Weakness(StrEnum):
    """What a store gets wrong."""

    BUSY = "busy"
    """Refuses every second write to a key as too often: R2 takes one a second. No real weakness."""
    CARELESS = "careless"
    """Ignores every condition, as s3rver does."""
    QUOTES = "quotes"
    """Refuses every ETag in quotes, as Ceph did up to version 18."""
    SWIFT = "swift"
    """Knows no If-Match, and looks before it creates instead of doing both in one step, so that
    1 to 8 of 16 writers win: OpenStack Swift's s3api."""
    TWO_STEPS = "two-steps"
    """Looks before it creates or replaces: right for one writer, wrong for two."""


def weaken(app: App, weakness: str) -> App:
    """The same service with this weakness, or as it is."""
    return _WEAK[Weakness(weakness)](app) if weakness else app


def _busy(app: App) -> App:
    lock, writes = threading.Lock(), Counter[str]()

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with lock:
            writes[environ["PATH_INFO"]] += 1
            is_second = writes[environ["PATH_INFO"]] % 2 == 0
        if is_second and "partNumber" not in environ["QUERY_STRING"]:
            return _refuse(start_response, HTTPStatus.TOO_MANY_REQUESTS, "ServiceUnavailable")
        return app(environ, start_response)

    return _writes(app, answer)


def _careless(app: App) -> App:
    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return app(_without(environ, _IF_MATCH, _IF_NONE_MATCH), start_response)

    return _writes(app, answer)


def _quotes(app: App) -> App:
    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if _IF_MATCH in environ:
            return _refuse(start_response, HTTPStatus.PRECONDITION_FAILED, "PreconditionFailed")
        return app(environ, start_response)

    return _writes(app, answer)


def _two_steps(app: App) -> App:
    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if _etag(app, environ) != environ.get(_IF_MATCH):
            return _refuse(start_response, HTTPStatus.PRECONDITION_FAILED, "PreconditionFailed")
        # Between looking and writing, others look too.
        time.sleep(_WINDOW_S)
        return app(_without(environ, _IF_MATCH, _IF_NONE_MATCH), start_response)

    def choose(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        is_conditional = _IF_MATCH in environ or _IF_NONE_MATCH in environ
        return (answer if is_conditional else app)(environ, start_response)

    return _writes(app, choose)


def _swift(app: App) -> App:
    in_two_steps = _two_steps(app)

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if _IF_MATCH in environ:
            return _refuse(start_response, HTTPStatus.NOT_IMPLEMENTED, "NotImplemented")
        return in_two_steps(environ, start_response)

    return _writes(app, answer)


_WEAK = {
    Weakness.BUSY: _busy,
    Weakness.CARELESS: _careless,
    Weakness.QUOTES: _quotes,
    Weakness.SWIFT: _swift,
    Weakness.TWO_STEPS: _two_steps,
}


def _writes(app: App, answer: App) -> App:
    def choose(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return (answer if environ["REQUEST_METHOD"] == "PUT" else app)(environ, start_response)

    return choose


def _without(environ: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in environ.items() if name not in names}


def _etag(app: App, environ: Mapping[str, Any]) -> str | None:
    """What is at the key of a request now, or None."""
    said: dict[str, str] = {}

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        if status.startswith("200"):
            said.update((name.lower(), value) for name, value in headers)

    look = {**_without(environ, _IF_MATCH, _IF_NONE_MATCH), "REQUEST_METHOD": "HEAD"}
    look["CONTENT_LENGTH"] = "0"
    list(app(look, start_response))
    return said.get("etag")


def _refuse(start_response: Any, status: HTTPStatus, code: str) -> Iterable[bytes]:
    body = f"<Error><Code>{code}</Code><Message>{status.phrase}</Message></Error>".encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]
