"""How the lines of one process are set up: in which form, from which level on, and bounded."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TextIO, TypeAlias

from lockgate_release.errors import UsageError
from lockgate_release.log.bounds import SUMMARY_S, Bounds
from lockgate_release.log.lines import SUPPRESSED, JsonLines, Words, told_in
from lockgate_release.log.server_events import LIBRARY_SAID, LINES_SUPPRESSED
from lockgate_release.log.telling import tell

__all__ = ["LogFormat", "LogName", "LogRules", "read_log_rules", "set_up_lines"]

LogName: TypeAlias = Literal["log_format", "log_level"]
_LEVELS: Final = ("debug", "info", "warning", "error")
_log = logging.getLogger(__name__)


class LogFormat(StrEnum):
    """What a line looks like."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRules:
    """How lines are written.

    Attributes:
        form: Words, JSON, or words where a person is looking and JSON elsewhere.
        level: From which level on, in lower case.
    """

    form: LogFormat = LogFormat.AUTO
    level: str = "info"

    @property
    def level_number(self) -> int:
        """The level as `logging` has it."""
        return logging.getLevelNamesMapping()[self.level.upper()]

    def is_json(self, stream: TextIO) -> bool:
        """Whether lines on this stream are JSON."""
        if self.form is LogFormat.AUTO:
            return not stream.isatty()
        return self.form is LogFormat.JSON

    def to_environ(self) -> dict[str, str]:
        """Return the variables that say the same to a child."""
        return {"LOCKGATE_LOG_FORMAT": self.form.value, "LOCKGATE_LOG_LEVEL": self.level}


def read_log_rules(said: Callable[[LogName], str | None]) -> LogRules:
    """Return how lines are written, from what is said of `log_format` and `log_level`.

    Raises:
        UsageError: There is no such format, or no such level.
    """
    form, level = said("log_format") or LogFormat.AUTO.value, said("log_level") or "info"
    if form not in {one.value for one in LogFormat}:
        raise UsageError(
            "no such format", subject="log_format", expected=", ".join(LogFormat), found=repr(form)
        )
    if level not in _LEVELS:
        raise UsageError(
            "no such level", subject="log_level", expected=", ".join(_LEVELS), found=repr(level)
        )
    return LogRules(form=LogFormat(form), level=level)


def set_up_lines(
    part: str,
    stream: TextIO,
    rules: LogRules = LogRules(),
    *,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> logging.Handler:
    """Send every line of this process to `stream`, a library's too; return what does it.

    Args:
        part: What the process is called in each line.
        stream: Where to.
        rules: How.
        monotonic_s: A clock that only goes forward, in seconds.
    """
    handler = _BoundedHandler(stream, Bounds(monotonic_s))
    handler.setFormatter(JsonLines(part) if rules.is_json(stream) else Words(part))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(rules.level_number)
    logging.captureWarnings(capture=True)
    atexit.register(handler.summarise, silent_s=0)
    return handler


class _BoundedHandler(logging.StreamHandler[TextIO]):
    """Writes what `Bounds` admits, and now and then what it did not."""

    def __init__(self, stream: TextIO, bounds: Bounds) -> None:
        super().__init__(stream)
        self._bounds = bounds
        self._watching = threading.Event()
        os.register_at_fork(after_in_child=self._begin_again)

    def _begin_again(self) -> None:
        """Forget, in the child of a fork, what its parent counts."""
        self._bounds = self._bounds.fresh()
        self._watching = threading.Event()

    def filter(self, record: logging.LogRecord) -> bool:
        """Count a line, and say whether it is written."""
        told = told_in(record)
        if told.event is LINES_SUPPRESSED:
            return True
        # At `debug` libraries spell out requests, signatures in pieces that no mask can know.
        if told.event is LIBRARY_SAID and record.levelno < logging.INFO:
            return False
        suppressed = self._bounds.admit(told.event, known=bool(told.fields.get("actor")))
        if suppressed is None:
            self._watch()
            return False
        setattr(record, SUPPRESSED, suppressed)
        return bool(super().filter(record))

    def summarise(self, *, silent_s: float = SUMMARY_S) -> None:
        """Tell of what was left out and not told of since."""
        if self not in logging.getLogger().handlers:
            return  # another one has taken its place, and nobody would read this
        for event, count in list(self._bounds.take_summaries(silent_s=silent_s)):
            tell(_log, LINES_SUPPRESSED, of=event.name, suppressed=count)

    def _watch(self) -> None:
        """See to it that somebody summarises when the flood is over."""
        if self._watching.is_set():
            return
        self._watching.set()
        threading.Thread(target=self._wait_for_end, name="log-summary", daemon=True).start()

    def _wait_for_end(self) -> None:
        while self._bounds.is_counting():
            time.sleep(SUMMARY_S)
            self.summarise()
        self._watching.clear()
        # Something may have been left out between the last look and now.
        if self._bounds.is_counting():
            self._watch()
