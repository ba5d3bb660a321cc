"""`lockgate-server run`."""

from __future__ import annotations

import sys

import click

from lockgate_server.assembly import prepare
from lockgate_server.command.common import Invocation, data_options, say
from lockgate_server.logs import set_up_logs
from lockgate_server.supervisor import Addresses, RunPlan, parse_address, run_server

__all__ = ["run"]

_LISTEN = "127.0.0.1:8080"


@click.command()
@data_options
@click.option("--listen", metavar="HOST:PORT", help=f"The public side. Default: {_LISTEN}.")
@click.option(
    "--api-listen", metavar="HOST:PORT", help="The API. Default: the same host, the next port."
)
def run(data: str | None, storage: str | None, listen: str | None, api_listen: str | None) -> None:
    """Run the server until it is stopped; an empty folder is fine."""
    here = Invocation.here()
    said = here.settings()
    settings = here.server(data, storage)
    host, port = parse_address(said.get("listen", listen) or _LISTEN)
    api_said = said.get("api_listen", api_listen)
    api = parse_address(api_said) if api_said else (host, port + 1 if port else 0)
    prepare(settings)
    set_up_logs("run", sys.stderr)
    plan = RunPlan(settings=settings, listen=(host, port), api_listen=api)
    if settings.serving.public_url:
        say(f"clients read at: {settings.serving.public_url}")
    run_server(plan, here.environ, _announce)


def _announce(addresses: Addresses) -> None:
    say(f"public side: {addresses.public}")
    say(f"maintainers' API: {addresses.api}")
