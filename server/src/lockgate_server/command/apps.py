"""Doing the same for every app, where one that is refused does not keep the others from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from lockgate_release.errors import ExitCode, LockgateError
from lockgate_release.log.masking import mask
from lockgate_release.names import AppName, parse_app_name
from lockgate_release.strict_json import JsonObject
from lockgate_server.command.common import say
from lockgate_server.ports import Ledger

__all__ = ["describe_refusal", "each_app", "named_apps"]

T = TypeVar("T")


def named_apps(ledger: Ledger, names: tuple[str, ...]) -> tuple[AppName, ...]:
    """Return the apps that were named, or every app that is in force.

    Raises:
        UsageError: One is no app's name.
        LocalError: The ledger cannot be read.
    """
    if names:
        return tuple(parse_app_name(name) for name in names)
    return tuple(app for app in ledger.apps() if ledger.highest(app) is not None)


def each_app(
    apps: tuple[AppName, ...], act: Callable[[AppName], T]
) -> tuple[dict[AppName, T | LockgateError], ExitCode]:
    """Return what came of each app, and the exit code: that of the first refusal, if any."""
    answers: dict[AppName, T | LockgateError] = {}
    code = ExitCode.OK
    for app in apps:
        try:
            answers[app] = act(app)
        except LockgateError as exc:
            say(f"{app}: {mask(str(exc))}")
            answers[app] = exc
            code = code or exc.exit_code
    return answers, code


def describe_refusal(app: AppName, exc: LockgateError) -> JsonObject:
    """Return an app that could not be told of, as a program reads it."""
    return {"app": app, "error": {"code": exc.code, "message": mask(str(exc))}}
