"""`lockgate explain`: what one client would do, and why."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from lockgate_cli.context import Call, takes
from lockgate_cli.explaining import Client, Explanation, explain_client, reasons_of
from lockgate_cli.fields import parse_field
from lockgate_cli.output import say, show, show_json
from lockgate_release.errors import LocalError, UsageError
from lockgate_release.gate import is_client_id
from lockgate_release.names import parse_channel_name, parse_platform
from lockgate_release.platforms import current_platform

__all__ = ["explain"]


@click.command()
@click.option("--client-id", required=True, metavar="UUID", help="From lockgate-updater status.")
@click.option("--installed", default="", metavar="VERSION", help="What it has; default: nothing.")
@click.option("--channel", default="stable", show_default=True, help="The channel it follows.")
@click.option("--platform", help="Its platform tag; default: this machine's.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "root", "server")
def explain(
    call: Call,
    *,
    client_id: str,
    installed: str,
    channel: str,
    platform: str | None,
    as_json: bool,
) -> None:
    """Say what a client would do now, and why, by the very rules that clients follow.

    Reads what clients read, and believes it no more than they do. Needs no token.
    """
    _check_client_id(client_id)
    client = Client(
        app=call.app,
        channel=parse_field("--channel", parse_channel_name, channel),
        client_id=client_id,
        platform=parse_field("--platform", parse_platform, platform)
        if platform
        else current_platform(),
        installed=installed,
    )
    server, pinned = call.server, call.pinned_root()
    try:
        with tempfile.TemporaryDirectory(prefix="lockgate-") as folder, call.http() as http:
            decision = explain_client(
                client,
                repository=server,
                pinned=pinned,
                cache=Path(folder),
                fetch=http.stream,
                now=call.around.now(),
            )
    except OSError as exc:
        raise LocalError("no temporary folder", found=str(exc)) from exc
    said = reasons_of(decision)
    if as_json:
        show_json(said)
    else:
        _show(client, said)


def _check_client_id(text: str) -> None:
    if not is_client_id(text):
        raise UsageError(
            "not a client id",
            subject="--client-id",
            expected="a UUID in 36 lower-case characters",
            found=repr(text[:80]),
        )


def _show(client: Client, said: Explanation) -> None:
    installed = client.installed or "(not installed)"
    say(f"{client.app} {installed} in {client.channel}, {client.platform}:")
    for line in said["considered"]:
        show(f"  {line['version']}: {line['text']}")
    show(f"{said['verdict']}: {said['reason']}")
