"""The verbs: options in, one call, an exit code out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from lockgate_release.decision import Held, Leave, Offer, UpToDate
from lockgate_release.errors import ExitCode, LocalError, UsageError
from lockgate_release.settings import Settings
from lockgate_updater.command.output import Narrator, print_json, print_words, result_json
from lockgate_updater.results import CheckResult, Outcome, Status, Unknown, UpdateResult
from lockgate_updater.updater import Updater

__all__ = ["VERBS"]

_FLAGS = ("repository", "channel", "ca", "pin")


def _home(options: argparse.Namespace, environ: Mapping[str, str]) -> Path:
    home = options.home or environ.get("LOCKGATE_HOME")
    if not home:
        raise UsageError("no home", hint="Say --home DIR, or set LOCKGATE_HOME.")
    return Path(home)


def _open(options: argparse.Namespace, environ: Mapping[str, str]) -> Updater:
    flags = {name: getattr(options, name, None) for name in _FLAGS}
    return Updater.open(_home(options, environ), flags=flags, environ=environ)


def _init(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    from lockgate_updater.home import init  # noqa: PLC0415 (once in the life of a client)

    settings = Settings(environ=environ)
    home = _home(options, environ)
    app = settings.need("app", options.app)
    channel = settings.get("channel", options.channel) or "stable"
    anchor = Path(settings.need("root", options.root))
    try:
        root = anchor.read_bytes()
    except OSError as exc:
        raise LocalError("cannot be read", subject=str(anchor), found=exc.strerror or "") from exc
    repository = settings.need("repository", options.repository)
    init(
        home,
        app=app,
        repository=repository,
        channel=channel,
        root=root,
        client_id=options.client_id,
    )
    if options.json:
        print_json({"home": str(home.absolute()), "app": app, "channel": channel})
    print_words(f"{home}: follows {channel} of {app}. Next: lockgate-updater update --home {home}")
    return ExitCode.OK


def _check(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    result = _open(options, environ).check(force=options.force)
    _show(options, result)
    print_words(_check_words(result))
    return _check_code(result)


def _check_code(result: CheckResult) -> ExitCode:
    match result:
        case Offer() | Leave():
            return ExitCode.OFFER
        case UpToDate():
            return ExitCode.OK
        case Held():
            return ExitCode.HELD
        case Unknown():
            return ExitCode.UNKNOWN


def _check_words(result: CheckResult) -> str:
    match result:
        case Offer():
            return f"offer: {result.reason}, {result.artifact.size} bytes"
        case Leave():
            where = result.target.version if result.target else "the last good version"
            return f"leave: {result.reason}; to {where}"
        case UpToDate():
            return f"up to date: {result.reason}"
        case Held():
            return f"held: {result.reason}"
        case Unknown():
            return f"unknown: {result.reason}"


def _update(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    narrator = Narrator(sys.stderr)
    updater = _open(options, environ)
    try:
        result = updater.update(progress=narrator, force=options.force, dry_run=options.dry_run)
    finally:
        narrator.end_line()
    _show(options, result)
    print_words(str(result))
    return _update_code(result)


def _update_code(result: UpdateResult) -> ExitCode:
    rolled_back = result.outcome is Outcome.ROLLED_BACK
    return ExitCode.ROLLED_BACK if rolled_back else ExitCode.OK


def _status(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    status = _open(options, environ).status()
    _show(options, status)
    if not options.json:
        for line in _status_lines(status):
            print_words(line)
    return ExitCode.OK


def _status_lines(status: Status) -> list[str]:
    lines = [
        f"{status.app}, channel {status.channel}, from {status.repository}",
        f"installed: {status.installed or 'nothing'}; state: {status.state}",
    ]
    if status.on_trial:
        lines.append(f"on trial: {status.on_trial}, {status.tries_left} tries left")
    lines.append(f"good versions on the disk: {', '.join(status.good) or 'none'}")
    if status.floor:
        lines.append(f"floor: {status.floor}")
    if status.revoked:
        lines.append(f"revoked: {', '.join(status.revoked)}")
    lines += [
        f"quarantined until {item.until:%Y-%m-%dT%H:%M:%SZ}: {item.version}, failed "
        f"{item.failures} times: {item.reason}"
        for item in status.quarantine
    ]
    return lines


def _confirm(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    result = _open(options, environ).confirm()
    _show(options, result)
    print_words(str(result))
    return ExitCode.OK


def _rollback(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    narrator = Narrator(sys.stderr)
    result = _open(options, environ).rollback(progress=narrator)
    _show(options, result)
    print_words(str(result))
    return ExitCode.OK


def _explain(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    explanation = _open(options, environ).explain(force=options.force)
    if options.json:
        print_json(
            {
                "sections": [
                    {"title": section.title, "lines": list(section.lines)}
                    for section in explanation.sections
                ],
                "result": result_json(explanation.result),
            }
        )
        return ExitCode.OK
    for section in explanation.sections:
        print_words(section.title)
        for line in section.lines:
            print_words(f"  {line}")
    print_words(_check_words(explanation.result))
    return ExitCode.OK


def _verify(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    version = _open(options, environ).verify()
    if options.json:
        print_json({"result": "verified", "version": version})
    print_words(f"{version} is exactly the tree that was signed")
    return ExitCode.OK


def _run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    return _open(options, environ).run(
        options.arguments, program=options.program, progress=Narrator(sys.stderr)
    )


def _show(options: argparse.Namespace, result: CheckResult | UpdateResult | Status) -> None:
    if options.json:
        print_json(result_json(result))


VERBS = {
    "init": _init,
    "check": _check,
    "update": _update,
    "status": _status,
    "confirm": _confirm,
    "rollback": _rollback,
    "explain": _explain,
    "verify": _verify,
    "run": _run,
}
"""Each verb, from its options and the environment to an exit code."""
