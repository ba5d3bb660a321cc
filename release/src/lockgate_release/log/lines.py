"""From a record of `logging` to its line: one JSON object, or words where a person is looking.

1. A line is one line, whatever strangers put into a field; in JSON it is plain ASCII, and in words
   no character moves a cursor.
2. A line has a greatest length: every text is cut off at its field's limit.
3. Nothing secret stands in it (`masking`), and nothing empty.
4. What a library says becomes the event `library.said`, without addresses of clients.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from textwrap import indent
from typing import Final

from lockgate_release.log.events import Event
from lockgate_release.log.fields import COMMON, FIELDS, Kind, Value
from lockgate_release.log.masking import mask, mask_addresses
from lockgate_release.log.server_events import LIBRARY_SAID
from lockgate_release.log.telling import ATTRIBUTE, Told, bound_now
from lockgate_release.words import harmless

__all__ = ["SUPPRESSED", "JsonLines", "Words", "sentence_of", "told_in"]

SUPPRESSED: Final = "lockgate_suppressed"
"""Where a record holds how many lines were left out before it."""

_LOOKED_AT = 1 << 16
_CUT: Final = "[cut]"


@dataclass(slots=True, kw_only=True)
class _Found:
    """What a record says, masked and cut: its event, its level, and its fields in order."""

    event: Event
    level: str
    fields: dict[str, str | int]
    trace: str = ""
    own: tuple[str, ...] = field(default=())


def told_in(record: logging.LogRecord) -> Told:
    """Return what a record tells; whoever knows no events says `library.said` (rule 4)."""
    found = getattr(record, ATTRIBUTE, None)
    if isinstance(found, Told):
        return found
    try:
        text = record.getMessage()
    except (TypeError, ValueError):
        text = str(record.msg)
    return Told(LIBRARY_SAID, {"logger": record.name, "text": mask_addresses(_start(text))})


def _start(text: str) -> str:
    """Return the beginning of a text that is looked at, without a word that was cut through."""
    if len(text) <= _LOOKED_AT:
        return text
    start = text[:_LOOKED_AT]
    return start.rpartition(" ")[0] or start


def _clip(text: str, limit: int) -> str:
    masked = mask(_start(text))
    is_whole = len(masked) <= limit and len(text) <= _LOOKED_AT
    return masked if is_whole else f"{masked[:limit]}{_CUT}"


def _say(name: str, value: Value) -> str | int:
    known = FIELDS.get(name) or COMMON[name]
    if known.kind is Kind.INTEGER and isinstance(value, int | float):
        return int(value)
    return _clip(str(value), known.limit)


def _find(formatter: logging.Formatter, record: logging.LogRecord) -> _Found:
    told = told_in(record)
    said: dict[str, Value] = {**told.fields, **bound_now()}
    said["suppressed"] = getattr(record, SUPPRESSED, 0) or told.fields.get("suppressed")
    trace = formatter.formatException(record.exc_info) if record.exc_info else ""
    if told.event is LIBRARY_SAID:
        trace = mask_addresses(trace)
    return _Found(
        event=told.event,
        level=record.levelname.lower(),
        fields={name: _say(name, value) for name, value in said.items() if value not in {"", None}},
        # The end of a trace is what tells most.
        trace=mask(trace)[-COMMON["trace"].limit :],
        own=told.event.fields,
    )


def _moment(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return at.replace("+00:00", "Z")


class JsonLines(logging.Formatter):
    """One JSON object a line, for programs."""

    def __init__(self, part: str, **always: str) -> None:
        """Name the process in each line by its `part`, and say what is `always` so."""
        super().__init__()
        self._part = part
        self._always = {name: text for name, text in always.items() if text}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line (rules 1 to 4)."""
        found = _find(self, record)
        line: dict[str, object] = {
            "at": _moment(record),
            "level": found.level,
            "part": self._part,
            "pid": record.process or 0,
            "event": found.event.name,
            **self._always,
            **found.fields,
        }
        if found.trace:
            line["trace"] = found.trace
        return json.dumps(line).replace("\x7f", "\\u007f")


class Words(logging.Formatter):
    """A sentence a line, and what it leaves unsaid behind it, for people."""

    def __init__(self, part: str) -> None:
        """Name the process in each line by its `part`."""
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        """Return the line (rules 1 to 4)."""
        found = _find(self, record)
        sentence, rest = sentence_of(found.event, found.fields)
        level = "" if record.levelno <= logging.INFO else f"{found.level}: "
        words = " ".join((f"{level}{sentence}", *rest))
        text = harmless(f"{_moment(record)[11:19]} {self._part:<7} {words}")
        text = text.replace("\n", " ").replace("\t", " ").rstrip()
        # Indented, so that no line of it looks like one of ours.
        return f"{text}\n{indent(harmless(found.trace), ' ' * 4)}" if found.trace else text


def sentence_of(event: Event, fields: Mapping[str, str | int]) -> tuple[str, list[str]]:
    """Return an event's sentence, and `name=value` of each field that it leaves unsaid."""
    said = _Silent(fields)
    sentence = event.sentence.format_map(said)
    return sentence.strip(), list(_left(fields, said.used))


def _left(fields: Mapping[str, str | int], used: set[str]) -> Iterator[str]:
    return (f"{name}={value}" for name, value in fields.items() if name not in used)


class _Silent(dict[str, str | int]):
    """Fields for a sentence, in which what is not said is empty."""

    def __init__(self, fields: Mapping[str, str | int]) -> None:
        super().__init__(fields)
        self.used: set[str] = set()

    def __getitem__(self, name: str) -> str | int:
        self.used.add(name)
        return self.get(name, "")
