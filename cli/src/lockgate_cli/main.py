"""The command `lockgate`: its parts put together, and every ending given its exit code."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

import click

from lockgate_cli import __version__
from lockgate_cli.commands.approve import approve
from lockgate_cli.commands.attest import attest
from lockgate_cli.commands.audit import audit
from lockgate_cli.commands.channels import channels
from lockgate_cli.commands.completion import completion
from lockgate_cli.commands.deltas import deltas
from lockgate_cli.commands.explain import explain
from lockgate_cli.commands.init import init
from lockgate_cli.commands.keys import keys
from lockgate_cli.commands.mirror import mirror
from lockgate_cli.commands.pending import pending, withdraw
from lockgate_cli.commands.policy_origins import policy
from lockgate_cli.commands.promote import promote
from lockgate_cli.commands.publish import publish
from lockgate_cli.commands.releases import releases
from lockgate_cli.commands.renew import renew
from lockgate_cli.commands.revoke import revoke
from lockgate_cli.commands.rollout import rollout
from lockgate_cli.commands.rollout_test import test_rollouts
from lockgate_cli.commands.root_changes import root
from lockgate_cli.commands.sign import sign
from lockgate_cli.commands.simulate import simulate
from lockgate_cli.commands.status import status
from lockgate_cli.commands.stop import start, stop
from lockgate_cli.commands.unrevoke import unrevoke
from lockgate_cli.commands.upload import upload
from lockgate_cli.commands.verify import verify
from lockgate_cli.context import Surroundings, real_surroundings
from lockgate_cli.output import fail, say
from lockgate_cli.speaking import begin, show_usage_error
from lockgate_cli.voice import VOICE, Manner, speaking
from lockgate_release.ending import exit_code_of, heeding_signals, words_of
from lockgate_release.errors import ExitCode, LockgateError
from lockgate_release.log.cli_events import CLI_ENDED
from lockgate_release.log.telling import tell

__all__ = ["INTERRUPTED", "lockgate", "main", "run"]

INTERRUPTED = 130
"""What a command that somebody has interrupted exits with, as shells expect it."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lockgate")
@click.option("--debug", is_flag=True, help="Show where an unexpected error comes from.")
@click.option("-v", "--verbose", is_flag=True, help="Tell of each exchange with the server too.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors.")
@click.option(
    "--log-format", metavar="FORM", help="Words on stderr as text or json. [setting: log_format]"
)
@click.option(
    "--operation", metavar="ID", help="This run's id in logs and audit. [setting: operation]"
)
@click.pass_context
def lockgate(
    context: click.Context,
    /,
    *,
    debug: bool,
    verbose: bool,
    quiet: bool,
    log_format: str | None,
    operation: str | None,
) -> None:
    """Publish releases, watch them, and take them back.

    Settings come from options, then LOCKGATE_* in the environment, then lockgate.toml here.

    \b
    Exit codes: 0 done, 1 a bug, 2 say it differently, 20 refused by verification,
    21 network or server, 22 this machine, 23 not allowed, 24 somebody else moved first.
    """  # noqa: D301 (click's mark for lines that stay as they are)
    del debug
    around: Surroundings = context.obj
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    context.obj = begin(around, level, log_format, operation, str(context.invoked_subcommand))


for _command in (
    init,
    publish,
    upload,
    promote,
    approve,
    attest,
    policy,
    sign,
    pending,
    withdraw,
    releases,
    deltas,
    channels,
    rollout,
    stop,
    start,
    revoke,
    unrevoke,
    renew,
    keys,
    root,
    status,
    explain,
    simulate,
    audit,
    verify,
    mirror,
    completion,
):
    lockgate.add_command(_command)
rollout.add_command(test_rollouts)


def run(
    arguments: Sequence[str],
    around: Surroundings | None = None,
    command: click.Command = lockgate,
) -> int:
    """Run one command and return its exit code, whatever happens.

    Args:
        arguments: What was typed after the command's name.
        around: What the command finds around it; None: this process.
        command: The command.
    """
    around = around or real_surroundings()
    began_s = around.clock()
    with speaking(Manner()):
        code = _end(arguments, around, command)
        tell(VOICE, CLI_ENDED, exit_code=code, ms=int((around.clock() - began_s) * 1000))
    return code


def _end(arguments: Sequence[str], around: Surroundings, command: click.Command) -> int:
    try:
        code = command.main(
            args=list(arguments), prog_name="lockgate", standalone_mode=False, obj=around
        )
    except (click.Abort, KeyboardInterrupt) as exc:
        with suppress(OSError):  # The terminal may be what has gone.
            say(f"{words_of(exc)}; running it again goes on from here")
        return exit_code_of(exc)
    except click.ClickException as exc:
        show_usage_error(exc)
        return ExitCode.USAGE
    except LockgateError as exc:
        fail(str(exc), exc.code, exc.exit_code)
        return exc.exit_code
    except Exception as exc:  # noqa: BLE001 (the last line of defence: it names the bug)
        say(f"This is a bug in Lockgate: {type(exc).__name__}: {exc}")
        if "--debug" in arguments:
            say("".join(traceback.format_exception(exc)))
        else:
            say("Run it again as `lockgate --debug …` to see where it comes from.")
        return ExitCode.BUG
    # --help and --version end early and say so by a number; a command itself returns nothing.
    return code if isinstance(code, int) else ExitCode.OK


def main() -> None:
    """Run `lockgate` for the shell that called it."""
    try:
        with heeding_signals():
            code = run(sys.argv[1:])
    except KeyboardInterrupt as exc:  # Before or behind the command: nothing is to be said of it.
        code = exit_code_of(exc)
    sys.exit(code)
