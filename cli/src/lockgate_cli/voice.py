"""How the command speaks on stderr: as a person reads it, or one JSON object a line for CI.

Everything said is an event of `lockgate_release.log.cli_events`. At a terminal it is its sentence:
plain words, a warning, an error, and with `--verbose` each exchange with the server.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import click

from lockgate_release.log.cli_events import CLI_FAILED, CLI_NOTE, CLI_WARNED
from lockgate_release.log.fields import Value
from lockgate_release.log.lines import JsonLines, sentence_of, told_in
from lockgate_release.log.masking import mask
from lockgate_release.log.rules import LogFormat
from lockgate_release.log.telling import bound_now
from lockgate_release.words import harmless

__all__ = ["VOICE", "Manner", "is_json", "speak", "speaking"]

VOICE: Final = logging.getLogger("lockgate_cli")
"""What every module of the command speaks through."""

_STYLES: Final = {CLI_WARNED: ("warning: ", "yellow"), CLI_FAILED: ("error: ", "red")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How one run speaks.

    Attributes:
        form: `json` for one JSON object a line; else words.
        level: From which level on, as `logging` has it.
        operation: The run's id, in every line of JSON and where a sentence names it.
    """

    form: LogFormat = LogFormat.AUTO
    level: int = logging.INFO
    operation: str = ""


class _Sentences(logging.Formatter):
    """A sentence for each event, whole: a person has asked for it."""

    def __init__(self, manner: Manner) -> None:
        super().__init__()
        self._operation = manner.operation

    def format(self, record: logging.LogRecord) -> str:
        """Return the words of a record."""
        told = told_in(record)
        if told.event is CLI_NOTE:
            return harmless(mask(str(told.fields["text"])))
        said = {name: value for name, value in told.fields.items() if value is not None}
        fields = {"operation_id": self._operation, **bound_now(), **said}
        shown = {name: _plain(value) for name, value in fields.items()}
        sentence, _ = sentence_of(told.event, shown)
        prefix, colour = _STYLES.get(told.event, ("", None))
        return click.style(prefix, fg=colour) + harmless(mask(sentence))


def _plain(value: Value) -> str | int:
    return value if isinstance(value, int) else str(value)


class _ToStderr(logging.Handler):
    """Writes to whatever stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record's words."""
        click.echo(self.format(record), err=True)


def speak(manner: Manner) -> None:
    """Speak in this manner from now on."""
    handler = _ToStderr()
    is_json = manner.form is LogFormat.JSON
    lines = JsonLines("cli", operation_id=manner.operation)
    handler.setFormatter(lines if is_json else _Sentences(manner))
    VOICE.handlers[:] = [handler]
    VOICE.setLevel(manner.level)
    VOICE.propagate = False


def is_json() -> bool:
    """Whether every line on stderr is a JSON object."""
    return any(isinstance(handler.formatter, JsonLines) for handler in VOICE.handlers)


@contextmanager
def speaking(manner: Manner) -> Iterator[None]:
    """Speak in this manner until the end of the block."""
    before, level = VOICE.handlers[:], VOICE.level
    speak(manner)
    try:
        yield
    finally:
        VOICE.handlers[:] = before
        VOICE.setLevel(level)


speak(Manner())
