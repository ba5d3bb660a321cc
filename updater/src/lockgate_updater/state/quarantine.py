"""What failed here, and how long it is left alone, under clocks that may be wrong. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lockgate_release.instants import format_instant
from lockgate_release.names import Sha256Hex, is_sha256
from lockgate_release.strict_json import Fields, Json
from lockgate_release.versions import is_version_text

__all__ = [
    "FailedDelta",
    "Failure",
    "is_believable",
    "quarantine_end",
    "read_failed_delta",
    "read_failure",
    "with_failed_delta",
]

_FIRST = timedelta(hours=1)
_FACTOR = 4
_LONGEST = timedelta(days=30)
_SET_BACK = timedelta(days=1)
"""A clock may be set back by this much without ending a quarantine."""
_MAX_DELTAS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A release that failed here.

    Attributes:
        sha256: The digest of its document.
        version: Its version, for people.
        failures: How often it has failed, from 1.
        until: When it may be tried again.
        attempt: The attempt that failed last: the same attempt is counted once.
        reason: How it failed.
    """

    sha256: Sha256Hex
    version: str
    failures: int
    until: datetime
    attempt: str
    reason: str

    def to_json(self) -> dict[str, Json]:
        """Return the failure as it stands in the record."""
        return {
            "sha256": self.sha256,
            "version": self.version,
            "failures": self.failures,
            "until": format_instant(self.until),
            "attempt": self.attempt,
            "reason": self.reason,
        }


def read_failure(fields: Fields) -> Failure:
    """Return the failure in a record.

    Raises:
        DocumentError: It is none.
    """
    return Failure(
        sha256=Sha256Hex(fields.checked("sha256", is_sha256, "a SHA-256")),
        version=fields.checked("version", is_version_text, "a version"),
        failures=fields.integer("failures", minimum=1),
        until=fields.instant("until"),
        attempt=fields.text("attempt"),
        reason=fields.text("reason"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedDelta:
    """A delta that could not be applied here, and is not fetched again: its bytes never change.

    Attributes:
        sha256: The digest of its file.
        reason: How it failed.
    """

    sha256: Sha256Hex
    reason: str

    def to_json(self) -> dict[str, Json]:
        """Return the failure as it stands in the record."""
        return {"sha256": self.sha256, "reason": self.reason}


def read_failed_delta(fields: Fields) -> FailedDelta:
    """Return the failure in a record.

    Raises:
        DocumentError: It is none.
    """
    return FailedDelta(
        sha256=Sha256Hex(fields.checked("sha256", is_sha256, "a SHA-256")),
        reason=fields.text("reason"),
    )


def with_failed_delta(
    known: tuple[FailedDelta, ...], sha256: Sha256Hex, reason: str
) -> tuple[FailedDelta, ...]:
    """Return what is known with one more; the oldest of more than 50 are forgotten."""
    others = [item for item in known if item.sha256 != sha256]
    return (*others, FailedDelta(sha256=sha256, reason=reason[:500]))[-_MAX_DELTAS:]


def quarantine_end(now: datetime, failures: int) -> datetime:
    """Return when a release may be tried again that fails now, and has failed this often."""
    return _later(now, _length(failures))


def is_believable(until: datetime, now: datetime, failures: int) -> bool:
    """Whether a quarantine can end then: never later than one that begins now, and a day.

    A later end was written by a clock that ran ahead, and might never come.
    """
    return until <= _later(now, _length(failures) + _SET_BACK)


def _length(failures: int) -> timedelta:
    factor: int = _FACTOR ** min(failures - 1, 10)
    return min(_FIRST * factor, _LONGEST)


def _later(now: datetime, wait: timedelta) -> datetime:
    """That much later, or the end of the calendar where a clock stands right before it."""
    end = datetime.max.replace(microsecond=0, tzinfo=UTC)
    return now + min(wait, end - now)
