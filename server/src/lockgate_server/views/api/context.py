"""What the views of the API share: the services' dependencies, who asks, and the body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from flask import Response, current_app, g, request

from lockgate_release.strict_json import JsonObject, dump_json
from lockgate_server.errors import LengthRequiredError, TooLargeError
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.views.api.slots import Slots

__all__ = ["ApiContext", "answer", "caller", "content_length", "context", "json_body", "write_deps"]

T = TypeVar("T")

EXTENSION = "lockgate"
_SMALL_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """What the API needs.

    Attributes:
        write: What changes need.
        version: The server's.
        max_body_bytes: The largest JSON body that is read.
        max_artifact_bytes: The largest artifact that is received.
        start_needs: How many people it takes to start what was stopped, > 0.
        mirror_limit_s: For how long a copy's state may be signed at most, in seconds.
        public_url: Where people and clients find the files, or "" where nobody said.
        slots: How many publishers are served at once.
        large_bodies: How many large JSON bodies are held at once.
    """

    write: WriteDeps
    version: str
    max_body_bytes: int = 32 << 20
    max_artifact_bytes: int = 16 << 30
    start_needs: int = 1
    mirror_limit_s: int = 90 * 86400
    public_url: str = ""
    slots: Slots = field(default_factory=lambda: Slots(1000))
    large_bodies: Slots = field(default_factory=lambda: Slots(4))


def context() -> ApiContext:
    """Return what the app at hand was made with."""
    found: ApiContext = current_app.extensions[EXTENSION]
    return found


def write_deps() -> WriteDeps:
    """Return what changes need."""
    return context().write


def caller() -> Caller:
    """Return who asks, once `auth` has found out."""
    return Caller(
        actor=g.actor,
        request_id=g.request_id,
        operation_id=g.operation_id,
        is_maintainer=g.is_maintainer,
    )


def content_length(limit_bytes: int) -> int:
    """Return how long the body is.

    Raises:
        LengthRequiredError: The request does not say.
        TooLargeError: It is longer than `limit_bytes`.
    """
    if request.content_length is None or "Transfer-Encoding" in request.headers:
        raise LengthRequiredError("no Content-Length", hint="Send the body with its length.")
    if request.content_length > limit_bytes:
        raise TooLargeError(
            "the body is too large",
            expected=f"at most {limit_bytes} bytes",
            found=str(request.content_length),
        )
    return request.content_length


def json_body(parse: Callable[[bytes], T]) -> T:
    """Return the request's body, read by `parse`.

    Raises:
        LengthRequiredError: The request does not say how long it is.
        TooLargeError: It is too long.
        DocumentError: It is not what it should be.
        TransportError: It is large, and so are those that are being read.
    """
    if content_length(context().max_body_bytes) <= _SMALL_BYTES:
        return parse(request.get_data(cache=False))
    # Read and taken apart it takes a multiple of its size: a few at once fit into memory.
    with context().large_bodies.taken():
        return parse(request.get_data(cache=False))


def answer(body: JsonObject, status: int = 200) -> Response:
    """Return `body` as an answer that nobody keeps."""
    response = Response(dump_json(body), status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
