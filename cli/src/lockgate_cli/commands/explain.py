"""`lockgate explain`: what one client would do, and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from lockgate_cli.context import Call, takes
from lockgate_cli.explaining import Client, Explanation, open_explainer, reasons_of
from lockgate_cli.explaining_chain import Chain, lines_of
from lockgate_cli.explaining_routes import tell_fetching
from lockgate_cli.fields import parse_field
from lockgate_cli.mirroring.sources import FolderSource, HttpSource, Source, find_source
from lockgate_cli.output import say, show, show_json
from lockgate_release.errors import UsageError
from lockgate_release.gate import is_client_id
from lockgate_release.names import parse_channel_name, parse_platform
from lockgate_release.platforms import current_platform

__all__ = ["FROM", "check_client_id", "explain", "repository_of"]

FROM = click.option(
    "--from",
    "address",
    metavar="URL",
    help="Read a mirror instead of the server: a folder, or its address.",
)


@click.command()
@click.option("--client-id", required=True, metavar="UUID", help="From lockgate-updater status.")
@click.option("--installed", default="", metavar="VERSION", help="What it has; default: nothing.")
@click.option("--channel", default="stable", show_default=True, help="The channel it follows.")
@click.option("--platform", help="Its platform tag; default: this machine's.")
@FROM
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "root", "server")
def explain(
    call: Call,
    *,
    client_id: str,
    installed: str,
    channel: str,
    platform: str | None,
    address: str | None,
    as_json: bool,
) -> None:
    """Say what a client would do now, and why, by the very rules that clients follow.

    Says too how many bytes it would fetch, with the versions at which deltas begin. Reads what
    clients read, and believes it no more than they do. Needs no token, and with --from and a
    mirror's folder no network.
    """
    check_client_id(client_id)
    client = Client(
        app=call.app,
        channel=parse_field("--channel", parse_channel_name, channel),
        client_id=client_id,
        platform=parse_field("--platform", parse_platform, platform)
        if platform
        else current_platform(),
        installed=installed,
    )
    with (
        repository_of(call, address) as source,
        open_explainer(client.app, source=source, pinned=call.pinned_root()) as explainer,
    ):
        decision = explainer.decide(client, call.around.now())
        chain = explainer.chain(client.channel)
        fetching = explainer.fetching(client, decision)
    said = reasons_of(decision)
    if as_json:
        show_json({**said, "chain": chain, "fetching": fetching})
        return
    _show(client, said, chain)
    for line in tell_fetching(fetching) if fetching is not None else ():
        show(line)


@contextmanager
def repository_of(call: Call, address: str | None) -> Iterator[Source]:
    """Yield where to read what clients read: `--from`, or the server.

    Raises:
        UsageError: It is said nowhere, or is no address.
    """
    if address is not None and "://" not in address:
        folder = call.around.folder / address
        if not folder.is_dir():
            raise UsageError("no such folder", subject=str(folder))
        yield FolderSource(folder=folder)
        return
    with call.http() as http:
        if address is None:
            yield HttpSource(http=http, base=call.server.rstrip("/"))
        else:
            yield find_source(address, http)


def check_client_id(text: str) -> None:
    """Hold `--client-id` to its form.

    Raises:
        UsageError: It has another.
    """
    if not is_client_id(text):
        raise UsageError(
            "not a client id",
            subject="--client-id",
            expected="a UUID in 36 lower-case characters",
            found=repr(text[:80]),
        )


def _show(client: Client, said: Explanation, chain: Chain) -> None:
    for text in lines_of(chain):
        show(text)
    installed = client.installed or "(not installed)"
    say(f"{client.app} {installed} in {client.channel}, {client.platform}:")
    for line in said["considered"]:
        show(f"  {line['version']}: {line['text']}")
    show(f"{said['verdict']}: {said['reason']}")
