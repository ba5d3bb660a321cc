"""The verbs that act, or tell what stands here."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from lockgate_release.errors import ExitCode, LocalError
from lockgate_release.instants import format_instant
from lockgate_release.settings import Settings
from lockgate_release.strict_json import JsonObject
from lockgate_updater.command.events import (
    health_json,
    health_lines,
    observing,
    result_json,
    show_result,
)
from lockgate_updater.command.narrator import Narrator
from lockgate_updater.command.options import home_of, open_updater
from lockgate_updater.command.output import print_json, print_words
from lockgate_updater.command.reporting import reports_json, reports_line
from lockgate_updater.outcomes import Outcome, Status, UpdateResult
from lockgate_updater.state.creation import init as make_home

__all__ = ["confirm", "init", "rollback", "run", "status", "update"]


def init(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Make a home for a client."""
    settings = Settings(environ=environ)
    home = home_of(options, environ)
    app = settings.need("app", options.app)
    channel = settings.get("channel", options.channel) or "stable"
    anchor = Path(settings.need("root", options.root))
    try:
        root = anchor.read_bytes()
    except OSError as exc:
        raise LocalError("cannot be read", subject=str(anchor), found=exc.strerror or "") from exc
    repository = settings.need("repository", options.repository)
    make_home(
        home,
        app=app,
        repository=repository,
        channel=channel,
        root=root,
        client_id=options.client_id,
        reports=options.reports or settings.switch("reports"),
    )
    if options.json:
        print_json({"home": str(home.absolute()), "app": app, "channel": channel})
    print_words(f"{home}: follows {channel} of {app}. Next: lockgate-updater update --home {home}")
    return ExitCode.OK


def update(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Do what the repository says, and tell it."""
    updater = open_updater(options, environ)
    with observing(options) as observe:
        result = updater.update(progress=observe, force=options.force, dry_run=options.dry_run)
    show_result(options, result_json(result))
    print_words(str(result))
    return _update_code(result)


def _update_code(result: UpdateResult) -> ExitCode:
    rolled_back = result.outcome is Outcome.ROLLED_BACK
    return ExitCode.ROLLED_BACK if rolled_back else ExitCode.OK


def status(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Tell what stands on this machine."""
    found = open_updater(options, environ).status()
    if options.json:
        print_json(_status_json(found))
    else:
        for line in _status_lines(found):
            print_words(line)
    return ExitCode.OK


def _status_lines(status: Status) -> list[str]:
    lines = [
        f"{status.app}, channel {status.channel}, from {status.repository}",
        f"installed: {status.installed or 'nothing'}; state: {status.state}",
        *health_lines(status.health),
    ]
    if status.on_trial:
        lines.append(f"on trial: {status.on_trial}, {status.tries_left} tries left")
    lines.append(f"good versions on the disk: {', '.join(status.good) or 'none'}")
    lines.append(f"updater: {status.updater}")
    lines.append(reports_line(status.reports))
    if status.floor:
        lines.append(f"floor: {status.floor}")
    if status.revoked:
        lines.append(f"revoked: {', '.join(status.revoked)}")
    lines += [
        f"quarantined until {format_instant(item.until)}: {item.version}, failed "
        f"{item.failures} times: {item.reason}"
        for item in status.quarantine
    ]
    return lines


def confirm(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Commit the release on trial."""
    result = open_updater(options, environ).confirm()
    show_result(options, result_json(result))
    print_words(str(result))
    return ExitCode.OK


def rollback(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Go back to the last good version."""
    with observing(options) as observe:
        result = open_updater(options, environ).rollback(progress=observe)
    show_result(options, result_json(result))
    print_words(str(result))
    return ExitCode.OK


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Start the installed program, and end as it does."""
    return open_updater(options, environ).run(
        options.arguments, program=options.program, progress=Narrator(sys.stderr)
    )


def _status_json(status: Status) -> JsonObject:
    return {
        "app": status.app,
        "channel": status.channel,
        "repository": status.repository,
        "state": status.state,
        "installed": status.installed,
        "on_trial": status.on_trial,
        "tries_left": status.tries_left,
        "runs": status.runs,
        "updater": status.updater,
        "good": list(status.good),
        "quarantine": [
            {
                "version": item.version,
                "failures": item.failures,
                "until": format_instant(item.until),
                "reason": item.reason,
            }
            for item in status.quarantine
        ],
        "revoked": list(status.revoked),
        "floor": status.floor,
        "health": health_json(status.health),
        "reports": reports_json(status.reports),
    }
