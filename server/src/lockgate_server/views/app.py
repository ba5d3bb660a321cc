"""What the public app and the API's app begin as."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask
from werkzeug.routing import Rule

__all__ = ["bare_app"]


class _ReadOnlyRule(Rule):
    """A route that reads addresses and makes none.

    werkzeug compiles for each route the code of two functions that make its address: 20 ms an app.
    A route with `defaults` would want them, to redirect to another one.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:  # noqa: FBT001, FBT002 (its parent's)
        del append_unknown
        return _make_none


class _App(Flask):
    url_rule_class = _ReadOnlyRule


def bare_app(name: str) -> Flask:
    """Return an app without routes, whose routes will make no addresses."""
    app = _App(name, static_folder=None)
    app.url_map.merge_slashes = False  # an address is what was signed, not what it resembles
    return app


def _make_none(_rule: Rule, **_values: object) -> tuple[str, str]:
    raise NotImplementedError("the server's routes make no addresses")
