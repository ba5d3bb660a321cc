"""The worker: a list of small jobs, each safe to run twice, under a lease."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from lockgate_release.errors import LockgateError
from lockgate_release.log.server_events import JOB_FAILED, ROUND_FAILED
from lockgate_release.log.telling import bound, tell
from lockgate_release.names import AppName
from lockgate_server.services.collect.jobs import collect_daily, finish_collection
from lockgate_server.services.steer.steer import Steering
from lockgate_server.services.write.changing import read_settled
from lockgate_server.services.write.copies import repair_copies
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.lifetimes import end_due_channels
from lockgate_server.services.write.old_uploads import remove_old_uploads
from lockgate_server.services.write.online_keys import end_overlap
from lockgate_server.services.write.pending import finish_pending
from lockgate_server.services.write.renewing import resign
from lockgate_server.settings import ServerSettings

__all__ = ["JOBS", "Job", "holder_name", "jobs_for", "run_forever", "run_round"]

_log = logging.getLogger(__name__)
_ACTOR = "worker"
_OPERATION_BYTES = 6
_LEASE = "jobs"
_LEASE_TIME = timedelta(minutes=10)
_INTERVAL_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One thing that is done for every app, again and again.

    Attributes:
        name: What it is called in the log.
        run: Does it for an app, in the name of a caller; whatever is done already is left alone.
    """

    name: str
    run: Callable[[WriteDeps, AppName, Caller], object]


JOBS = (
    Job(name="settle", run=lambda deps, app, _: read_settled(deps, app)),
    Job(name="finish-pending", run=finish_pending),
    Job(name="resign", run=resign),
    Job(name="end-key-overlap", run=end_overlap),
    Job(name="end-channels", run=end_due_channels),
    Job(name="repair-copies", run=lambda deps, app, _: repair_copies(deps, app)),
    Job(name="remove-old-uploads", run=lambda deps, app, _: remove_old_uploads(deps, app)),
    Job(name="prune-reports", run=lambda deps, _app, _: deps.reports.prune(now=deps.now())),
    Job(name="finish-gc", run=finish_collection),
)
"""What is always done."""


def jobs_for(settings: ServerSettings) -> tuple[Job, ...]:
    """Return what is done on a server with these settings."""
    steering = Steering(caller=Caller(actor=_ACTOR))
    jobs = (*JOBS, Job(name="steer", run=steering.steer_as))
    if not settings.gc_daily:
        return jobs
    grace = settings.gc_grace
    daily = Job(name="gc", run=lambda deps, app, by: collect_daily(deps, app, by, grace))
    return (*jobs, daily)


def holder_name() -> str:
    """Return the name under which this process holds leases."""
    return f"{socket.gethostname()}/{os.getpid()}"


def run_round(deps: WriteDeps, holder: str, jobs: tuple[Job, ...] = JOBS) -> bool:
    """Run every job for every app once; return False if another worker is at it.

    A job that fails, by a fault of ours too, is told of in the log and tried again in the next
    round; it keeps no other job and no other app waiting.

    Raises:
        LocalError: The ledger cannot be used.
    """
    now = deps.now()
    if deps.ledger.take_lease(_LEASE, holder, now=now, until=now + _LEASE_TIME) is None:
        return False
    try:
        for app in deps.ledger.apps():
            if deps.ledger.highest(app) is not None or deps.ledger.open_entries(app):
                _run_jobs(deps, app, jobs)
    finally:
        deps.ledger.release_lease(_LEASE, holder)
    return True


def _run_jobs(deps: WriteDeps, app: AppName, jobs: tuple[Job, ...]) -> None:
    for job in jobs:
        # What a job does has an operation of its own: in the log, and in the audit log.
        operation = f"{job.name}-{deps.random_hex(_OPERATION_BYTES)}"
        with bound(operation_id=operation):
            _run_job(deps, app, job, Caller(actor=_ACTOR, operation_id=operation))


def _run_job(deps: WriteDeps, app: AppName, job: Job, caller: Caller) -> None:
    try:
        job.run(deps, app, caller)
    except LockgateError as exc:
        tell(_log, JOB_FAILED, job=job.name, app=app, code=exc.code, reason=str(exc))
    except Exception as exc:  # noqa: BLE001 (a bug in one job must not end all signing)
        reason = type(exc).__name__
        tell(_log, JOB_FAILED, job=job.name, app=app, code="error", reason=reason, error=exc)


def run_forever(
    deps: WriteDeps, holder: str, stop: threading.Event, jobs: tuple[Job, ...] = JOBS
) -> None:
    """Run round after round until `stop` is set."""
    while not stop.is_set():
        try:
            run_round(deps, holder, jobs)
        except LockgateError as exc:
            tell(_log, ROUND_FAILED, code=exc.code, reason=str(exc))
        stop.wait(_INTERVAL_S)
