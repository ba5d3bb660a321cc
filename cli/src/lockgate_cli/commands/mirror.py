"""`lockgate mirror`: a repository copied into a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click

from lockgate_cli.context import Call, takes
from lockgate_cli.fields import parse_channels, parse_field
from lockgate_cli.mirroring.folder import MirrorFolder
from lockgate_cli.mirroring.mirror import MirrorPlan, Wanted, copy_state, count, plan_copy, prune
from lockgate_cli.mirroring.sources import HttpSource, Source, find_source
from lockgate_cli.output import format_size, say, show_json, warn
from lockgate_release.durations import parse_duration
from lockgate_release.instants import format_instant
from lockgate_release.requests import MirrorRequest

__all__ = ["mirror"]


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--from", "address", metavar="URL", help="Where to copy from, http:// or file://.")
@click.option("--channel", "channels", multiple=True, help="Only what this needs; repeatable.")
@click.option("--valid-for", metavar="SPAN", help="Have it signed for longer, such as 30d.")
@click.option("--prune", "prunes", is_flag=True, help="Remove what no state needs any more.")
@click.option("--rehash", is_flag=True, help="Read every file again that is there.")
@click.option("--parallel", "at_once", type=click.IntRange(1, 32), default=4, show_default=True)
@click.option("--dry-run", is_flag=True, help="Say what would be done and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "root", "server")
def mirror(  # noqa: PLR0913 (one argument for each option)
    call: Call,
    *,
    folder: str,
    address: str | None,
    channels: tuple[str, ...],
    valid_for: str | None,
    prunes: bool,
    rehash: bool,
    at_once: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Copy an app's repository into DIR, for a web server or a site without a network.

    Only what is not there yet is fetched, and every byte is verified from root.json on. Readers of
    DIR see the state before or the state after. An older state than DIR holds is refused. Copies
    from the server unless --from names another place; that takes no token.

    --valid-for takes a token of scope admin, and is written to the server's audit log.
    """
    app, pinned = call.app, call.pinned_root()
    names = parse_channels("--channel", channels)
    span_s = parse_field("--valid-for", parse_duration, valid_for) if valid_for else 0
    place = MirrorFolder(call.around.folder / folder, app, rehash=rehash)
    now = call.around.now()
    with (
        nullcontext() if dry_run else place.locked(),
        _source(call, address) as source,
    ):
        overlay = _longer(call, span_s) if span_s and not dry_run else {}
        wanted = Wanted(app=app, pinned=pinned, channels=names, overlay=overlay, now=now)
        plan = plan_copy(source, place, wanted)
        if not dry_run:
            copy_state(
                plan,
                source,
                place,
                waits=call.waits(),
                parallel=at_once,
                progress=call.progress(),
            )
        removed = prune(place, plan, now, dry_run=dry_run) if prunes else ()
    _report(plan, removed, place.folder, dry_run=dry_run, as_json=as_json)


@contextmanager
def _source(call: Call, address: str | None) -> Iterator[Source]:
    """Yield where to copy from: `--from`, or the server."""
    if address is None:
        with call.api() as api:
            yield HttpSource(http=api.http, base=api.base)
    else:
        with call.http() as http:
            yield find_source(address, http)


def _longer(call: Call, span_s: int) -> Mapping[str, bytes]:
    """Have the server sign a state that lasts longer, and return its files by their path.

    Raises:
        LockgateError: The server refused, or could not be reached.
    """
    with call.api() as api:
        signed = api.sign_for_mirror(call.app, MirrorRequest(valid_for_s=span_s))
    if signed.shortened:
        warn(f"signed only until {format_instant(signed.expires_at)}: {signed.shortened} ends then")
    return signed.files


def _report(
    plan: MirrorPlan, removed: tuple[str, ...], folder: Path, *, dry_run: bool, as_json: bool
) -> None:
    would = "would be " if dry_run else ""
    version = plan.base.chain.timestamp.version
    changed = plan.moves or bool(plan.files) or bool(plan.blobs)
    if changed:
        say(
            f"{count(plan.blobs, 'artifact')} ({format_size(plan.blob_bytes)}) and "
            f"{count(plan.files, 'small file')} {would}written to {folder}"
        )
    for path in removed:
        say(f"{would}removed: {path}")
    stands = "" if changed else " is here already"
    say(f"{plan.base.app}: state {version}{stands}, good until {format_instant(plan.expires_at)}")
    if as_json:
        show_json(
            {
                "app": plan.base.app,
                "timestamp_version": version,
                "expires_at": format_instant(plan.expires_at),
                "changed": changed,
                "dry_run": dry_run,
                "artifacts_fetched": [blob.path for blob in plan.blobs],
                "artifacts_bytes": plan.blob_bytes,
                "artifacts": len(plan.contents.blobs),
                "files_written": sorted(plan.files),
                "removed": list(removed),
            }
        )
