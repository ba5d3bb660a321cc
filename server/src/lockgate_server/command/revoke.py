"""`lockgate-server revoke`: for the moment when the API is down."""

from __future__ import annotations

import click

from lockgate_release.documents import Remedy
from lockgate_release.errors import DocumentError, UsageError
from lockgate_release.names import parse_app_name, parse_channel_name
from lockgate_release.requests import RevokeRequest
from lockgate_release.strict_json import dump_json
from lockgate_server.assembly import open_write_deps
from lockgate_server.command.common import (
    Invocation,
    data_options,
    json_option,
    local_caller,
    print_json,
    say,
)
from lockgate_server.services.write.revoking import describe_revoked
from lockgate_server.services.write.revoking import revoke as revoke_release

__all__ = ["revoke"]


@click.command()
@click.argument("app")
@click.argument("version")
@click.option("--reason", required=True, help="Why, for people.")
@click.option(
    "--remedy",
    type=click.Choice([remedy.value for remedy in Remedy]),
    default=Remedy.REPLACE.value,
    show_default=True,
    help="What clients do that have it.",
)
@click.option("--channel", "channels", multiple=True, help="Where; everywhere if not said.")
@data_options
@json_option
def revoke(
    app: str,
    version: str,
    reason: str,
    remedy: str,
    channels: tuple[str, ...],
    data: str | None,
    storage: str | None,
    *,
    as_json: bool,
) -> None:
    """Revoke VERSION of APP, whether the server runs or not."""
    here = Invocation.here()
    wanted = RevokeRequest(
        version=version,
        reason=reason,
        remedy=Remedy(remedy),
        channels=tuple(parse_channel_name(name) for name in channels),
    )
    request = _check(wanted)
    with open_write_deps(here.existing_server(data, storage), here.environ) as deps:
        outcome = revoke_release(deps, parse_app_name(app), request, local_caller(here.environ))
    if as_json:
        print_json(describe_revoked(outcome))
    for channel, fallback in outcome.answer.goes_to.items():
        say(f"{channel}: {version} is revoked; everybody is offered {fallback or 'nothing'}")
    for warning in outcome.answer.warnings:
        say(f"warning: {warning}")


def _check(wanted: RevokeRequest) -> RevokeRequest:
    """Hold the request to the same rules as over HTTP.

    Raises:
        UsageError: It breaks one.
    """
    try:
        return RevokeRequest.parse(dump_json(wanted.to_json()))
    except DocumentError as exc:
        raise UsageError(
            exc.what, subject=exc.subject, expected=exc.expected, found=exc.found
        ) from exc
