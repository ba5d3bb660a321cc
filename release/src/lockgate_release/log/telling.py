"""How code tells an event, and what is told with everything that happens meanwhile.

tell(_log, CHILD_ENDED, child="api", exit_code=-9)

with bound(request_id="1f0a"):
    ...  # every line from in here, a library's too, names the request
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Final

from lockgate_release.log.events import Event
from lockgate_release.log.fields import Value

__all__ = ["ATTRIBUTE", "Told", "bind", "bound", "bound_now", "tell", "unbind"]

ATTRIBUTE: Final = "lockgate"
"""Where a record of `logging` holds what was told."""

_BOUND: ContextVar[Mapping[str, str]] = ContextVar("lockgate_bound", default={})  # noqa: B039 (never written to)


@dataclass(frozen=True, slots=True)
class Told:
    """One telling of an event: `event`, and its fields by name."""

    event: Event
    fields: Mapping[str, Value]


def tell(
    log: logging.Logger, event: Event, /, *, error: BaseException | None = None, **fields: Value
) -> None:
    """Tell an event, with the value of each of its fields.

    Args:
        log: Who tells it.
        event: A constant of `server_events` or `cli_events`. A test holds every call to it.
        error: What went wrong, where the line is to say where in the code.
        fields: Every field of the event; "" or None where there is nothing to say.
    """
    if log.isEnabledFor(event.level):
        log.log(event.level, event.name, exc_info=error, extra={ATTRIBUTE: Told(event, fields)})


def bind(**fields: str) -> Token[Mapping[str, str]]:
    """Have every line of this thread carry these fields, until `unbind`."""
    return _BOUND.set({**_BOUND.get(), **fields})


def unbind(token: Token[Mapping[str, str]]) -> None:
    """End what `bind` has begun."""
    _BOUND.reset(token)


@contextmanager
def bound(**fields: str) -> Iterator[None]:
    """Have every line from within carry these fields."""
    token = bind(**fields)
    try:
        yield
    finally:
        unbind(token)


def bound_now() -> Mapping[str, str]:
    """Return what lines carry now."""
    return _BOUND.get()
