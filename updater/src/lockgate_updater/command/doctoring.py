"""The verb that looks at everything: doctor."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from lockgate_release.errors import ExitCode
from lockgate_release.instants import utc_now
from lockgate_updater.command.options import home_of
from lockgate_updater.command.output import print_json, print_words
from lockgate_updater.diagnose.doctor import Level, Patient, examine
from lockgate_updater.fetch.transport import Transport, open_transport
from lockgate_updater.state.configuration import Configuration
from lockgate_updater.state.home import Home

__all__ = ["doctor"]


def doctor(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Tell what every check finds; a problem is a local error."""

    def connect(configuration: Configuration) -> Transport:
        return open_transport(
            configuration.sources, environ, configuration.ca, configuration.network
        )

    patient = Patient(
        home=Home.at(home_of(options, environ)),
        environ=environ,
        flags={name: getattr(options, name) for name in ("repository", "channel", "ca", "pin")},
        now=utc_now(),
        deep=options.deep,
        connect=connect,
    )
    findings = []
    for finding in examine(patient):
        findings.append(finding)
        print_words(str(finding))
    is_ill = any(finding.level is Level.PROBLEM for finding in findings)
    if options.json:
        print_json(
            {
                "result": "problem" if is_ill else "ok",
                "checks": [
                    {"check": item.check, "level": item.level.value, "text": item.text}
                    for item in findings
                ],
            }
        )
    return ExitCode.LOCAL if is_ill else ExitCode.OK
