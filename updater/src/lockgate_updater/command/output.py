"""How a command speaks: one JSON object on stdout, words and progress on stderr."""

from __future__ import annotations

import sys
from datetime import datetime
from enum import StrEnum
from typing import TextIO

from lockgate_release.decision import Held, Leave, Offer, UpToDate
from lockgate_release.errors import LockgateError
from lockgate_release.instants import format_instant
from lockgate_release.strict_json import Json, JsonObject, dump_json
from lockgate_updater.events import Event, Progress
from lockgate_updater.results import CheckResult, Status, Unknown, UpdateResult

__all__ = ["Narrator", "error_json", "print_json", "print_words", "result_json"]

_BAR_WIDTH = 24


def print_json(value: JsonObject) -> None:
    """Print one JSON object on stdout."""
    sys.stdout.write(dump_json(value).decode())
    sys.stdout.flush()


def print_words(text: str) -> None:
    """Print a line for people on stderr."""
    print(text, file=sys.stderr, flush=True)


class Narrator:
    """Shows an update's events: a bar on a terminal, plain lines elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._tenth = -1
        self._bar = False

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if not isinstance(event, Progress):
            self.end_line()
            self._tenth = -1
            print(event, file=self._stream, flush=True)
        elif self._is_terminal:
            self._draw(event)
        else:
            self._tell(event)

    def end_line(self) -> None:
        """Leave the line of the bar, if there is one."""
        if self._bar:
            print(file=self._stream, flush=True)
            self._bar = False

    def _draw(self, progress: Progress) -> None:
        total = max(progress.total_bytes, 1)
        filled = _BAR_WIDTH * progress.received_bytes // total
        bar = "#" * filled + "-" * (_BAR_WIDTH - filled)
        print(f"\r[{bar}] {progress}\x1b[K", end="", file=self._stream, flush=True)
        self._bar = True

    def _tell(self, progress: Progress) -> None:
        """Say every tenth of a download, so that logs stay short."""
        tenth = 10 * progress.received_bytes // max(progress.total_bytes, 1)
        if tenth > self._tenth:
            self._tenth = tenth
            print(progress, file=self._stream, flush=True)


def result_json(result: CheckResult | UpdateResult | Status) -> JsonObject:
    """Return a result as the object that `--json` prints."""
    match result:
        case Status():
            return _status_json(result)
        case UpdateResult():
            found: dict[str, Json] = {
                "outcome": result.outcome.value,
                "version": result.version,
                "previous": result.previous,
                "reason": result.reason,
            }
            if result.decision is not None:
                found["decision"] = _check_json(result.decision)
            return found
        case _:
            return _check_json(result)


def error_json(error: LockgateError) -> JsonObject:
    """Return an error as the object that `--json` prints."""
    return {
        "result": "error",
        "code": error.code,
        "reason": str(error),
        "subject": error.subject,
        "expected": error.expected,
        "found": error.found,
        "hint": error.hint,
    }


def _check_json(result: CheckResult) -> JsonObject:
    match result:
        case Offer():
            return {"result": "offer", "reason": result.reason, **_offer_json(result)}
        case UpToDate():
            return {"result": "up-to-date", "version": result.version, "reason": result.reason}
        case Held():
            return {
                "result": "held",
                "obstacle": result.obstacle.value,
                "reason": result.reason,
                "considered": [
                    {
                        "version": item.version,
                        "obstacle": item.obstacle.value if item.obstacle else None,
                        "text": item.text,
                    }
                    for item in result.considered
                ],
            }
        case Leave():
            return {
                "result": "leave",
                "version": result.version,
                "remedy": result.remedy.value,
                "target": _offer_json(result.target) if result.target else None,
                "reason": result.reason,
            }
        case Unknown():
            return {**error_json(result.error), "result": "unknown", "reason": result.reason}


def _offer_json(offer: Offer) -> dict[str, Json]:
    return {
        "version": offer.version,
        "size_bytes": offer.artifact.size,
        "sha256": offer.artifact.sha256,
        "platform": offer.artifact.platform,
        "arm": offer.arm.value,
        "epoch": offer.epoch,
    }


def _status_json(status: Status) -> JsonObject:
    found = {
        name: _plain(getattr(status, name))
        for name in Status.__dataclass_fields__
        if name != "quarantine"
    }
    found["quarantine"] = [
        {
            "version": item.version,
            "failures": item.failures,
            "until": format_instant(item.until),
            "reason": item.reason,
        }
        for item in status.quarantine
    ]
    return found


def _plain(value: object) -> Json:
    match value:
        case StrEnum():
            return value.value
        case datetime():
            return format_instant(value)
        case tuple():
            return [_plain(item) for item in value]
        case str() | int() | None:
            return value
        case _:
            raise TypeError(type(value).__name__)
