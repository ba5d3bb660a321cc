"""The verb by which the updater updates itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from lockgate_release.errors import ExitCode
from lockgate_updater.command.narrator import Narrator
from lockgate_updater.command.options import open_updater
from lockgate_updater.command.output import print_json, print_words
from lockgate_updater.outcomes import Outcome

__all__ = ["self_update"]


def self_update(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Bring the updater itself to what its repository says."""
    narrator = Narrator(sys.stderr)
    updater = open_updater(options, environ)
    try:
        result = updater.update_itself(progress=narrator, force=options.force)
    finally:
        narrator.end_line()
    if options.json:
        print_json(
            {
                "outcome": result.outcome.value,
                "version": result.version,
                "previous": result.previous,
                "reason": result.reason,
            }
        )
    print_words(str(result))
    rolled_back = result.outcome is Outcome.ROLLED_BACK
    return ExitCode.ROLLED_BACK if rolled_back else ExitCode.OK
