"""`lockgate-server run`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import click

from lockgate_release.log.rules import LogRules, read_log_rules, set_up_lines
from lockgate_release.log.server_events import SERVER_STARTED
from lockgate_release.log.telling import tell
from lockgate_release.settings import Settings
from lockgate_server import __version__
from lockgate_server.assembly import prepare
from lockgate_server.command.common import Invocation, data_options, say
from lockgate_server.supervisor import (
    Addresses,
    RunPlan,
    parse_address,
    parse_parts,
    run_server,
)

__all__ = ["addresses_of", "run"]

_log = logging.getLogger(__name__)
_LISTEN = "127.0.0.1:8080"


@click.command()
@data_options
@click.option("--listen", metavar="HOST:PORT", help=f"The public side. Default: {_LISTEN}.")
@click.option(
    "--api-listen", metavar="HOST:PORT", help="The API. Default: the same host, the next port."
)
@click.option("--log-format", metavar="FORM", help="Lines on stderr: text, json, or auto. [auto]")
@click.option("--log-level", metavar="LEVEL", help="From debug, info, warning or error on. [info]")
@click.option(
    "--parts", metavar="PART,…", help="Only some of public, api and worker. Default: all three."
)
def run(
    data: str | None,
    storage: str | None,
    listen: str | None,
    api_listen: str | None,
    log_format: str | None,
    log_level: str | None,
    parts: str | None,
) -> None:
    """Run the server until it is stopped; an empty folder is fine."""
    here = Invocation.here()
    said = here.settings()
    settings = here.server(data, storage)
    options = {"log_format": log_format, "log_level": log_level}
    rules = read_log_rules(lambda name: said.get(name, options[name]))
    public, api = addresses_of(said, listen, api_listen)
    prepare(settings)
    set_up_lines("run", sys.stderr, rules)
    plan = RunPlan(
        settings=settings,
        listen=public,
        api_listen=api,
        parts=parse_parts(said.get("parts", parts)),
    )
    environ = {**here.environ, **rules.to_environ()}
    run_server(plan, environ, _announcer(rules, settings.serving.public_url))


def addresses_of(
    said: Settings, listen: str | None, api_listen: str | None
) -> tuple[tuple[str, int], tuple[str, int]]:
    """Return host and port of the public side and of the API.

    Raises:
        UsageError: One is no address.
    """
    host, port = parse_address(said.get("listen", listen) or _LISTEN)
    api_said = said.get("api_listen", api_listen)
    api = parse_address(api_said) if api_said else (host, port + 1 if port else 0)
    return (host, port), api


def _announcer(rules: LogRules, public_url: str) -> Callable[[Addresses], None]:
    """Return what tells where the server answers: a line of the log, or words for a person."""

    def announce(addresses: Addresses) -> None:
        found = {
            "public side": addresses.public,
            "maintainers' API": addresses.api,
            "clients read at": public_url,
        }
        said = [f"{name}: {address}" for name, address in found.items() if address]
        if rules.is_json(sys.stderr):
            tell(_log, SERVER_STARTED, addresses=", ".join(said), version=__version__)
        for line in [] if rules.is_json(sys.stderr) else said:
            say(line)

    return announce
