"""A change that somebody asks for is put into a ceremony file, and they are told what it does."""

from __future__ import annotations

from pathlib import Path

from lockgate_cli.ceremonies.changing import Change, begin_or_extend
from lockgate_cli.ceremonies.showing import describe, say_next, show_ceremony
from lockgate_cli.context import Call
from lockgate_cli.output import say, show_json
from lockgate_cli.repository import FileReader
from lockgate_release.names import AppName

__all__ = ["put_into", "show_nothing"]

_NOT_WRITTEN = "Nothing was written: this was --dry-run."


def put_into(
    call: Call, source: FileReader, file: Path, change: Change, *, dry_run: bool, as_json: bool
) -> None:
    """Leave a change in the ceremony file, and say what it changes and who signs next.

    Raises:
        LockgateError: As `begin_or_extend`.
    """
    path = call.around.folder / file
    found = begin_or_extend(call, source, path, change, dry_run=dry_run)
    if found is None:
        goes = "would go" if dry_run else "is gone"
        say(f"With this, {file} changes nothing any more: nobody has to sign it, and it {goes}.")
        if dry_run:
            say(_NOT_WRITTEN)
        show_nothing(call.app, as_json=as_json)
        return
    examined, state, extended = found
    show_ceremony(examined, state)
    if dry_run:
        say(_NOT_WRITTEN)
    else:
        say(f"{'Taken into' if extended else 'Wrote'} {file}. Nobody has put it in force yet.")
        say_next(examined, str(file))
    if as_json:
        show_json(describe(examined, state))


def show_nothing(app: AppName, *, as_json: bool) -> None:
    """Print for programs, if they ask, that there is nothing to sign."""
    if as_json:
        show_json({"app": app, "parts": [], "changes": []})
