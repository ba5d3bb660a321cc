"""What every command has at hand: its surroundings, its settings, and how to reach the server."""

from __future__ import annotations

import functools
import os
import random
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import click
from tuf.api.metadata import Root

from lockgate_cli.api import Api, find_api
from lockgate_cli.fields import DEFAULT_PARALLEL, parse_field, parse_parallel
from lockgate_cli.http import Http
from lockgate_cli.output import is_watched
from lockgate_cli.progress import Progress
from lockgate_cli.uploading.journal import uploads_folder
from lockgate_cli.uploading.sending import Rules
from lockgate_cli.uploading.session import Uploads, open_uploads
from lockgate_cli.waits import WaitRules
from lockgate_release.errors import LocalError, UsageError
from lockgate_release.instants import utc_now
from lockgate_release.names import AppName, parse_app_name
from lockgate_release.settings import Settings, load_settings
from lockgate_release.trust.chain import parse_metadata

__all__ = ["Call", "Flags", "Surroundings", "read_file", "real_surroundings", "takes"]

_FILE = "file2:"
_PART_ATTEMPTS = 8
_OPERATION_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a command finds around it: everything that another run could find different.

    Attributes:
        environ: The environment.
        folder: The current folder: where `lockgate.toml` may be.
        now: Returns the present, aware.
        clock: Seconds that only go forward.
        sleep: Waits so many seconds.
        jitter: Returns a number from 0 to 1, drawn anew each time.
        watched: Whether a person sits at a terminal and can answer.
        new_id: Returns an id for a run that was given none.
        operation: The id of this run, once it is known.
        ask: Puts a question to that person and returns the answer.
        ask_secret: The same, and what is typed is not shown.
    """

    environ: Mapping[str, str]
    folder: Path
    now: Callable[[], datetime]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    jitter: Callable[[], float]
    watched: bool
    new_id: Callable[[], str]
    operation: str = ""
    ask: Callable[[str], str]
    ask_secret: Callable[[str], str]


def real_surroundings() -> Surroundings:
    """Return the surroundings of this process."""
    return Surroundings(
        environ=os.environ,
        folder=Path.cwd(),
        now=utc_now,
        clock=time.monotonic,
        sleep=time.sleep,
        jitter=random.SystemRandom().random,
        watched=is_watched(),
        new_id=lambda: secrets.token_hex(_OPERATION_BYTES),
        ask=_ask_at_terminal,
        ask_secret=_ask_secretly,
    )


def _ask_at_terminal(question: str) -> str:
    answer: str = click.prompt(question, default="", show_default=False, err=True)
    return answer


def _ask_secretly(question: str) -> str:
    answer: str = click.prompt(question, hide_input=True, default="", show_default=False, err=True)
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line said about things that also have other sources."""

    app: str | None = None
    server: str | None = None
    token: str | None = None
    root: str | None = None
    keys: tuple[str, ...] = ()
    insecure: bool = False
    parallel: str | None = None
    quiet: bool = False
    unsigned: bool = False
    join: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One run of one command."""

    around: Surroundings
    flags: Flags = field(default_factory=Flags)
    settings: Settings = field(default_factory=Settings)

    @property
    def app(self) -> AppName:
        """The app that the command is about.

        Raises:
            UsageError: It is said nowhere, or is no app's name.
        """
        return parse_field("app", parse_app_name, self.settings.need("app", self.flags.app))

    @property
    def app_if_said(self) -> AppName | None:
        """The app that the command is about, if one was said.

        Raises:
            UsageError: It is no app's name.
        """
        said = self.settings.get("app", self.flags.app)
        return parse_field("app", parse_app_name, said) if said else None

    @property
    def server(self) -> str:
        """The server's address, as it was said.

        Raises:
            UsageError: It is said nowhere.
        """
        return self.settings.need("server", self.flags.server)

    def progress(self) -> Progress:
        """Return how this command shows its progress."""
        return Progress(
            clock=self.around.clock, watched=sys.stderr.isatty(), quiet=self.flags.quiet
        )

    def pinned_root(self) -> bytes:
        """Return the root that all trust begins with.

        Raises:
            UsageError: It is said nowhere.
            LocalError: It cannot be read.
            DocumentError: It is no root.
        """
        path = self.settings.path(self.settings.need("root", self.flags.root))
        data = read_file(path, hint="`lockgate init` wrote it as root.json.")
        # Here it is known which file was meant; further on it is just the pinned root.
        parse_metadata(Root, data, str(path))
        return data

    def key_uris(self, setting: Literal["keys", "root_keys"]) -> tuple[str, ...]:
        """Return where the keys to sign with are, files with their whole path.

        Args:
            setting: `keys`, the publishers', or `root_keys`, the maintainers'.

        Raises:
            UsageError: The settings hold something else than texts.
        """
        said = self.settings.get_all(setting, self.flags.keys)
        return tuple(_whole_uri(uri, self.around.folder) for uri in said)

    @property
    def ask_secret(self) -> Callable[[str], str] | None:
        """What asks a person for a passphrase or a PIN, or None where nobody is there."""
        return self.around.ask_secret if self.around.watched else None

    def waits(self) -> WaitRules:
        """Return how failures of the network are waited out."""
        return WaitRules(sleep=self.around.sleep, jitter=self.around.jitter)

    @contextmanager
    def uploads(self, api: Api, app: AppName) -> Iterator[Uploads]:
        """Yield the way for files to the server.

        Raises:
            UsageError: The settings ask for an impossible number of parts at once.
        """
        said = self.settings.get_number("upload_parallel", self.flags.parallel)
        rules = Rules(
            parallel=DEFAULT_PARALLEL if said is None else parse_parallel(said),
            waits=replace(self.waits(), attempts=_PART_ATTEMPTS),
            clock=self.around.clock,
            now_s=self.around.now().timestamp(),
            journals=uploads_folder(self.around.environ),
        )
        with open_uploads(api, app, rules=rules, progress=self.progress()) as uploads:
            yield uploads

    @contextmanager
    def http(self) -> Iterator[Http]:
        """Yield the way to the network, closed again afterwards.

        Raises:
            UsageError: The token is none.
        """
        token = (self.settings.get("token", self.flags.token) or "").strip()
        with Http(
            token=token,
            waits=self.waits(),
            insecure=self.flags.insecure,
            operation=self.around.operation,
        ) as http:
            yield http

    @contextmanager
    def api(self) -> Iterator[Api]:
        """Yield the server's API, found from either of its addresses.

        Raises:
            UsageError: The address is said nowhere, or Lockgate is not there.
            TransportError: It cannot be reached.
        """
        server = self.server
        with self.http() as http:
            yield Api(http=http, base=find_api(http, server))


def _whole_uri(uri: str, folder: Path) -> str:
    path = uri.removeprefix(_FILE)
    return uri if ":" in path else f"{_FILE}{folder / path}"


def read_file(path: Path, *, hint: str = "") -> bytes:
    """Return a file's bytes.

    Raises:
        UsageError: There is no such file.
        LocalError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise UsageError("no such file", subject=str(path), hint=hint) from exc
    except OSError as exc:
        raise LocalError("cannot be read", subject=str(path), found=exc.strerror or "") from exc


_APP = click.option("--app", help="The app. [setting: app]")
_ROOT = click.option("--root", help="root.json, the root that trust begins with. [setting: root]")
_KEYS = click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="URI",
    help="A key to sign with: PATH, env:NAME, or a key service's URI. [setting: keys]",
)
_SERVER = (
    click.option("--server", help="The server's address, either side. [setting: server]"),
    click.option("--token", help="Better set LOCKGATE_TOKEN: arguments can be seen by others."),
    click.option("--insecure", is_flag=True, help="Let the token travel over plain HTTP."),
)
_SENDING = (
    click.option(
        "--parallel",
        metavar="N",
        help=f"How many parts go at once. Default: {DEFAULT_PARALLEL}. [setting: upload_parallel]",
    ),
    click.option("--quiet", is_flag=True, help="Say nothing of how far it has got."),
)
_WAITING = (
    click.option(
        "--unsigned",
        is_flag=True,
        help="Sign nothing here: it waits until the publishers have signed it.",
    ),
)
_JOINING = (
    click.option(
        "--join",
        is_flag=True,
        help="Make one list with what waits already, if nobody has signed that.",
    ),
)
_CHOICES = {
    "app": (_APP,),
    "root": (_ROOT,),
    "keys": (_KEYS,),
    "server": _SERVER,
    "sending": _SENDING,
    "waiting": _WAITING,
    "joining": _JOINING,
}


def takes(*groups: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds the shared options of these groups, and hands over a `Call`.

    Args:
        groups: Of `app`, `server`, `root`, `keys`, `sending`, `waiting` and `joining`.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        @click.pass_obj
        def run(around: Surroundings, /, **options: object) -> None:
            names = [name for name in Flags.__dataclass_fields__ if name in options]
            # An argument called APP speaks for the option of that name.
            flags = Flags(**{name: options.pop(name) for name in names})  # type: ignore[arg-type]
            settings = load_settings(around.folder, around.environ)
            function(Call(around=around, flags=flags, settings=settings), **options)

        for group in reversed(groups):
            for option in reversed(_CHOICES[group]):
                run = option(run)
        return run

    return decorate
