"""The verb that shows what leaves this machine: reports."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from lockgate_release.errors import ExitCode
from lockgate_release.instants import format_instant
from lockgate_release.reports import Report
from lockgate_release.strict_json import JsonObject, dump_json
from lockgate_updater.command.options import open_updater
from lockgate_updater.command.output import print_json, print_words
from lockgate_updater.outcomes import ReportStatus
from lockgate_updater.report.outbox import read_log, show_log
from lockgate_updater.state.home import Home

__all__ = ["reports", "reports_json", "reports_line"]


def reports(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print every report that waits, and those that were sent last. Asks nobody."""
    updater = open_updater(options, environ)
    log = read_log(Home.at(updater.home).reports)
    address = updater.configuration.reports_to
    if options.json:
        print_json({"to": address, **show_log(log)})
        return ExitCode.OK
    print_words(f"reports go to {address}" if address else "nothing is reported from here")
    if log.sent is not None:
        print_words(f"sent last, {format_instant(log.sent.at)}: {log.sent.answer}")
        _print_each(log.sent.reports)
    print_words(f"{len(log.waiting)} wait to be sent")
    _print_each(log.waiting)
    return ExitCode.OK


def _print_each(found: tuple[Report, ...]) -> None:
    for report in found:
        print_words(f"  {dump_json(report.to_json()).decode().strip()}")


def reports_line(status: ReportStatus) -> str:
    """Return whether it reports, and how that went last, for people."""
    if not status.to:
        return "reports: none are sent"
    last = "none was sent yet"
    if status.sent_at is not None:
        last = f"the last were sent {format_instant(status.sent_at)}: {status.answer}"
    return f"reports: to {status.to}; {status.waiting} wait; {last}"


def reports_json(status: ReportStatus) -> JsonObject:
    """Return the same as the object that `status --json` prints."""
    return {
        "to": status.to,
        "waiting": status.waiting,
        "sent_at": format_instant(status.sent_at) if status.sent_at else "",
        "answer": status.answer,
    }
