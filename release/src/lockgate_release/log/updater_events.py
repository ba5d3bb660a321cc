"""The events of `lockgate-updater`, as `--events` prints them: described here, made by the updater.

They have a format of their own, older than the registry: `docs/reference/events.md`. Nothing of the
updater imports this, so that a check stays cheap; a test holds the two to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lockgate_release.log.fields import Field, Kind

__all__ = ["UPDATER_EVENTS"]

_VERSION: Final = Field(kind=Kind.TEXT, text='the release, or ""')


def _object(text: str) -> Field:
    return Field(kind=Kind.OBJECT, text=text)


UPDATER_EVENTS: Mapping[str, tuple[str, Mapping[str, Field]]] = {
    "step": (
        "something has happened, or begins now",
        {
            "name": Field(kind=Kind.TEXT, text="which step, see [Events](events.md#step)"),
            "version": _VERSION,
            "text": Field(kind=Kind.TEXT, text="a sentence for people"),
        },
    ),
    "progress": (
        "how far a download has got",
        {
            "version": _VERSION,
            "received_bytes": Field(
                kind=Kind.INTEGER, text="what is here and counts", unit="bytes"
            ),
            "total_bytes": Field(kind=Kind.INTEGER, text="the whole file", unit="bytes"),
            "speed_bytes_s": Field(
                kind=Kind.INTEGER, text="since it began; 0 while unknown", unit="bytes/s"
            ),
            "left_s": Field(kind=Kind.INTEGER, text="until the end; null while unknown", unit="s"),
        },
    ),
    "round": (
        "one look of `watch`",
        {
            "at": Field(kind=Kind.TEXT, text="when, in UTC"),
            "outcome": Field(kind=Kind.TEXT, text="what was done, or found"),
            "result": _object("what `update --json` or `check --json` prints"),
            "health": _object("how the client is, see [Events](events.md#round)"),
            "delay_s": Field(kind=Kind.INTEGER, text="until the next look", unit="s"),
        },
    ),
    "result": (
        "how it ended: besides these, what `--json` alone prints",
        {"outcome": Field(kind=Kind.TEXT, text="in one word; an error has `error` instead")},
    ),
}
"""What each is, and its fields."""
