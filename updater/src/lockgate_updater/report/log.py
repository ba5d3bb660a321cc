"""What a client has to report, and when. Pure: from what it sees, and what it has said before.

1. Only a client that updates by itself is in an arm. A first installation, a person who asks
   (`--force`, a pin) and an update that a revocation forces are in none.
2. It enrols at the first update that finds it in an arm: where a release is offered to it, once
   for that release; in control, once for each epoch, and only while nothing else is installed.
   Each enrolment has a nonce of its own, at random.
3. How it fared is told once, under that nonce. Where it was offered: healthy once it is committed,
   bad once it has failed its trial, not installed at once if it is not what was signed, and else
   when it is still not there after a while (`patience`) or no longer offered.
4. In control the release that is installed is held to the same: its health command is run again.
   Where it has none nothing is known of it, and it is healthy at the next update that finds it.
5. Once a day, what is installed, with the day on which that was last said.
6. What cannot be sent waits. Of too much that waits the oldest goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from lockgate_release.decision import Decision, Held, Obstacle, Offer
from lockgate_release.gate import Arm
from lockgate_release.names import ChannelName, Platform
from lockgate_release.reports import (
    MAX_BATCH_BYTES,
    MAX_REPORTS,
    Active,
    CohortKey,
    Enrolled,
    Failure,
    Fared,
    Outcome,
    Report,
    dump_reports,
    hour_of,
)
from lockgate_updater.report.patience import PATIENCE

__all__ = [
    "MAX_KEPT",
    "Answer",
    "Enrolment",
    "Log",
    "Look",
    "Sent",
    "next_batch",
    "with_answer",
    "with_control",
    "with_look",
    "with_obstacle",
    "with_trial",
]

MAX_KEPT = 64
"""So many reports wait at most, and so many enrolments are remembered."""
_LONGEST_WAIT = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """One arm that this client is, or was, in.

    Attributes:
        report: What was said of it.
        is_told: Whether it was said how the client fared.
        failure: What has kept the release from being installed so far.
    """

    report: Enrolled
    is_told: bool = False
    failure: Failure = Failure.NONE

    @property
    def cohort(self) -> CohortKey:
        """Its cohort."""
        return self.report.cohort


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a server answered.

    Attributes:
        status: Its status, or 0 if there was no answer.
        text: The same for people.
        retry_after_s: For how long it asks to be left alone, in seconds, or None.
    """

    status: int
    text: str
    retry_after_s: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether the same reports are not to be sent again: taken in, or not wanted."""
        return 200 <= self.status < 500 and self.status not in {408, 429}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What was sent last.

    Attributes:
        at: When.
        answer: How that was answered, in words.
        reports: Every one of them.
    """

    at: datetime
    answer: str
    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Everything that is kept.

    Attributes:
        enrolments: The arms it is or was in, the latest last.
        waiting: What is to be sent, in this order.
        active_on: The day (UTC) on which `active` was last said, or None.
        not_before: When the server wants to hear of it again, or None.
        sent: What was sent last, or None.
    """

    enrolments: tuple[Enrolment, ...] = ()
    waiting: tuple[Report, ...] = ()
    active_on: date | None = None
    not_before: datetime | None = None
    sent: Sent | None = None

    def in_control(self, channel: ChannelName) -> bool:
        """Whether it is in a control arm of the channel, and has not told how it fares there."""
        return any(_is_open(item, channel, Arm.CONTROL) for item in self.enrolments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a client has found at an update.

    Attributes:
        now: The present, aware.
        channel: The channel it follows.
        platform: Its platform.
        installed: What runs, or "".
        on_trial: What is on trial, or "".
        failed: What has failed here and is left alone.
        has_check: Whether what runs has a health command.
        is_manual: A person asks for this update, or for this version.
        decision: What is to be done.
        epochs: The epoch of each rollout in the channel, by version.
        patience: For how long each release there may fail to be installed, by version.
    """

    now: datetime
    channel: ChannelName
    platform: Platform
    installed: str
    decision: Decision
    epochs: Mapping[str, int]
    patience: Mapping[str, timedelta] = field(default_factory=dict)
    on_trial: str = ""
    failed: frozenset[str] = frozenset()
    has_check: bool = False
    is_manual: bool = False

    @property
    def offered(self) -> str:
        """What is offered to it, or ""."""
        return self.decision.version if isinstance(self.decision, Offer) else ""

    def arms(self) -> Iterator[CohortKey]:
        """Yield the cohorts that it belongs to (rules 1 and 2)."""
        if self.is_manual or self.on_trial or not self.installed:
            return
        match self.decision:
            case Offer(arm=Arm.OFFERED):
                yield self._cohort(self.decision.version, self.decision.epoch, Arm.OFFERED)
            case Held():
                for item in self.decision.considered:
                    if item.obstacle is Obstacle.CONTROL:
                        yield self._cohort(item.version, self.epochs[item.version], Arm.CONTROL)

    def _cohort(self, version: str, epoch: int, arm: Arm) -> CohortKey:
        return CohortKey(
            channel=self.channel,
            version=version,
            epoch=epoch,
            arm=arm,
            platform=self.platform,
            from_version=self.installed,
            hour=hour_of(self.now),
        )


def with_look(log: Log, look: Look, draw: Callable[[], str]) -> Log:
    """Return the log after an update has looked (rules 2 to 5).

    Args:
        log: The log.
        look: What it found.
        draw: Draws a nonce: 32 lower-case hexadecimal digits.
    """
    for item in log.enrolments:
        told = None if item.is_told or item.cohort.channel != look.channel else _settled(item, look)
        if told is not None:
            log = _tell(log, item, *told)
    for cohort in look.arms():
        log = _enrol(log, cohort, draw)
    return _with_active(log, look)


def with_trial(
    log: Log, channel: ChannelName, version: str, outcome: Outcome, failure: Failure = Failure.NONE
) -> Log:
    """Return the log after a trial of a release has ended (rule 3)."""
    for item in log.enrolments:
        if _is_open(item, channel, Arm.OFFERED) and item.cohort.version == version:
            log = _tell(log, item, outcome, failure)
    return log


def with_obstacle(
    log: Log,
    channel: ChannelName,
    version: str,
    failure: Failure,
    *,
    now: datetime,
    patience: timedelta = PATIENCE,
) -> Log:
    """Return the log after a release could not be installed (rule 3).

    Args:
        log: The log.
        channel: The channel.
        version: The release.
        failure: What went wrong.
        now: The present, aware.
        patience: For how long that may be so before it is told.
    """
    for item in log.enrolments:
        if _is_open(item, channel, Arm.OFFERED) and item.cohort.version == version:
            if failure is Failure.VERIFY or now - item.cohort.hour >= patience:
                log = _tell(log, item, Outcome.NOT_INSTALLED, failure)
            else:
                log = _put(log, replace(item, failure=failure))
    return log


def with_control(log: Log, channel: ChannelName, outcome: Outcome, failure: Failure) -> Log:
    """Return the log after what is installed was held to its health command (rule 4)."""
    for item in log.enrolments:
        if _is_open(item, channel, Arm.CONTROL):
            log = _tell(log, item, outcome, failure)
    return log


def next_batch(log: Log, now: datetime) -> tuple[Report, ...]:
    """Return what is to be sent now, or nothing.

    A wish to be left alone that a wrong clock has put far off is not heeded.
    """
    if log.not_before is not None and now < log.not_before <= now + _LONGEST_WAIT:
        return ()
    batch = log.waiting[:MAX_REPORTS]
    while batch and len(dump_reports(batch)) > MAX_BATCH_BYTES:
        batch = batch[:-1]
    return batch


def with_answer(log: Log, batch: tuple[Report, ...], answer: Answer, now: datetime) -> Log:
    """Return the log after this batch was sent (rule 6)."""
    log = replace(log, sent=Sent(at=now, answer=answer.text, reports=batch), not_before=None)
    if not answer.is_final:
        wait = timedelta(seconds=answer.retry_after_s or 0)
        return replace(log, not_before=now + min(wait, _LONGEST_WAIT) if wait else None)
    if any(isinstance(report, Active) for report in batch):
        log = replace(log, active_on=_day(now))
    return replace(log, waiting=tuple(item for item in log.waiting if item not in batch))


def _is_open(item: Enrolment, channel: ChannelName, arm: Arm) -> bool:
    return not item.is_told and item.cohort.channel == channel and item.cohort.arm is arm


def _settled(item: Enrolment, look: Look) -> tuple[Outcome, Failure] | None:
    """Return how it has fared that nobody has told of, or None if that is still open."""
    cohort = item.cohort
    if cohort.arm is Arm.CONTROL:
        return None if look.has_check else (Outcome.HEALTHY, Failure.NONE)
    if cohort.version == look.on_trial:
        return None
    if cohort.version == look.installed:
        return Outcome.HEALTHY, Failure.NONE
    if cohort.version in look.failed:
        return Outcome.BAD, Failure.EXIT
    patience = look.patience.get(cohort.version, PATIENCE)
    if cohort.version != look.offered or look.now - cohort.hour >= patience:
        return Outcome.NOT_INSTALLED, item.failure or Failure.INSTALL
    return None


def _enrol(log: Log, cohort: CohortKey, draw: Callable[[], str]) -> Log:
    if any(_is_same_arm(item.cohort, cohort) for item in log.enrolments):
        return log
    report = Enrolled(nonce=draw(), cohort=cohort)
    known = (*log.enrolments, Enrolment(report=report))
    return _add(replace(log, enrolments=known[-MAX_KEPT:]), report)


def _is_same_arm(one: CohortKey, other: CohortKey) -> bool:
    same = (one.channel, one.version, one.arm) == (other.channel, other.version, other.arm)
    return same and (one.arm is Arm.OFFERED or one.epoch == other.epoch)


def _tell(log: Log, item: Enrolment, outcome: Outcome, failure: Failure) -> Log:
    said = Fared(nonce=item.report.nonce, cohort=item.cohort, outcome=outcome, failure=failure)
    return _add(_put(log, replace(item, is_told=True)), said)


def _put(log: Log, item: Enrolment) -> Log:
    """Return the log with one of its enrolments in another state."""
    nonce = item.report.nonce
    return replace(
        log,
        enrolments=tuple(
            item if known.report.nonce == nonce else known for known in log.enrolments
        ),
    )


def _add(log: Log, report: Report) -> Log:
    return replace(log, waiting=(*log.waiting, report)[-MAX_KEPT:])


def _with_active(log: Log, look: Look) -> Log:
    """Return the log in which what is installed waits to be said, once a day (rule 5)."""
    others = tuple(item for item in log.waiting if not isinstance(item, Active))
    log = replace(log, waiting=others)
    if not look.installed or log.active_on == _day(look.now):
        return log
    said = Active(
        channel=look.channel,
        version=look.installed,
        platform=look.platform,
        last_counted=log.active_on,
    )
    return _add(log, said)


def _day(now: datetime) -> date:
    return hour_of(now).date()
