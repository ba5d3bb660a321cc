"""How a command speaks: one JSON object on stdout, words on stderr."""

from __future__ import annotations

import json
import sys

from lockgate_release.decision import Held, Leave, Offer, UpToDate
from lockgate_release.errors import LockgateError
from lockgate_release.strict_json import Json, JsonObject, dump_json
from lockgate_release.words import harmless
from lockgate_updater.results import CheckResult, Unknown

__all__ = ["check_json", "error_json", "print_json", "print_words"]


def print_json(value: JsonObject) -> None:
    """Print one JSON object on stdout, with what a terminal would obey as escapes."""
    text = dump_json(value).decode()
    if not text.isascii():
        shown = (char if char.isprintable() or char == "\n" else _escaped(char) for char in text)
        text = "".join(shown)
    sys.stdout.write(text)
    sys.stdout.flush()


def _escaped(char: str) -> str:
    # Outside of strings JSON is printable, so this character is inside of one.
    return json.dumps(char)[1:-1]


def print_words(text: str) -> None:
    """Print a line for people on stderr; control characters in it are made harmless."""
    print(harmless(text), file=sys.stderr, flush=True)


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


def check_json(result: CheckResult) -> JsonObject:
    """Return how a check ended as the object that `--json` prints."""
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
