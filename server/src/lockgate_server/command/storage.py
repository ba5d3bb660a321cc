"""`lockgate-server storage`: what holds of the object store, found out by looking."""

from __future__ import annotations

import click

from lockgate_server.command.storage_check import check
from lockgate_server.command.storage_refill import refill_command
from lockgate_server.command.storage_verify import verify

__all__ = ["storage"]


@click.group()
def storage() -> None:
    """Find out what a store can do and whether what lies in it is whole; fill a lost one."""


storage.add_command(check)
storage.add_command(verify)
storage.add_command(refill_command)
