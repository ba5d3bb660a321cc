"""The events of `lockgate`, which CI and maintainers type; nobody else makes it speak."""

from __future__ import annotations

import logging
from typing import Final

from lockgate_release.log.events import Event

__all__ = ["CLI_ASKED", "CLI_ENDED", "CLI_FAILED", "CLI_NOTE", "CLI_STARTED", "CLI_WARNED"]

CLI_STARTED: Final = Event(
    name="cli.started",
    level=logging.DEBUG,
    sentence="{command}: this run is operation {operation_id}",
    fields=("command", "version"),
)
CLI_NOTE: Final = Event(name="cli.note", level=logging.INFO, sentence="{text}", fields=("text",))
CLI_WARNED: Final = Event(
    name="cli.warned", level=logging.WARNING, sentence="{text}", fields=("text",)
)
CLI_FAILED: Final = Event(
    name="cli.failed",
    level=logging.ERROR,
    sentence="{text}",
    fields=("text", "code", "exit_code"),
)
CLI_ASKED: Final = Event(
    name="cli.asked",
    level=logging.DEBUG,
    sentence="{method} {path} {status} in {ms} ms, request {request_id}",
    fields=("method", "path", "status", "ms"),
)
CLI_ENDED: Final = Event(
    name="cli.ended",
    level=logging.DEBUG,
    sentence="ended with {exit_code} after {ms} ms",
    fields=("exit_code", "ms"),
)
