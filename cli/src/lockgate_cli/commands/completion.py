"""`lockgate completion`: what a shell needs to complete this command."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from lockgate_cli.output import show

__all__ = ["completion"]

_VARIABLE = "_LOCKGATE_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash:  eval "$(lockgate completion bash)"
    zsh:   eval "$(lockgate completion zsh)"
    fish:  lockgate completion fish | source
    """  # noqa: D301 (click's mark for lines that stay as they are)
    kind = get_completion_class(shell)
    assert kind is not None, "click knows the three shells that the argument allows"
    root = context.find_root()
    show(kind(root.command, {}, "lockgate", _VARIABLE).source())
