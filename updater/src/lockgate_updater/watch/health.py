"""How this client is: healthy, degraded or offline. A note for people, and for the schedule.

`watch` and `update` keep it. `check` does not: it costs what it must, and writes nothing of its
own. Nothing is decided by this note but when `watch` looks next, so it is written without a sync:
after a power cut the last one may be gone or damaged, and then a fresh one begins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lockgate_release.errors import DocumentError, LocalError, LockgateError
from lockgate_release.instants import format_instant, parse_instant
from lockgate_release.strict_json import Fields, Json, dump_json, parse_json
from lockgate_updater.state.durable import local_errors, read_own_file

if TYPE_CHECKING:
    from lockgate_release.names import ChannelName
    from lockgate_updater.state.memory import Memory

__all__ = [
    "HealthNote",
    "HealthReport",
    "HealthState",
    "dump_note",
    "judge_health",
    "load_note",
    "noted",
    "store_note",
    "troubles_of",
    "with_check",
    "with_error",
]

FORMAT = 1
OFFLINE_AFTER = 3
"""So many failures of the network in a row make a client offline; fewer are weather."""
_MAX_COUNT = 1_000_000
_MAX_REASON = 500
_MAX_BYTES = 16_384


class HealthState(StrEnum):
    """How this client is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthNote:
    """What is kept of the last checks.

    Attributes:
        checked_at: When somebody looked last, or None.
        good_at: When that was last found out, or None.
        failures: Checks in a row that did not find out.
        code: The last of their errors' code, or "" after a good one.
        reason: Its sentence, or "".
        interval_s: How often the channel wants to be looked at, in seconds, or None.
        next_at: When `watch` will look next, or None.
        expires_role: Whose signed word is the first to be near its end, or "".
        expires_at: When that ends, or None.
    """

    checked_at: datetime | None = None
    good_at: datetime | None = None
    failures: int = 0
    code: str = ""
    reason: str = ""
    interval_s: int | None = None
    next_at: datetime | None = None
    expires_role: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """How this client is, and why: an empty tuple of reasons is healthy."""

    state: HealthState
    reasons: tuple[str, ...]
    note: HealthNote


def judge_health(note: HealthNote, troubles: Sequence[str] = ()) -> HealthReport:
    """Return how this client is.

    Offline: the network failed at least three times in a row. Degraded: a check did not find out
    for another reason, or something else is wrong here. Healthy: else.

    Args:
        note: What is kept of the last checks.
        troubles: What else is wrong here, as sentences: a quarantine, a revoked release that runs.
    """
    reasons = list(troubles)
    is_network = note.code.partition(".")[0] == "transport"
    is_offline = is_network and note.failures >= OFFLINE_AFTER
    if is_offline or (note.failures and not is_network):
        reasons.insert(0, f"{note.failures} checks in a row did not find out: {note.reason}")
    if is_offline:
        return HealthReport(state=HealthState.OFFLINE, reasons=tuple(reasons), note=note)
    state = HealthState.DEGRADED if reasons else HealthState.HEALTHY
    return HealthReport(state=state, reasons=tuple(reasons), note=note)


def troubles_of(
    note: HealthNote, memory: Memory, channel: ChannelName, running: str, now: datetime
) -> tuple[str, ...]:
    """Return what note and memory say is wrong here.

    What the repository's keys have signed ends soon, releases are quarantined, a revoked one runs.
    """
    troubles = [
        f"the word of {role} ends at {format_instant(at)}, and nobody has signed it again"
        for role, at in [(note.expires_role, note.expires_at)]
        if at is not None and at - now < _margin(role)
    ]
    troubles += [
        f"{item.version} failed here {item.failures} times, and is not tried before "
        f"{format_instant(item.until)}"
        for item in memory.failures
        if now < item.until
    ]
    if running and memory.must_leave(channel, running):
        troubles.append(f"{running} is revoked, and still runs")
    return tuple(troubles)


def _margin(role: str) -> timedelta:
    """Return how long before its end a role's word should have been signed again: a tenth."""
    from lockgate_release.trust.roles import EXPIRY, Role  # noqa: PLC0415 (not for a check)

    return EXPIRY[Role(role)] / 10 if role in set(Role) else timedelta(0)


def _first_to_end(expiries: Mapping[str, str]) -> tuple[str, datetime]:
    """Return whose word will be the first to be near its end, and when it ends."""
    ends = {role: parse_instant(text) for role, text in expiries.items()}
    first = min(ends, key=lambda role: ends[role] - _margin(role))
    return first, ends[first]


def with_check(
    note: HealthNote,
    now: datetime,
    interval_s: int | None = None,
    expiries: Mapping[str, str] | None = None,
) -> HealthNote:
    """Return the note after a check that found out.

    Args:
        note: The note before it.
        now: The present.
        interval_s: How often the channel wants to be looked at, in seconds, if it was seen.
        expiries: When each role's word ends, if they were seen.
    """
    role, at = _first_to_end(expiries) if expiries else (note.expires_role, note.expires_at)
    return replace(
        note,
        checked_at=now,
        good_at=now,
        failures=0,
        code="",
        reason="",
        interval_s=interval_s or note.interval_s,
        expires_role=role,
        expires_at=at,
    )


def with_error(note: HealthNote, now: datetime, error: LockgateError) -> HealthNote:
    """Return the note after a check that did not find out."""
    return replace(
        note,
        checked_at=now,
        failures=min(note.failures + 1, _MAX_COUNT),
        code=error.code,
        reason=str(error)[:_MAX_REASON],
    )


class _Seen(Protocol):
    """Who knows how often the channel wants to be looked at, and what ends when, once seen."""

    @property
    def interval_s(self) -> int | None: ...

    def expiries(self) -> Mapping[str, str]: ...


@contextmanager
def noted(path: Path, now: datetime, seen: _Seen) -> Iterator[None]:
    """Keep how the block ended: well, or by an error of ours."""
    note = load_note(path)
    try:
        yield
    except LockgateError as exc:
        store_note(path, with_error(note, now, exc))
        raise
    store_note(path, with_check(note, now, seen.interval_s, seen.expiries()))


def load_note(path: Path) -> HealthNote:
    """Return what is kept; a damaged note, or one of a newer updater, is a fresh one."""
    try:
        data = read_own_file(path, limit_bytes=_MAX_BYTES)
        return HealthNote() if data is None else _parse(data, str(path))
    except (DocumentError, LocalError, ValueError):
        return HealthNote()


def store_note(path: Path, note: HealthNote) -> None:
    """Leave the note at `path`, whole or not at all. A disk that refuses keeps nobody from work."""
    temporary = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(LocalError), local_errors("cannot be written", path):
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as stream:
            stream.write(dump_json(dump_note(note)))
        temporary.replace(path)


def dump_note(note: HealthNote) -> dict[str, Json]:
    """Return the note as JSON has it."""
    return {
        "format": FORMAT,
        "checked_at": _text(note.checked_at),
        "good_at": _text(note.good_at),
        "failures": note.failures,
        "code": note.code,
        "reason": note.reason,
        "interval_s": note.interval_s or 0,
        "next_at": _text(note.next_at),
        "expires_role": note.expires_role,
        "expires_at": _text(note.expires_at),
    }


def _text(moment: datetime | None) -> str:
    return format_instant(moment) if moment else ""


def _parse(data: bytes, subject: str) -> HealthNote:
    fields = parse_json(data, subject=subject)
    if fields.integer("format", minimum=1) != FORMAT:
        return HealthNote()
    return HealthNote(
        checked_at=_moment(fields, "checked_at"),
        good_at=_moment(fields, "good_at"),
        failures=fields.integer("failures", maximum=_MAX_COUNT),
        code=fields.text("code"),
        reason=fields.text("reason"),
        interval_s=fields.integer("interval_s") or None,
        next_at=_moment(fields, "next_at"),
        expires_role=fields.text("expires_role", default=""),
        expires_at=_moment(fields, "expires_at"),
    )


def _moment(fields: Fields, name: str) -> datetime | None:
    return fields.instant(name) if fields.text(name, default="") else None
