"""Options that several commands share, and how they are read."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from lockgate_release.errors import UsageError
from lockgate_release.log.ids import choose_operation
from lockgate_release.settings import Settings, load_settings
from lockgate_release.strict_json import JsonObject
from lockgate_release.words import harmless
from lockgate_server.backing import read_backing
from lockgate_server.patience import read_patience
from lockgate_server.reporting import read_reporting
from lockgate_server.services.write.deps import Caller
from lockgate_server.serving import read_serving
from lockgate_server.settings import (
    ServerSettings,
    parse_daily,
    parse_grace,
    parse_start_needs,
    parse_upload_route,
)

__all__ = [
    "Invocation",
    "data_option",
    "data_options",
    "json_option",
    "local_caller",
    "print_json",
    "say",
    "show",
]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """From where a command was called.

    Attributes:
        environ: The environment.
        folder: The working folder.
    """

    environ: Mapping[str, str]
    folder: Path

    @classmethod
    def here(cls) -> Invocation:
        """Return where this process was called."""
        return cls(environ=dict(os.environ), folder=Path.cwd())

    def settings(self) -> Settings:
        """Return what the environment and `lockgate.toml` say.

        Raises:
            UsageError: The file is not TOML.
            LocalError: The file cannot be read.
        """
        return load_settings(self.folder, self.environ)

    def server(self, data: str | None, storage: str | None = None) -> ServerSettings:
        """Return where the server keeps things.

        Raises:
            UsageError: No data folder is said anywhere, or a setting makes no sense.
            LocalError: The settings file cannot be read.
        """
        settings = self.settings()
        return ServerSettings(
            data=Path(settings.need("data", data)),
            storage=settings.get("storage", storage) or "",
            uploads=parse_upload_route(settings.get("uploads")),
            gc_daily=parse_daily(settings.get("gc")),
            gc_grace=parse_grace(settings.get("gc_grace")),
            start_needs=parse_start_needs(settings.get("start_needs")),
            serving=read_serving(settings.get),
            reporting=read_reporting(settings.get),
            backing=read_backing(settings.get),
            patience=read_patience(settings.get),
        )

    def existing_server(self, data: str | None, storage: str | None = None) -> ServerSettings:
        """Return where a server has kept things before; nothing is made by looking.

        Raises:
            UsageError: No data folder is said anywhere, or no server ever used it.
            LocalError: The settings file cannot be read.
        """
        settings = self.server(data, storage)
        if not settings.ledger_path.exists():
            raise UsageError(
                "no server's folder", subject=str(settings.data), expected="a ledger.sqlite3 in it"
            )
        return settings


def data_option(command: F) -> F:
    """Add `--data`."""
    return click.option("--data", metavar="DIR", help="The server's folder.")(command)


def data_options(command: F) -> F:
    """Add `--data` and `--storage`."""
    storage = click.option(
        "--storage",
        metavar="URL",
        help="Where the files are: a folder, or s3://BUCKET/PREFIX. Default: DIR/objects.",
    )
    return data_option(storage(command))


def json_option(command: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")(command)


def print_json(value: JsonObject) -> None:
    """Print a value on stdout, for programs."""
    click.echo(json.dumps(value, sort_keys=True))


def say(text: str) -> None:
    """Print words on stderr, for people; what a store or a document says cannot move a cursor."""
    click.echo(harmless(text), err=True)


def show(text: str) -> None:
    """Print words on stdout, for people, as harmless."""
    click.echo(harmless(text))


def local_caller(environ: Mapping[str, str]) -> Caller:
    """Return who types this command, as the audit log names them, and the run it belongs to.

    Raises:
        UsageError: `LOCKGATE_OPERATION` can be no id.
    """
    name = environ.get("SUDO_USER") or getpass.getuser()
    operation = choose_operation(environ.get("LOCKGATE_OPERATION"), lambda: "")
    return Caller(actor=f"{name} (on the server)", operation_id=operation)
