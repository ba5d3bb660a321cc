"""The API's OpenAPI 3.1 document, made from the table of routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from lockgate_server.ports import Scope
from lockgate_server.views.api.schemas import SCHEMAS

__all__ = ["DescribedRoute", "describe_api"]

_PARAMETER = re.compile(r"\{(\w+)\}")
_PARAMETERS = {
    "app": "The app's name",
    "change": "The id of a change, 64 lower-case hexadecimal digits",
    "channel": "The channel's name",
    "number": "The part's number, from 1",
    "sha256": "SHA-256 of the artifact, 64 lower-case hexadecimal digits",
    "upload_id": "The upload, 32 lower-case hexadecimal digits",
    "version": "The release's version",
}
_DIGESTS = frozenset({"sha256"})
_ALWAYS_REFUSED = (500, 503)
_GUARDED_REFUSED = (400, 401, 403)


class DescribedRoute(Protocol):
    """What the document says of a route; `routes.Route` has the meaning of each."""

    @property
    def method(self) -> str: ...  # noqa: D102

    @property
    def path(self) -> str: ...  # noqa: D102

    @property
    def scope(self) -> Scope | None: ...  # noqa: D102

    @property
    def summary(self) -> str: ...  # noqa: D102

    @property
    def request(self) -> str: ...  # noqa: D102

    @property
    def answers(self) -> Mapping[int, str]: ...  # noqa: D102

    @property
    def refusals(self) -> tuple[int, ...]: ...  # noqa: D102

    @property
    def query(self) -> Mapping[str, str]: ...  # noqa: D102


def describe_api(routes: Iterable[DescribedRoute], version: str) -> dict[str, Any]:
    """Return the document that describes these routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _describe_route(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lockgate",
            "version": version,
            "summary": "What maintainers and CI ask of a Lockgate server",
        },
        "servers": [{"url": "/api/v1"}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {
                "Problem": {
                    "description": "A problem, as RFC 9457 has it",
                    "content": {
                        "application/problem+json": {
                            "schema": {"$ref": "#/components/schemas/Problem"}
                        }
                    },
                }
            },
        },
    }


def _describe_route(route: DescribedRoute) -> dict[str, Any]:
    refused = _ALWAYS_REFUSED + (_GUARDED_REFUSED if route.scope else ()) + route.refusals
    described: dict[str, Any] = {
        "summary": route.summary,
        "operationId": _operation_id(route),
        "parameters": [
            *(_describe_path_parameter(name) for name in _PARAMETER.findall(route.path)),
            *(_describe_query(name, text) for name, text in route.query.items()),
        ],
        "responses": {
            **{str(status): _describe_answer(name) for status, name in route.answers.items()},
            **{
                str(status): {"$ref": "#/components/responses/Problem"}
                for status in sorted(set(refused))
            },
        },
        "security": [] if route.scope is None else [{"token": []}],
    }
    if route.scope is not None:
        described["x-lockgate-scope"] = route.scope.value
    if route.request:
        described["requestBody"] = {"required": True, "content": _content(route.request)}
    return described


def _operation_id(route: DescribedRoute) -> str:
    words = [word for word in re.split(r"[^a-z0-9]+", route.path) if word]
    return "_".join([route.method.lower(), *words])


def _describe_path_parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _PARAMETERS[name],
        "schema": {"type": "string"},
    }


def _describe_query(name: str, text: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": name in _DIGESTS,
        "description": text,
        "schema": {"type": "string" if name in _DIGESTS else "integer"},
    }


def _describe_answer(name: str) -> dict[str, Any]:
    if not name:
        return {"description": "Done, without a body"}
    return {"description": "Done", "content": _content(name)}


def _content(name: str) -> dict[str, Any]:
    if name == "bytes":
        return {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
