"""Log lines on stderr: one JSON object a line, or words where a person is looking.

A token never stands in a line: whatever looks like one is masked, wherever it comes from.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import TextIO

from lockgate_release.words import harmless

__all__ = ["LineFormatter", "mask", "set_up_logs"]

_TOKEN = re.compile(r"lg_[A-Za-z0-9_-]{6,}")
_FIELDS = "lockgate"


def mask(text: str) -> str:
    """Return `text` with every token replaced by its first characters."""
    return _TOKEN.sub("lg_…", text)


class LineFormatter(logging.Formatter):
    """One line a record; the fields of `extra={"lockgate": {…}}` are part of it."""

    def __init__(self, part: str, *, as_json: bool) -> None:
        """Name the process in each line by its `part`, such as `api`."""
        super().__init__()
        self._part = part
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, tokens masked."""
        fields: dict[str, object] = getattr(record, _FIELDS, {})
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        if self._as_json:
            line: dict[str, object] = {
                "at": at,
                "level": record.levelname.lower(),
                "part": self._part,
                "event": record.getMessage(),
                **fields,
            }
            if trace:
                line["trace"] = trace
            return mask(json.dumps(line, ensure_ascii=False, default=str))
        words = " ".join(f"{name}={value}" for name, value in fields.items() if value != "")
        text = f"{at[11:19]} {self._part:<7} {record.getMessage()} {words}".rstrip()
        # Paths and reasons come from strangers: none may move a cursor, or make up a line.
        text = harmless(text).replace("\n", " ")
        return mask(f"{text}\n{harmless(trace)}" if trace else text)


def set_up_logs(part: str, stream: TextIO, *, level: int = logging.INFO) -> None:
    """Send the log lines of this process to `stream`: JSON, unless a person is looking."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(part, as_json=not stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
