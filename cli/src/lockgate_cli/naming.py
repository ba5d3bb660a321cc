"""`[APP] VERSION`: the app may be the first argument, `--app`, or what the settings say."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from lockgate_release.errors import UsageError

__all__ = ["names_app", "names_app_and_version", "names_release"]

_APP = click.option("--app", help="The app, unless it is an argument. [setting: app]")


def names_app(function: Callable[..., None]) -> Callable[..., None]:
    """Add `[APP]` and `--app`: hand over `app`, None where nobody said it."""

    @functools.wraps(function)
    def run(words: tuple[str, ...], app: str | None, **options: Any) -> None:  # noqa: ANN401 (as click has it)
        if len(words) > 1:
            raise UsageError("too many arguments", expected="[APP]", found=" ".join(words))
        function(app=_same(words[0] if words else None, app), **options)

    run = click.argument("words", nargs=-1, metavar="[APP]")(run)
    return _APP(run)


def names_release(function: Callable[..., None]) -> Callable[..., None]:
    """Add `[APP] VERSION` and `--app`: hand over `version` and `app`, None where nobody said it.

    Goes around `takes`, in whose place it adds `--app`.
    """

    @functools.wraps(function)
    def run(words: tuple[str, ...], app: str | None, **options: Any) -> None:  # noqa: ANN401 (as click has it)
        if len(words) > 2:
            raise UsageError("too many arguments", expected="[APP] VERSION", found=" ".join(words))
        said = words[0] if len(words) == 2 else None
        function(app=_same(said, app), version=words[-1], **options)

    run = click.argument("words", nargs=-1, required=True, metavar="[APP] VERSION")(run)
    return _APP(run)


def names_app_and_version(function: Callable[..., None]) -> Callable[..., None]:
    """Add `[APP] [VERSION]` and `--app`: a lone word is APP, unless `--app` has said it."""

    @functools.wraps(function)
    def run(words: tuple[str, ...], app: str | None, **options: Any) -> None:  # noqa: ANN401 (as click has it)
        if len(words) > 2:
            raise UsageError(
                "too many arguments", expected="[APP] [VERSION]", found=" ".join(words)
            )
        rest = list(words)
        said = rest.pop(0) if len(rest) == 2 or (rest and app is None) else None
        function(app=_same(said, app), version=rest[0] if rest else None, **options)

    run = click.argument("words", nargs=-1, metavar="[APP] [VERSION]")(run)
    return _APP(run)


def _same(argument: str | None, option: str | None) -> str | None:
    """Return the app that was said.

    Raises:
        UsageError: It was said twice, and not the same.
    """
    if argument and option and argument != option:
        raise UsageError("two apps", subject="--app", expected=argument, found=option)
    return argument or option
