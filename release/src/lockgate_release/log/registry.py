"""Every event there is, by name: what `docs/reference/log-schema.md` is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType

from lockgate_release.log import cli_events, server_events
from lockgate_release.log.events import Event

__all__ = ["CLI_EVENTS", "EVENTS", "SERVER_EVENTS"]


def _in(module: ModuleType) -> Iterator[tuple[str, Event]]:
    for name in module.__all__:
        event = getattr(module, name)
        if isinstance(event, Event):
            yield name, event


SERVER_EVENTS: Mapping[str, Event] = dict(_in(server_events))
"""The server's, by the name of their constant."""

CLI_EVENTS: Mapping[str, Event] = dict(_in(cli_events))
"""Those of `lockgate`, by the name of their constant."""

EVENTS: Mapping[str, Event] = {
    event.name: event for event in (*SERVER_EVENTS.values(), *CLI_EVENTS.values())
}
"""All of them, by their own name."""
