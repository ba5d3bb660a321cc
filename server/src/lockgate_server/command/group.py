"""The command's group, and how errors end it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext, suppress

import click

from lockgate_release.ending import exit_code_of, heeding_signals, words_of
from lockgate_release.errors import ExitCode, LockgateError
from lockgate_release.log.masking import mask
from lockgate_server import __version__
from lockgate_server.command.audit import audit
from lockgate_server.command.backup import backup
from lockgate_server.command.common import say
from lockgate_server.command.completion import completion
from lockgate_server.command.env import env
from lockgate_server.command.gc import gc
from lockgate_server.command.key import key
from lockgate_server.command.rebuild import rebuild
from lockgate_server.command.restore import restore
from lockgate_server.command.revoke import revoke
from lockgate_server.command.run import run
from lockgate_server.command.status import status
from lockgate_server.command.storage import storage
from lockgate_server.command.token import token

__all__ = ["lockgate_server", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lockgate-server")
def lockgate_server() -> None:
    """Release software, and guard how fast it gets out.

    Settings come from options, then from LOCKGATE_DATA, LOCKGATE_STORAGE, LOCKGATE_LISTEN and
    LOCKGATE_API_LISTEN, then from the same names in lockgate.toml.
    """


for _command in (
    run,
    token,
    revoke,
    status,
    audit,
    gc,
    storage,
    rebuild,
    backup,
    restore,
    env,
    key,
    completion,
):
    lockgate_server.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit; the exit code is one of `ExitCode`."""
    sys.exit(_run(sys.argv[1:] if arguments is None else list(arguments)))


def _run(arguments: list[str]) -> int:
    # The server has its own way to end, with its children. All else puts away what it has begun.
    heeding = nullcontext() if arguments[:1] == [run.name] else heeding_signals()
    try:
        with heeding:
            lockgate_server.main(args=arguments, prog_name="lockgate-server", standalone_mode=False)
    except LockgateError as exc:
        say(f"lockgate-server: {mask(str(exc))}")
        return exc.exit_code
    except click.ClickException as exc:
        exc.show(sys.stderr)
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt) as exc:
        with suppress(OSError):  # The terminal may be what has gone.
            say(f"lockgate-server: {words_of(exc)}")
        return exit_code_of(exc)
    return ExitCode.OK
