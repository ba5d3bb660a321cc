"""The process: arguments in, exit code out, and every error as a sentence."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from importlib import import_module
from typing import TYPE_CHECKING

from lockgate_release.errors import ExitCode, LockgateError
from lockgate_updater.command.parser import VERBS, parse_arguments

if TYPE_CHECKING:
    import argparse

__all__ = ["main"]

_END_BY_THEMSELVES = frozenset({"check", "completion", "run", "watch"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says, and return the exit code.

    Args:
        arguments: Verb and options; None takes this process's own, and takes the process over.
    """
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    try:
        with _ending_well(options.verb):
            return int(_do(options, os.environ, owns_process=arguments is None))
    except LockgateError as exc:
        return _explain_failure(options, exc)
    except KeyboardInterrupt as exc:
        return _explain_ending(exc)


def _ending_well(verb: str) -> AbstractContextManager[None]:
    """Let systemd end a verb as Ctrl-C does; some leave nothing behind, or heed signals."""
    if verb in _END_BY_THEMSELVES:
        return nullcontext()
    from lockgate_release.ending import heeding_signals  # noqa: PLC0415 (a check has none)

    return heeding_signals()


def _do(options: argparse.Namespace, environ: Mapping[str, str], *, owns_process: bool) -> int:
    """Import what the verb needs, and no more; then do it."""
    # All that imports make stays: looking for garbage in it would be a tenth of a cold check.
    gc.disable()
    try:
        module = f"lockgate_updater.command.{VERBS[options.verb].module}"
        do = getattr(import_module(module), options.verb.replace("-", "_"))
        if owns_process:
            gc.freeze()
    finally:
        gc.enable()
    return int(do(options, environ))


def _explain_ending(ending: KeyboardInterrupt) -> int:
    from lockgate_release.ending import exit_code_of, words_of  # noqa: PLC0415 (as above)

    with suppress(OSError):  # The terminal may be what has gone.
        sys.stderr.write(
            f"\nlockgate-updater: {words_of(ending)}; the next update goes on from here\n"
        )
    return exit_code_of(ending)


def _explain_failure(options: argparse.Namespace, error: LockgateError) -> int:
    from lockgate_updater.command.output import (  # noqa: PLC0415 (only when something failed)
        error_json,
        print_json,
        print_words,
    )

    if getattr(options, "events", False):
        print_json({"event": "result", **error_json(error)})
    elif getattr(options, "json", False):
        print_json(error_json(error))
    print_words(f"lockgate-updater: {error}")
    return int(ExitCode.LAUNCHER if options.verb == "run" else error.exit_code)
