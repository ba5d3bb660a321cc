"""The events of the server: its supervisor, its two sides, its worker."""

from __future__ import annotations

import logging
from typing import Final

from lockgate_release.log.events import Event, Rate

__all__ = [
    "BACKUP_FAILED",
    "BACKUP_MADE",
    "CHANGE_ABANDONED",
    "CHANGE_IN_FORCE",
    "CHANGE_UNCLEAR",
    "CHILD_ENDED",
    "CHILD_STARTED",
    "COPY_NOT_WRITTEN",
    "JOB_FAILED",
    "KEY_NOT_USED",
    "LIBRARY_SAID",
    "LINES_SUPPRESSED",
    "REPORTS_NOT_COUNTED",
    "REQUEST_BUG",
    "REQUEST_FAILED",
    "REQUEST_PROBED",
    "REQUEST_REFUSED",
    "REQUEST_SERVED",
    "ROLLOUT_NOT_STEERED",
    "ROLLOUT_STANDS_STILL",
    "ROLLOUT_STEPPED",
    "ROLLOUT_STOPPED",
    "ROUND_FAILED",
    "SERVER_STARTED",
    "SERVER_STOPPING",
]

_REQUEST = ("method", "path", "status", "bytes", "ms", "actor", "code", "reason")
_ROLLOUT = ("app", "channel", "version")

# -- processes --------------------------------------------------------------------------------

SERVER_STARTED: Final = Event(
    name="server.started",
    level=logging.INFO,
    sentence="the server answers at {addresses}",
    fields=("addresses", "version"),
)
SERVER_STOPPING: Final = Event(
    name="server.stopping", level=logging.INFO, sentence="the server stops", fields=()
)
CHILD_STARTED: Final = Event(
    name="child.started",
    level=logging.INFO,
    sentence="{child} is started",
    fields=("child",),
)
CHILD_ENDED: Final = Event(
    name="child.ended",
    level=logging.ERROR,
    sentence="{child} ended with {exit_code}, and is started again",
    fields=("child", "exit_code"),
)
LIBRARY_SAID: Final = Event(
    name="library.said",
    level=logging.INFO,
    sentence="{text}",
    fields=("logger", "text"),
    rate=Rate(per_s=1, burst=200),
)
LINES_SUPPRESSED: Final = Event(
    name="lines.suppressed",
    level=logging.WARNING,
    sentence="{suppressed} lines of {of} were left out: there were too many",
    fields=("of", "suppressed"),
)

# -- requests ---------------------------------------------------------------------------------

REQUEST_SERVED: Final = Event(
    name="request.served",
    level=logging.INFO,
    sentence="{method} {path} {status}",
    fields=_REQUEST,
    rate=Rate(per_s=5, burst=200),
)
REQUEST_PROBED: Final = Event(
    name="request.probed",
    level=logging.DEBUG,
    sentence="{method} {path} {status}",
    fields=_REQUEST,
)
REQUEST_REFUSED: Final = Event(
    name="request.refused",
    level=logging.INFO,
    sentence="{method} {path} {status}: {code}",
    fields=_REQUEST,
)
REQUEST_FAILED: Final = Event(
    name="request.failed",
    level=logging.ERROR,
    sentence="{method} {path} {status}: {reason}",
    fields=_REQUEST,
)
REQUEST_BUG: Final = Event(
    name="request.bug",
    level=logging.ERROR,
    sentence="a fault of the server: {reason}",
    fields=("reason",),
    rate=Rate(per_s=0.2, burst=20),
)

# -- changes ----------------------------------------------------------------------------------

CHANGE_IN_FORCE: Final = Event(
    name="change.in-force",
    level=logging.INFO,
    sentence="{app}: {action} by {actor} is in force",
    fields=("app", "action", "actor", "entry", "timestamp_version", "channel", "version", "epoch"),
    rate=Rate(per_s=20, burst=2000),
)
CHANGE_ABANDONED: Final = Event(
    name="change.abandoned",
    level=logging.WARNING,
    sentence="{app}: {action} by {actor} did not come into force: {reason}",
    fields=("app", "action", "actor", "entry", "code", "reason"),
)
CHANGE_UNCLEAR: Final = Event(
    name="change.unclear",
    level=logging.ERROR,
    sentence="{app}: whether {action} by {actor} is in force will be found out: {reason}",
    fields=("app", "action", "actor", "entry", "code", "reason"),
)
KEY_NOT_USED: Final = Event(
    name="key.not-used",
    level=logging.ERROR,
    sentence="{app}: a key does not sign along: {reason}",
    fields=("app", "code", "reason"),
)
COPY_NOT_WRITTEN: Final = Event(
    name="copy.not-written",
    level=logging.WARNING,
    sentence="a copy was not written, a job will repair it: {reason}",
    fields=("key", "code", "reason"),
)

# -- the worker, reports ----------------------------------------------------------------------

JOB_FAILED: Final = Event(
    name="job.failed",
    level=logging.ERROR,
    sentence="the job {job} of {app} failed, and is tried again: {reason}",
    fields=("job", "app", "code", "reason"),
)
ROUND_FAILED: Final = Event(
    name="round.failed",
    level=logging.ERROR,
    sentence="no job could be run, and all are tried again: {reason}",
    fields=("code", "reason"),
)
BACKUP_MADE: Final = Event(
    name="backup.made",
    level=logging.INFO,
    sentence="the backup {backup} is made, and was restored to prove it",
    fields=("backup", "ms"),
)
BACKUP_FAILED: Final = Event(
    name="backup.failed",
    level=logging.ERROR,
    sentence="no backup was made, and it is tried again: {reason}",
    fields=("code", "reason"),
)
ROLLOUT_STEPPED: Final = Event(
    name="rollout.stepped",
    level=logging.INFO,
    sentence="{app} {version} in {channel} took a step: {action}. {text}",
    fields=(*_ROLLOUT, "action", "verdict", "text"),
)
ROLLOUT_STOPPED: Final = Event(
    name="rollout.stopped",
    level=logging.WARNING,
    sentence="{app} {version} in {channel} goes no further: {action}. {text}",
    fields=(*_ROLLOUT, "action", "verdict", "text"),
)
ROLLOUT_STANDS_STILL: Final = Event(
    name="rollout.stands-still",
    level=logging.WARNING,
    sentence="{app} {version} in {channel} stands still, and waits for a person: {reason}",
    fields=(*_ROLLOUT, "reason"),
)
ROLLOUT_NOT_STEERED: Final = Event(
    name="rollout.not-steered",
    level=logging.ERROR,
    sentence="{app} {version} in {channel} was not steered: {reason}",
    fields=(*_ROLLOUT, "code", "reason"),
)
REPORTS_NOT_COUNTED: Final = Event(
    name="reports.not-counted",
    level=logging.ERROR,
    sentence="reports wait, and cannot be counted: {reason}",
    fields=("code", "reason"),
)
