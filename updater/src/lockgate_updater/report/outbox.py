"""`state/reports.json`: what was reported, and what waits to be. Reads and writes that file.

It holds what is sent and nothing else of this client: neither its id nor anything made of it.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from lockgate_release.errors import DocumentError, LocalError
from lockgate_release.instants import format_instant, parse_instant
from lockgate_release.reports import Enrolled, Failure, read_report
from lockgate_release.strict_json import Fields, Json, JsonObject, dump_json, parse_json
from lockgate_updater.report.log import MAX_KEPT, Enrolment, Log, Sent
from lockgate_updater.state.durable import read_own_file, set_aside, write_durably

__all__ = ["load_log", "read_log", "show_log", "store_log"]

FORMAT = 1
_MAX_BYTES = 1 << 20


def load_log(path: Path) -> Log:
    """Return the log, an empty one if there is none yet; a damaged one is set aside.

    Raises:
        LocalError: It cannot be read, or a newer updater wrote it.
    """
    try:
        return _parse(path)
    except (DocumentError, ValueError):
        set_aside(path)
        return Log()


def read_log(path: Path) -> Log:
    """Return the log, or an empty one where there is none or a damaged one. Changes nothing.

    Raises:
        LocalError: It cannot be read, or a newer updater wrote it.
    """
    try:
        return _parse(path)
    except (DocumentError, ValueError):
        return Log()


def store_log(path: Path, log: Log) -> None:
    """Leave the log on the disk.

    Raises:
        LocalError: It cannot be written.
    """
    enrolments: list[Json] = [
        {
            "report": item.report.to_json(),
            "is_told": item.is_told,
            "failure": item.failure.value,
        }
        for item in log.enrolments
    ]
    write_durably(path, dump_json({"format": FORMAT, "enrolments": enrolments, **show_log(log)}))


def show_log(log: Log) -> dict[str, Json]:
    """Return what a person may want to see of it: every byte that waits, or was sent last."""
    sent = log.sent
    return {
        "waiting": [report.to_json() for report in log.waiting],
        "active_on": log.active_on.isoformat() if log.active_on else "",
        "not_before": format_instant(log.not_before) if log.not_before else "",
        "sent": None if sent is None else _dump_sent(sent),
    }


def _dump_sent(sent: Sent) -> JsonObject:
    return {
        "at": format_instant(sent.at),
        "answer": sent.answer,
        "reports": [report.to_json() for report in sent.reports],
    }


def _parse(path: Path) -> Log:
    data = read_own_file(path, limit_bytes=_MAX_BYTES)
    if data is None:
        return Log()
    fields = parse_json(data, subject=str(path))
    found = fields.integer("format", minimum=1)
    if found > FORMAT:
        raise LocalError(
            "written by a newer updater",
            subject=str(path),
            expected=f"format {FORMAT}",
            found=f"format {found}",
        )
    return Log(
        enrolments=tuple(
            _parse_enrolment(item) for item in fields.objects("enrolments", most=MAX_KEPT)
        ),
        waiting=tuple(read_report(item) for item in fields.objects("waiting", most=MAX_KEPT)),
        active_on=_parse_day(fields, "active_on"),
        not_before=fields.instant("not_before") if fields.text("not_before") else None,
        sent=_parse_sent(fields.object("sent")) if fields.has("sent") else None,
    )


def _parse_enrolment(fields: Fields) -> Enrolment:
    report = read_report(fields.object("report"))
    if not isinstance(report, Enrolled):
        fields.fail("report", "not an enrolment")
    return Enrolment(
        report=report,
        is_told=fields.boolean("is_told"),
        failure=fields.choice("failure", Failure),
    )


def _parse_sent(fields: Fields) -> Sent:
    return Sent(
        at=fields.instant("at"),
        answer=fields.text("answer"),
        reports=tuple(read_report(item) for item in fields.objects("reports", most=MAX_KEPT)),
    )


def _parse_day(fields: Fields, name: str) -> date | None:
    text = fields.text(name)
    return parse_instant(f"{text}T00:00:00Z").date() if text else None
