"""The process: arguments in, exit code out, and every error as a sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from lockgate_release.errors import ExitCode, LockgateError
from lockgate_updater.command.parser import build_parser

__all__ = ["main"]

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says, and return the exit code."""
    options = build_parser().parse_args(arguments)
    # `--help` and `--version` do not pay for cryptography.
    from lockgate_updater.command.output import error_json, print_json, print_words  # noqa: PLC0415
    from lockgate_updater.command.verbs import VERBS  # noqa: PLC0415

    try:
        return int(VERBS[options.verb](options, os.environ))
    except LockgateError as exc:
        if getattr(options, "json", False):
            print_json(error_json(exc))
        print_words(f"lockgate-updater: {exc}")
        return int(ExitCode.LAUNCHER if options.verb == "run" else exc.exit_code)
    except KeyboardInterrupt:
        print_words("lockgate-updater: interrupted; the next update goes on where this one was")
        return _INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return int(ExitCode.LOCAL)
