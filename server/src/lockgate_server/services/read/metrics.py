"""The snapshot as Prometheus reads it: text format 0.0.4. Gauges only: nothing is counted here.

Written by hand, because a library for it would bring a registry of its own, and files shared by
the processes, to say what one snapshot knows already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from lockgate_release.instants import parse_instant
from lockgate_release.strict_json import Json, JsonObject

__all__ = ["CONTENT_TYPE", "METRICS", "to_metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

METRICS: Mapping[str, str] = {
    "lockgate_info": "The server's version, as a label.",
    "lockgate_uptime_seconds": "For how long the process runs.",
    "lockgate_check": "What was looked at: 0 well, 1 a warning, 2 failed.",
    "lockgate_releases": "Live releases.",
    "lockgate_timestamp_expires_seconds": "When the timestamp runs out, in seconds since 1970.",
    "lockgate_last_signed_seconds": "When the timestamp was last moved.",
    "lockgate_last_published_seconds": "When a release was last published.",
    "lockgate_open_changes": "Changes that were begun and are not known to have ended.",
    "lockgate_pending_changes": "Changes that wait for signatures.",
    "lockgate_open_uploads": "Uploads that have not ended.",
    "lockgate_active_clients": "Clients that said on the newest known day that they use a version.",
    "lockgate_reports_waiting": "Reports taken in that are not counted yet, in all processes.",
    "lockgate_reports_dropped": "Reports dropped in the days that are kept.",
    "lockgate_last_backup_seconds": "When the newest backup was made.",
    "lockgate_last_backup_verified_seconds": "When the newest backup was restored to prove it.",
}
"""Every metric there is, and what it says."""

_LEVELS = {"ok": 0, "warning": 1, "failed": 2}
Sample = tuple[str, Mapping[str, str], int]


def to_metrics(snapshot: JsonObject) -> str:
    """Return what a snapshot says, as lines that Prometheus reads."""
    lines: list[str] = []
    samples = sorted(_samples(snapshot), key=lambda one: list(METRICS).index(one[0]))
    said = ""
    for name, labels, value in samples:
        if name != said:
            lines += [f"# HELP {name} {METRICS[name]}", f"# TYPE {name} gauge"]
            said = name
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{shown}}} {value}" if shown else f"{name} {value}")
    return "\n".join(lines) + "\n"


def _samples(snapshot: JsonObject) -> Iterator[Sample]:
    yield "lockgate_info", {"version": str(snapshot["version"])}, 1
    yield "lockgate_uptime_seconds", {}, _whole(snapshot["uptime_s"])
    for check in _objects(snapshot["checks"]):
        yield "lockgate_check", {"name": str(check["name"])}, _LEVELS[str(check["level"])]
    waiting = _object(snapshot["queues"]).get("reports")
    if isinstance(waiting, int):
        yield "lockgate_reports_waiting", {}, waiting
    for why, count in _object(snapshot["reports_dropped"]).items():
        yield "lockgate_reports_dropped", {"reason": why}, _whole(count)
    backup = _object(snapshot["last_backup"])
    yield from _at("lockgate_last_backup_seconds", {}, backup.get("made_at"))
    yield from _at("lockgate_last_backup_verified_seconds", {}, backup.get("verified_at"))
    for one in _objects(snapshot["by_app"]):
        yield from _samples_of(one)


def _samples_of(one: JsonObject) -> Iterator[Sample]:
    labels = {"app": str(one["app"])}
    for name in ("releases", "open_changes", "pending_changes", "open_uploads"):
        yield f"lockgate_{name}", labels, _whole(one[name])
    yield from _at("lockgate_timestamp_expires_seconds", labels, one["timestamp_expires_at"])
    yield from _at("lockgate_last_signed_seconds", labels, one["last_signed_at"])
    yield from _at("lockgate_last_published_seconds", labels, one["last_published_at"])
    for version, clients in _object(_object(one["clients"])["versions"]).items():
        yield "lockgate_active_clients", {**labels, "version": version}, _whole(clients)


def _at(name: str, labels: Mapping[str, str], said: Json) -> Iterator[Sample]:
    if isinstance(said, str):
        at: datetime = parse_instant(said)
        yield name, labels, int(at.timestamp())


def _whole(value: Json) -> int:
    return value if isinstance(value, int) else 0


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, Mapping) else {}


def _objects(value: Json) -> list[JsonObject]:
    found = value if isinstance(value, Sequence) and not isinstance(value, str) else []
    return [one for one in found if isinstance(one, Mapping)]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
