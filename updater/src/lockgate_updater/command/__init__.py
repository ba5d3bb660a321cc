"""`lockgate-updater`: the client on the command line."""

from lockgate_updater.command.main import main

__all__ = ["main"]
