"""`lockgate-server completion`: what a shell needs to complete this command."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash:  eval "$(lockgate-server completion bash)"
    zsh:   eval "$(lockgate-server completion zsh)"
    fish:  lockgate-server completion fish | source
    """  # noqa: D301 (click's mark for lines that stay as they are)
    kind = get_completion_class(shell)
    assert kind is not None, "click knows the three shells that the argument allows"
    root = context.find_root().command
    click.echo(kind(root, {}, "lockgate-server", "_LOCKGATE_SERVER_COMPLETE").source())
