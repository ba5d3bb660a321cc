"""What is said of a route: how it is registered, and how the OpenAPI document describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flask import Response

from lockgate_server.ports import Scope

__all__ = ["APP", "Route"]

APP = "/apps/{app}"
"""Where everything about one app lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route.

    Attributes:
        method: Of HTTP.
        path: Below the prefix, parameters in braces.
        view: Answers it.
        scope: What the token must allow; None needs no token.
        summary: What it does, in one line.
        request: Name of the schema of its body, "" for none, "bytes" for raw bytes.
        answers: Name of the schema of each good answer, by status; "" for an empty one.
        refusals: Statuses of the problems it may answer, besides those of every route.
        query: Names of its query parameters, with their schema.
    """

    method: str
    path: str
    view: Callable[..., Response]
    scope: Scope | None
    summary: str
    request: str = ""
    answers: Mapping[int, str]
    refusals: tuple[int, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict)
