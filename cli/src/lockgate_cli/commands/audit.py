"""`lockgate audit`: who did what."""

from __future__ import annotations

import click

from lockgate_cli.answers import objects, table_of, text_of
from lockgate_cli.api import JsonDict
from lockgate_cli.context import Call, takes
from lockgate_cli.output import say, show_json, show_table

__all__ = ["audit"]

_MOST = 1000
"""How many entries the server lists at once."""


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=50, help="How many entries.")
@click.option("--operation", metavar="ID", help="Only what this run did, of the newest 1000.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "server")
def audit(call: Call, *, limit: int, operation: str | None, as_json: bool) -> None:
    """Show who changed what and why, newest first."""
    app = call.app
    with call.api() as api:
        answer = api.audit(app, limit if operation is None else _MOST)
    if operation is not None:
        found = [one for one in objects(answer, "entries") if one.get("operation_id") == operation]
        answer = {**answer, "entries": found[:limit]}
    if as_json:
        show_json(answer)
        return
    entries = objects(answer, "entries")
    if not entries:
        say(f"{app}: nothing has been done {f'by {operation}' if operation else 'yet'}")
        return
    rows = [
        [
            *(text_of(entry, name) for name in ("at", "actor", "action", "outcome")),
            str(entry.get("operation_id") or ""),
            _details(entry),
        ]
        for entry in entries
    ]
    show_table(("when", "who", "what", "outcome", "operation", "details"), rows)


def _details(entry: JsonDict) -> str:
    return ", ".join(f"{name} {value}" for name, value in table_of(entry, "details").items())
