"""The beginning of a run: what it is called, and how it speaks."""

from __future__ import annotations

from dataclasses import replace

import click

from lockgate_cli import __version__
from lockgate_cli.context import Surroundings
from lockgate_cli.output import fail
from lockgate_cli.voice import VOICE, Manner, is_json, speak
from lockgate_release.errors import ExitCode
from lockgate_release.log.cli_events import CLI_STARTED
from lockgate_release.log.ids import choose_operation
from lockgate_release.log.rules import read_log_rules
from lockgate_release.log.telling import tell
from lockgate_release.settings import load_settings

__all__ = ["begin", "show_usage_error"]


def begin(
    around: Surroundings, level: int, log_format: str | None, operation: str | None, command: str
) -> Surroundings:
    """Speak as this run was told to, and return its surroundings with its id.

    Args:
        around: What the command finds around it.
        level: From which level on it speaks, as `logging` has it.
        log_format: What the flag says, if it says anything.
        operation: The same.
        command: What was typed, without its options.

    Raises:
        UsageError: There is no such form, or the id can be none, or the settings are no TOML.
        LocalError: The settings cannot be read.
    """
    settings = load_settings(around.folder, around.environ)
    said = {"log_format": settings.get("log_format", log_format)}
    rules = read_log_rules(said.get)
    chosen = choose_operation(settings.get("operation", operation), around.new_id)
    speak(Manner(form=rules.form, level=level, operation=chosen))
    tell(VOICE, CLI_STARTED, command=command, version=__version__)
    return replace(around, operation=chosen)


def show_usage_error(error: click.ClickException) -> None:
    """Say what was typed wrongly, with the usage where a person reads it."""
    if is_json():
        fail(error.format_message(), "usage", ExitCode.USAGE)
    else:
        error.show()
