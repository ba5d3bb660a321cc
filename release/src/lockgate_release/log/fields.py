"""Every field that an event may have: one name, one meaning, one unit, wherever it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

__all__ = ["COMMON", "FIELDS", "Field", "Kind", "Value"]

Value: TypeAlias = str | int | float | bool | None
"""What code may say of a field; "" and None say nothing, and are left out of the line."""

_SHORT, _LONG, _TRACE = 200, 1000, 8000


class Kind(StrEnum):
    """What type a field has in a line of JSON."""

    TEXT = "text"
    INTEGER = "integer"
    OBJECT = "object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field.

    Attributes:
        kind: Its type.
        text: What it says.
        unit: Of a number, such as `ms`; "" for a text, or what is only counted.
        limit: How many characters of a text are kept.
    """

    kind: Kind
    text: str
    unit: str = ""
    limit: int = _SHORT


def _text(text: str, limit: int = _SHORT) -> Field:
    return Field(kind=Kind.TEXT, text=text, limit=limit)


def _integer(text: str, unit: str = "") -> Field:
    return Field(kind=Kind.INTEGER, text=text, unit=unit)


COMMON: Mapping[str, Field] = {
    "at": _text("when, in UTC, such as `2026-01-31T08:00:00.123Z`"),
    "level": _text("`debug`, `info`, `warning`, `error` or `critical`"),
    "part": _text("who says it: `run` (the supervisor), `public`, `api`, `worker` or `cli`"),
    "pid": _integer("the process"),
    "event": _text("which event it is: a name in the tables below"),
    "request_id": _text(
        "the request that it happened in; the answer names it in `X-Request-Id` and in a problem"
    ),
    "operation_id": _text(
        "the run of a command that the request belongs to, as the command says it in "
        "`X-Operation-Id`"
    ),
    "suppressed": _integer("how many lines of this event were left out before this one", "lines"),
    "trace": _text("where in the code an unexpected error comes from", _TRACE),
}
"""What a line may have whatever its event."""

FIELDS: Mapping[str, Field] = {
    "action": _text("what was done, as the audit log names it, such as `publish`"),
    "actor": _text("the token's label and id, or the user on the server itself"),
    "addresses": _text("where it answers"),
    "app": _text("the app"),
    "backup": _text("the name of the backup"),
    "bytes": _integer("how long the answer's body is", "bytes"),
    "channel": _text("the channel"),
    "child": _text("which part of the server: `public`, `api` or `worker`"),
    "code": _text("the error's code, as `docs/reference/errors.md` lists them"),
    "command": _text("what was typed, without its options"),
    "entry": _integer("the number of the entry in the audit log"),
    "epoch": _integer("the rollout's epoch: with app, channel and version it is also in reports"),
    "exit_code": _integer("what the process ended with; below 0: the signal that ended it"),
    "job": _text("the worker's job"),
    "key": _text("the object in the store"),
    "logger": _text("the library's name for what speaks"),
    "method": _text("the HTTP method", 20),
    "ms": _integer("how long it took", "ms"),
    "of": _text("the event whose lines were left out"),
    "path": _text("what was asked for, without its query"),
    "reason": _text("why, in a sentence for people", _LONG),
    "status": _integer("the HTTP status"),
    "text": _text("words for people", _LONG),
    "timestamp_version": _integer("the number of the state in force"),
    "verdict": _text("why, in one word, as `docs/reference/rollout-plan.md` lists them"),
    "version": _text("the release"),
}
"""What an event may have besides."""
