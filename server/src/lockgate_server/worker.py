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
from lockgate_release.log.telling import tell
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
_CALLER = Caller(actor="worker")
_LEASE = "jobs"
_LEASE_TIME = timedelta(minutes=10)
_INTERVAL_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One thing that is done for every app, again and again.

    Attributes:
        name: What it is called in the log.
        run: Does it; whatever is done already is left alone.
    """

    name: str
    run: Callable[[WriteDeps, AppName], object]


JOBS = (
    Job(name="settle", run=read_settled),
    Job(name="finish-pending", run=lambda deps, app: finish_pending(deps, app, _CALLER)),
    Job(name="resign", run=lambda deps, app: resign(deps, app, _CALLER)),
    Job(name="end-key-overlap", run=lambda deps, app: end_overlap(deps, app, _CALLER)),
    Job(name="end-channels", run=lambda deps, app: end_due_channels(deps, app, _CALLER)),
    Job(name="repair-copies", run=repair_copies),
    Job(name="remove-old-uploads", run=remove_old_uploads),
    Job(name="prune-reports", run=lambda deps, _app: deps.reports.prune(now=deps.now())),
    Job(name="finish-gc", run=lambda deps, app: finish_collection(deps, app, _CALLER)),
)
"""What is always done."""


def jobs_for(settings: ServerSettings) -> tuple[Job, ...]:
    """Return what is done on a server with these settings."""
    jobs = (*JOBS, Job(name="steer", run=Steering(caller=_CALLER)))
    if not settings.gc_daily:
        return jobs
    grace = settings.gc_grace
    daily = Job(name="gc", run=lambda deps, app: collect_daily(deps, app, _CALLER, grace))
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
        try:
            job.run(deps, app)
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
