"""What stands on this machine, read from its records alone."""

from __future__ import annotations

from lockgate_updater import __version__
from lockgate_updater.outcomes import QuarantineStatus, ReportStatus, Status
from lockgate_updater.report.outbox import read_log
from lockgate_updater.session import Session
from lockgate_updater.state.configuration import Configuration
from lockgate_updater.state.home import Home
from lockgate_updater.state.journal import State
from lockgate_updater.state.receipts import load_receipts
from lockgate_updater.watch.health import judge_health, load_note, troubles_of

__all__ = ["read_report_status", "read_status"]


def read_status(session: Session) -> Status:
    """Return what stands here; nobody is asked.

    Raises:
        LocalError: The home cannot be read.
    """
    record, memory = session.record, session.memory
    configuration = session.client.configuration
    receipts = load_receipts(session.home)
    installed = receipts.get(record.installed)
    current = receipts.get(session.facts().current)
    attempt = record.attempt if record.state is State.TRIAL else None
    note = load_note(session.home.health)
    return Status(
        app=configuration.app,
        channel=configuration.channel,
        repository=configuration.repository,
        state=record.state.value,
        installed=installed.version if installed else "",
        on_trial=attempt.version if attempt else "",
        tries_left=attempt.tries_left if attempt else 0,
        runs=current.version if current else "",
        updater=__version__,
        good=tuple(receipt.version for receipt in receipts.values() if receipt.is_good),
        quarantine=tuple(
            QuarantineStatus(
                version=item.version,
                failures=item.failures,
                until=item.until,
                reason=item.reason,
            )
            for item in memory.failures
        ),
        revoked=tuple(memory.revoked_in(configuration.channel)),
        floor=memory.floors.get(configuration.channel, ""),
        health=judge_health(
            note,
            troubles_of(
                note,
                memory,
                configuration.channel,
                session.running_version(),
                session.client.clock(),
            ),
        ),
        reports=read_report_status(session.home, configuration),
    )


def read_report_status(home: Home, configuration: Configuration) -> ReportStatus:
    """Return whether the client reports, and how that went last.

    Raises:
        LocalError: What was noted cannot be read.
    """
    log = read_log(home.reports)
    return ReportStatus(
        to=configuration.reports_to,
        waiting=len(log.waiting),
        sent_at=log.sent.at if log.sent else None,
        answer=log.sent.answer if log.sent else "",
    )
