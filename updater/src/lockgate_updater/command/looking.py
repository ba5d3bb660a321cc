"""The verbs that look: check, explain and notes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from lockgate_release.decision import Held, Leave, Offer, UpToDate
from lockgate_release.errors import ExitCode
from lockgate_updater.command.options import open_updater
from lockgate_updater.command.output import check_json, print_json, print_text, print_words
from lockgate_updater.results import CheckResult, Unknown

__all__ = ["check", "explain", "notes"]


def check(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Say what an update would do, and exit by it."""
    result = open_updater(options, environ).check(force=options.force)
    if options.json:
        print_json(check_json(result))
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
            return f"offer: {result.reason}, {result.artifact.size} bytes as an archive"
        case Leave():
            where = result.target.version if result.target else "the last good version"
            return f"leave: {result.reason}; to {where}"
        case UpToDate():
            return f"up to date: {result.reason}"
        case Held():
            return f"held: {result.reason}"
        case Unknown():
            return f"unknown: {result.reason}"


def explain(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print the whole chain of reasoning."""
    explanation = open_updater(options, environ).explain(force=options.force)
    if options.json:
        print_json(
            {
                "sections": [
                    {"title": section.title, "lines": list(section.lines)}
                    for section in explanation.sections
                ],
                "result": check_json(explanation.result),
            }
        )
        return ExitCode.OK
    for section in explanation.sections:
        print_words(section.title)
        for line in section.lines:
            print_words(f"  {line}")
    print_words(_check_words(explanation.result))
    return ExitCode.OK


def notes(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print what a release brings."""
    found = open_updater(options, environ).notes(version=options.release, force=options.force)
    if options.json:
        print_json({"result": "notes", "version": found.version, "notes": found.text})
        return ExitCode.OK
    if found.text:
        print_text(found.text)
    else:
        print_words(f"{found.version} has no notes")
    return ExitCode.OK
