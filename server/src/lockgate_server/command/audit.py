"""`lockgate-server audit`: whether the log of what people did is as it was written."""

from __future__ import annotations

import sys

import click

from lockgate_release.errors import ExitCode
from lockgate_server.assembly import open_ledger
from lockgate_server.command.common import Invocation, data_option, json_option, print_json, say

__all__ = ["audit"]


@click.group()
def audit() -> None:
    """Look after the audit log."""


@audit.command()
@data_option
@json_option
def verify(data: str | None, *, as_json: bool) -> None:
    """Compute every link of the audit log again.

    It finds an entry or an outcome that was changed, moved or taken out, and then ends with 20. It
    cannot find that the newest ones were cut off: keep the printed digest elsewhere, and compare.
    """
    with open_ledger(Invocation.here().existing_server(data)) as ledger:
        broken = ledger.verify_audit()
        newest = next(iter(ledger.audit(None, limit=1)), None) if broken is None else None
    number, digest = (newest.number, newest.chain_sha256) if newest else (0, "")
    if as_json:
        print_json({"audit_broken_at": broken, "entries": number, "chain_sha256": digest})
    elif broken is None:
        click.echo(f"{number} entries as they were written, up to {digest or 'none'}")
    if broken is not None:
        say(f"the audit log was changed at entry {broken}")
        sys.exit(ExitCode.REFUSED)
