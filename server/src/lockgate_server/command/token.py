"""`lockgate-server token`: who may ask the API for what."""

from __future__ import annotations

import secrets

import click

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import UsageError
from lockgate_release.instants import format_instant, utc_now
from lockgate_release.strict_json import JsonObject
from lockgate_server.assembly import make_folder, open_ledger
from lockgate_server.command.common import Invocation, data_option, json_option, print_json, say
from lockgate_server.ports import Scope, TokenInfo

__all__ = ["token"]

_SECRET_BYTES = 32


@click.group()
def token() -> None:
    """Make, list and revoke tokens. Works while the server runs, and before it ever did."""


@token.command()
@data_option
@click.option(
    "--scope",
    type=click.Choice([scope.value for scope in Scope]),
    required=True,
    help="What it allows; each includes those before it.",
)
@click.option("--label", default="", help="Whose it is, for the audit log.")
@json_option
def create(data: str | None, scope: str, label: str, *, as_json: bool) -> None:
    """Make a token and print it, once: only its hash is kept."""
    settings = Invocation.here().server(data)
    make_folder(settings)
    secret = f"lg_{secrets.token_urlsafe(_SECRET_BYTES)}"
    with open_ledger(settings) as ledger:
        made = ledger.create_token(
            scope=Scope(scope),
            label=label,
            secret_sha256=digest_bytes(secret.encode()),
            now=utc_now(),
        )
    if as_json:
        print_json({**_describe(made), "token": secret})
    else:
        click.echo(secret)
        say(f"{made.token_id}: a token for {made.scope}. It is shown only this once.")


@token.command("list")
@data_option
@json_option
def list_tokens(data: str | None, *, as_json: bool) -> None:
    """List the tokens ever made, without their secrets."""
    with open_ledger(Invocation.here().existing_server(data)) as ledger:
        found = ledger.tokens()
    if as_json:
        print_json({"tokens": [_describe(info) for info in found]})
        return
    for info in found:
        state = (
            "living" if info.revoked_at is None else f"revoked {format_instant(info.revoked_at)}"
        )
        click.echo(
            f"{info.token_id}  {info.scope:<7}  {format_instant(info.created_at)}  {state}  "
            f"{info.label}"
        )


@token.command()
@click.argument("token_id")
@data_option
def revoke(token_id: str, data: str | None) -> None:
    """End a token's life, at once."""
    with open_ledger(Invocation.here().existing_server(data)) as ledger:
        if not ledger.revoke_token(token_id, now=utc_now()):
            raise UsageError(
                "no living token has this id",
                subject=token_id,
                hint="lockgate-server token list shows them.",
            )
    say(f"{token_id} is revoked.")


def _describe(info: TokenInfo) -> JsonObject:
    return {
        "id": info.token_id,
        "scope": info.scope.value,
        "label": info.label,
        "created_at": format_instant(info.created_at),
        "revoked_at": None if info.revoked_at is None else format_instant(info.revoked_at),
    }
