"""The verb that stays: watch."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from lockgate_release.errors import ExitCode
from lockgate_updater.command.events import observing, round_json
from lockgate_updater.command.options import open_updater
from lockgate_updater.command.output import print_json, print_words
from lockgate_updater.outcomes import Outcome, UpdateResult
from lockgate_updater.results import Unknown
from lockgate_updater.watch.loop import Round, Watch

__all__ = ["watch"]


def watch(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Keep the client up to date until a signal ends it."""
    updater = open_updater(options, environ)

    def tell(found: Round) -> None:
        if options.json or options.events:
            print_json(round_json(found))
        print_words(str(found))

    with (
        observing(options) as observe,
        updater.watch(progress=observe, check_only=options.check_only) as loop,
        _heeding(loop),
    ):
        if not options.once:
            print_words(f"watches {updater.home}; SIGHUP looks at once, SIGTERM ends")
            loop.run(tell)
            return ExitCode.OK
        found = loop.once()
        if found is not None:
            tell(found)
    return _exit_code(found)


def _exit_code(found: Round | None) -> ExitCode:
    result = found.result if found else None
    if isinstance(result, Unknown):
        return result.error.exit_code
    rolled_back = isinstance(result, UpdateResult) and result.outcome is Outcome.ROLLED_BACK
    return ExitCode.ROLLED_BACK if rolled_back else ExitCode.OK


@contextmanager
def _heeding(loop: Watch) -> Iterator[None]:
    """Let signals end the loop, or have it look at once, for the length of the block."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        loop.stop()

    def look(_number: int, _frame: FrameType | None) -> None:
        loop.check_now()

    handlers = {
        signal.SIGTERM: stop,
        signal.SIGINT: stop,
        signal.SIGHUP: look,
        signal.SIGUSR1: look,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
