"""A problem that the server reports comes back as the error it was on the server's side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from lockgate_cli.http import Answer, parse_answer
from lockgate_release.errors import (
    ConflictError,
    DeniedError,
    DigestMismatchError,
    LockgateError,
    PendingError,
    RepositoryError,
    TransportError,
    UsageError,
)

__all__ = ["UnableError", "raise_problem"]


class UnableError(TransportError):
    """The server, or its store, will never do this: asking again is for nothing."""


_PROBLEMS: Mapping[int, type[LockgateError]] = {
    400: UsageError,
    401: DeniedError,
    403: DeniedError,
    404: UsageError,
    405: UsageError,
    409: ConflictError,
    411: UsageError,
    413: UsageError,
    415: UsageError,
    422: RepositoryError,
    501: UnableError,
}
_UNSAID: Mapping[int, tuple[str, str]] = {
    401: (
        "the server knows no such token",
        "Set LOCKGATE_TOKEN to one that lockgate-server token create has printed.",
    ),
    403: ("the token does not allow this", "lockgate-server token create makes others."),
}
"""What an answer without a body says, as to HEAD, and what to do."""
_BY_CODE: Mapping[str, type[LockgateError]] = {
    kind.code: kind for kind in (DigestMismatchError, PendingError)
}


def raise_problem(answer: Answer) -> NoReturn:
    """Raise the error that the server's answer stands for.

    Raises:
        LockgateError: Always.
    """
    said = _read_problem(answer)
    kind = _BY_CODE.get(said.get("code", ""), _PROBLEMS.get(answer.status, TransportError))
    # The detail is the error's whole sentence; its parts are there once more, for programs.
    unsaid, to_do = _UNSAID.get(answer.status, (f"the server answered {answer.status}", ""))
    what = said.get("detail") or said.get("title") or unsaid
    hint = said.get("hint", "") if said else to_do
    what = what.removesuffix(hint).rstrip().removesuffix(".")
    request = said.get("request_id", "")
    if issubclass(kind, TransportError) and request:
        operation = said.get("operation_id", "")
        run = f" of operation {operation}" if operation else ""
        hint = f"{hint} The server's log knows it as request {request}{run}.".lstrip()
    error = kind(what, hint=hint)
    for name in ("subject", "expected", "found"):
        setattr(error, name, said.get(name, ""))
    raise error


def _read_problem(answer: Answer) -> dict[str, str]:
    """Return the texts of a problem; an answer that is none, or that has no body, has none."""
    if not answer.body or not answer.headers.get("content-type", "").startswith(
        "application/problem+json"
    ):
        return {}
    return {name: text for name, text in parse_answer(answer).items() if isinstance(text, str)}
