"""What is said and shown: data on stdout, words on stderr.

Texts come from servers and documents too, so control characters are taken out of all of them: a
reason for a revocation cannot move a maintainer's cursor.

Words are events of `lockgate_release.log.cli_events`: sentences for people, or one JSON object a
line where the run was told so. What a flag or a setting says of that holds for one run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click

from lockgate_cli.voice import VOICE
from lockgate_release.errors import LockgateError
from lockgate_release.log.cli_events import CLI_FAILED, CLI_NOTE, CLI_WARNED
from lockgate_release.log.telling import tell
from lockgate_release.words import harmless

__all__ = [
    "fail",
    "format_size",
    "is_watched",
    "say",
    "say_again",
    "show",
    "show_json",
    "show_table",
    "warn",
]

_log = VOICE


def say(text: str = "") -> None:
    """Leave words for a person on stderr."""
    tell(_log, CLI_NOTE, text=text)


def warn(text: str) -> None:
    """Leave a warning for a person on stderr."""
    tell(_log, CLI_WARNED, text=text)


def fail(text: str, code: str = "", exit_code: int | None = None) -> None:
    """Leave the reason why a command ends in failure on stderr."""
    tell(_log, CLI_FAILED, text=text, code=code, exit_code=exit_code)


def show(text: str) -> None:
    """Leave data on stdout."""
    click.echo(harmless(text))


def show_json(value: object) -> None:
    """Leave data for a program on stdout."""
    click.echo(json.dumps(value, indent=2, sort_keys=True))


def show_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Leave rows below their heads on stdout, in columns as wide as they need to be."""
    cells = [list(heads), *[[harmless(cell).replace("\n", " ") for cell in row] for row in rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        pairs = zip(row, widths, strict=True)
        click.echo("  ".join(cell.ljust(width) for cell, width in pairs).rstrip())


def is_watched() -> bool:
    """Whether a person sits at a terminal and can both read and answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def format_size(size_bytes: float) -> str:
    """Return a size as people write it, such as `12.3 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def say_again(exc: LockgateError) -> None:
    """Say why the state is read again, without the error's advice: it is being followed."""
    reason = str(exc).removesuffix(exc.hint).rstrip(" .")
    say(f"{reason}. Reading the state again.")
