"""Reports: what a client may tell the server about a release, and nothing else.

Both sides use this, so that they cannot drift apart. A report names no client: a cohort, an outcome
and a nonce, drawn for this one purpose, which ties an outcome to its enrolment and lets a repeated
report count once. Whoever builds a report here cannot say more than that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from operator import itemgetter
from typing import TypeAlias

from lockgate_release.errors import DocumentError
from lockgate_release.gate import Arm
from lockgate_release.instants import format_instant, parse_instant
from lockgate_release.names import ChannelName, Platform, is_channel_name, is_platform
from lockgate_release.strict_json import Fields, Json, JsonObject, dump_json, parse_json
from lockgate_release.versions import is_version_text

__all__ = [
    "MAX_BATCH_BYTES",
    "MAX_REPORTS",
    "REPORTS_PATH",
    "TYPE",
    "Active",
    "Batch",
    "CohortKey",
    "Enrolled",
    "Failure",
    "Fared",
    "Outcome",
    "Receipt",
    "Report",
    "dump_reports",
    "hour_of",
    "is_nonce",
    "parse_receipt",
    "parse_reports",
    "read_report",
]

TYPE = "lockgate.reports"

REPORTS_PATH = "reports"
"""Where reports are sent to, below an app's address."""

MAX_REPORTS = 20
"""How many reports are sent at once at most."""

MAX_BATCH_BYTES = 16 << 10
"""How large what is sent at once is at most."""

_SUBJECT = "reports"
_NONCE = re.compile(r"[0-9a-f]{32}")
_COHORT_NAMES = (
    "channel",
    "version",
    "epoch",
    "arm",
    "platform",
    "from_version",
    "enrolled_hour",
)
_pick_cohort = itemgetter(*_COHORT_NAMES)
_KNOWN_COHORTS = 1024


class Outcome(StrEnum):
    """How a client fared."""

    HEALTHY = "healthy"
    """The release runs, or, in control, what was there before does."""
    BAD = "bad"
    """It does not."""
    NOT_INSTALLED = "not-installed"
    """It could not be fetched or installed: no word on the program."""


class Failure(StrEnum):
    """What went wrong, in one word: never a text of the machine's."""

    NONE = ""
    CRASH_LOOP = "crash-loop"
    HEALTH = "health"
    TIMEOUT = "timeout"
    EXIT = "exit"
    DOWNLOAD = "download"
    VERIFY = "verify"
    INSTALL = "install"


_FAILURES = {
    Outcome.HEALTHY: (Failure.NONE,),
    Outcome.BAD: (Failure.CRASH_LOOP, Failure.HEALTH, Failure.TIMEOUT, Failure.EXIT),
    Outcome.NOT_INSTALLED: (Failure.DOWNLOAD, Failure.VERIFY, Failure.INSTALL),
}
_OUTCOMES = {
    (outcome.value, failure.value): (outcome, failure)
    for outcome, failures in _FAILURES.items()
    for failure in failures
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortKey:
    """Which cohort a client enrolled in.

    Attributes:
        channel: The channel it follows.
        version: The release it is in an arm of.
        epoch: The rollout's epoch it saw, >= 1.
        arm: `OFFERED` or `CONTROL`.
        platform: Its platform.
        from_version: What it had when it enrolled.
        hour: The hour in which it enrolled: aware, UTC, a whole hour.
    """

    channel: ChannelName
    version: str
    epoch: int
    arm: Arm
    platform: Platform
    from_version: str
    hour: datetime

    def __hash__(self) -> int:
        # Cohorts are looked up all the time, and an enum's hash is slow: the arms share one.
        names = (self.channel, self.version, self.platform, self.from_version)
        return hash((names, self.epoch, self.hour))

    def to_json(self) -> dict[str, Json]:
        """Return the cohort as it stands in a report."""
        return {
            "channel": self.channel,
            "version": self.version,
            "epoch": self.epoch,
            "arm": self.arm.value,
            "platform": self.platform,
            "from_version": self.from_version,
            "enrolled_hour": format_instant(self.hour),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """A client has learned that it is in an arm.

    Attributes:
        nonce: 32 lower-case hexadecimal digits at random; canaries draw one for each release,
            control one for each release and epoch.
        cohort: Its cohort.
    """

    nonce: str
    cohort: CohortKey

    def to_json(self) -> JsonObject:
        """Return the report as it is sent."""
        return {"kind": "enrolled", "nonce": self.nonce, **self.cohort.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fared:
    """How that client fared since: told once, and never without the enrolment.

    Attributes:
        nonce: That of its enrolment.
        cohort: That of its enrolment.
        outcome: How it fared.
        failure: What went wrong; `NONE` if and only if it is healthy.
    """

    nonce: str
    cohort: CohortKey
    outcome: Outcome
    failure: Failure = Failure.NONE

    def to_json(self) -> JsonObject:
        """Return the report as it is sent."""
        return {
            "kind": "outcome",
            "nonce": self.nonce,
            **self.cohort.to_json(),
            "outcome": self.outcome.value,
            "error": self.failure.value,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """A version is in use: said once a day, and counted by the date that is echoed.

    Attributes:
        channel: The channel.
        version: What is installed.
        platform: Its platform.
        last_counted: The day (UTC) of the last such report, or None before the first: a client
            that was counted on the day of its report is not counted again.
    """

    channel: ChannelName
    version: str
    platform: Platform
    last_counted: date | None

    def to_json(self) -> JsonObject:
        """Return the report as it is sent."""
        return {
            "kind": "active",
            "channel": self.channel,
            "version": self.version,
            "platform": self.platform,
            "last_counted": "" if self.last_counted is None else self.last_counted.isoformat(),
        }


Report: TypeAlias = Enrolled | Fared | Active


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What was sent at once.

    Attributes:
        reports: Those that are well formed, in order.
        malformed: How many are not.
    """

    reports: tuple[Report, ...]
    malformed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The answer to a batch. Neither number asks for anything: what was dropped stays dropped.

    Attributes:
        accepted: How many reports were taken in; a repeated one is found out later.
        dropped: How many were not.
    """

    accepted: int
    dropped: int

    def to_json(self) -> JsonObject:
        """Return the answer's body."""
        return {"accepted": self.accepted, "dropped": self.dropped}


def hour_of(now: datetime) -> datetime:
    """Return the hour that an aware instant lies in, by UTC."""
    instant = parse_instant(format_instant(now))
    return instant.replace(minute=0, second=0)


def is_nonce(text: str) -> bool:
    """Whether `text` is a nonce: 32 lower-case hexadecimal digits."""
    return _NONCE.fullmatch(text) is not None


def dump_reports(reports: Iterable[Report]) -> bytes:
    """Return the body that sends reports.

    Raises:
        ValueError: There are none, or more than are sent at once.
    """
    listed = [report.to_json() for report in reports]
    if not 1 <= len(listed) <= MAX_REPORTS:
        raise ValueError(f"1 to {MAX_REPORTS} reports are sent at once")
    return dump_json({"_type": TYPE, "reports": listed})


def parse_reports(data: bytes) -> Batch:
    """Return the reports in a body. One that is malformed takes no other with it.

    Raises:
        DocumentError: The body is malformed as a whole.
    """
    if len(data) > MAX_BATCH_BYTES:
        raise DocumentError(
            "too large",
            subject=_SUBJECT,
            expected=f"at most {MAX_BATCH_BYTES} bytes",
            found=str(len(data)),
        )
    fields = parse_json(data, subject=_SUBJECT)
    found = fields.text("_type")
    if found != TYPE:
        fields.fail("_type", "wrong type of document", expected=TYPE, found=repr(found[:80]))
    items = fields.objects("reports", most=MAX_REPORTS)
    if not items:
        fields.fail("reports", "too short", expected="at least 1 element", found="0")
    reports: list[Report] = []
    for item in items:
        try:
            reports.append(read_report(item))
        except DocumentError:
            continue
    return Batch(reports=tuple(reports), malformed=len(items) - len(reports))


def read_report(fields: Fields) -> Report:
    """Return the report in an object, as `to_json` wrote it; other fields are not looked at.

    Raises:
        DocumentError: It is none; the message names the field.
    """
    kind = fields.text("kind", pattern="enrolled|outcome|active")
    if kind == "active":
        return _read_active(fields)
    if kind == "outcome":
        return _read_fared(fields)
    return Enrolled(nonce=_read_nonce(fields), cohort=_read_cohort(fields))


def parse_receipt(data: bytes) -> Receipt:
    """Return the answer to a batch.

    Raises:
        DocumentError: It is none.
    """
    fields = parse_json(data, subject="answer")
    return Receipt(accepted=fields.integer("accepted"), dropped=fields.integer("dropped"))


def _read_nonce(fields: Fields) -> str:
    return fields.checked("nonce", is_nonce, "32 lower-case hexadecimal digits")


def _read_fared(fields: Fields) -> Fared:
    known = _OUTCOMES.get((fields.text("outcome"), fields.text("error")))
    if known is None:
        fields.fail("outcome", "no outcome, or with an error that does not go with it")
    outcome, failure = known
    return Fared(
        nonce=_read_nonce(fields), cohort=_read_cohort(fields), outcome=outcome, failure=failure
    )


def _read_cohort(fields: Fields) -> CohortKey:
    """Return the cohort in a report: the same few again and again, so they are remembered."""
    try:
        return _recall_cohort(*_pick_cohort(fields.raw()))
    except (KeyError, TypeError):  # a field is missing, or holds what no field may
        return _read_new_cohort(fields)


# Typed, because an epoch of `true` is equal to one of 1 and yet none.
@lru_cache(maxsize=_KNOWN_COHORTS, typed=True)
def _recall_cohort(*said: Json) -> CohortKey:
    raw = dict(zip(_COHORT_NAMES, said, strict=True))
    return _read_new_cohort(Fields(raw, subject=_SUBJECT, path=""))


def _read_new_cohort(fields: Fields) -> CohortKey:
    arm = fields.choice("arm", Arm)
    if arm is Arm.OUTSIDE:
        fields.fail("arm", "wrong value", expected="offered or control", found=repr(arm.value))
    hour = fields.instant("enrolled_hour")
    if hour.minute or hour.second:
        fields.fail("enrolled_hour", "wrong value", expected="a whole hour")
    return CohortKey(
        channel=ChannelName(fields.checked("channel", is_channel_name, "a channel name")),
        version=fields.checked("version", is_version_text, "a version"),
        epoch=fields.integer("epoch", minimum=1),
        arm=arm,
        platform=Platform(fields.checked("platform", is_platform, "a platform tag")),
        from_version=fields.checked("from_version", is_version_text, "a version"),
        hour=hour,
    )


def _read_active(fields: Fields) -> Active:
    said = fields.text("last_counted", max_length=10)
    try:
        last_counted = parse_instant(f"{said}T00:00:00Z").date() if said else None
    except ValueError:
        fields.fail("last_counted", "wrong value", expected="a date such as 2026-01-31, or nothing")
    return Active(
        channel=ChannelName(fields.checked("channel", is_channel_name, "a channel name")),
        version=fields.checked("version", is_version_text, "a version"),
        platform=Platform(fields.checked("platform", is_platform, "a platform tag")),
        last_counted=last_counted,
    )
