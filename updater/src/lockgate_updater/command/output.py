"""How a command speaks: one JSON object on stdout, words on stderr."""

from __future__ import annotations

import json
import sys

from lockgate_release.decision import Held, Leave, Offer, UpToDate
from lockgate_release.errors import LockgateError
from lockgate_release.strict_json import Json, JsonObject, dump_json
from lockgate_release.words import harmless
from lockgate_updater.results import CheckResult, Unknown

__all__ = [
    "check_json",
    "error_json",
    "fit_to_show",
    "print_json",
    "print_text",
    "print_words",
]


def print_json(value: JsonObject) -> None:
    """Print one JSON object on stdout, with what a terminal would obey as escapes."""
    text = dump_json(value).decode()
    if _is_suspicious(text):
        text = dump_json({name: _masked(item) for name, item in value.items()}).decode()
    if not text.isascii():
        shown = (char if char.isprintable() or char == "\n" else _escaped(char) for char in text)
        text = "".join(shown)
    sys.stdout.write(text)
    sys.stdout.flush()


def _escaped(char: str) -> str:
    # Outside of strings JSON is printable, so this character is inside of one.
    return json.dumps(char)[1:-1]


def print_words(text: str) -> None:
    """Print a line for people on stderr, without control characters and without secrets."""
    print(fit_to_show(text), file=sys.stderr, flush=True)


def print_text(text: str) -> None:
    """Print a text that was asked for on stdout, without control characters and secrets."""
    print(fit_to_show(text.rstrip("\n")), flush=True)


def fit_to_show(text: str) -> str:
    """Return a text without control characters, and without what may be secret in addresses."""
    return harmless(_mask(text) if _is_suspicious(text) else text)


def _is_suspicious(text: str) -> bool:
    """Whether it may hold a password or a presigned address; most texts need no closer look."""
    return "@" in text or "=" in text


def _mask(text: str) -> str:
    # Most checks never need it, and each of them would pay for it.
    from lockgate_release.log.masking import mask  # noqa: PLC0415 (as said)

    return mask(text)


def _masked(value: Json) -> Json:
    match value:
        case str():
            return _mask(value)
        case dict():
            return {name: _masked(item) for name, item in value.items()}
        case list():
            return [_masked(item) for item in value]
        case _:
            return value


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
