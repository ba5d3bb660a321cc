"""The command `lockgate`: its parts put together, and every ending given its exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import click

from lockgate_cli import __version__
from lockgate_cli.commands.audit import audit
from lockgate_cli.commands.channels import channels
from lockgate_cli.commands.completion import completion
from lockgate_cli.commands.explain import explain
from lockgate_cli.commands.init import init
from lockgate_cli.commands.mirror import mirror
from lockgate_cli.commands.promote import promote
from lockgate_cli.commands.publish import publish
from lockgate_cli.commands.releases import releases
from lockgate_cli.commands.renew import renew
from lockgate_cli.commands.revoke import revoke
from lockgate_cli.commands.rollout import rollout
from lockgate_cli.commands.rollout_test import test_rollouts
from lockgate_cli.commands.simulate import simulate
from lockgate_cli.commands.status import status
from lockgate_cli.commands.stop import start, stop
from lockgate_cli.commands.unrevoke import unrevoke
from lockgate_cli.commands.upload import upload
from lockgate_cli.context import Surroundings, real_surroundings
from lockgate_cli.output import fail, say
from lockgate_release.errors import ExitCode, LockgateError

__all__ = ["INTERRUPTED", "lockgate", "main", "run"]

INTERRUPTED = 130
"""What a command that somebody has interrupted exits with, as shells expect it."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lockgate")
@click.option("--debug", is_flag=True, help="Show where an unexpected error comes from.")
def lockgate(*, debug: bool) -> None:
    """Publish releases, watch them, and take them back.

    Settings come from options, then LOCKGATE_* in the environment, then lockgate.toml here.

    \b
    Exit codes: 0 done, 1 a bug, 2 say it differently, 20 refused by verification,
    21 network or server, 22 this machine, 23 not allowed, 24 somebody else moved first.
    """  # noqa: D301 (click's mark for lines that stay as they are)


for _command in (
    init,
    publish,
    upload,
    promote,
    releases,
    channels,
    rollout,
    stop,
    start,
    revoke,
    unrevoke,
    renew,
    status,
    explain,
    simulate,
    audit,
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
    try:
        code = command.main(
            args=list(arguments),
            prog_name="lockgate",
            standalone_mode=False,
            obj=around or real_surroundings(),
        )
    except (click.Abort, KeyboardInterrupt):
        say("interrupted; running it again goes on from here")
        return INTERRUPTED
    except click.ClickException as exc:
        exc.show()
        return ExitCode.USAGE
    except LockgateError as exc:
        fail(str(exc))
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
    sys.exit(run(sys.argv[1:]))
