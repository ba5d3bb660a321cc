"""`lockgate-server rebuild`: a lost database, made again from the store."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click
from tuf.api.metadata import Root

from lockgate_release.errors import DocumentError, LocalError, LockgateError, UsageError
from lockgate_release.instants import format_instant, utc_now
from lockgate_release.names import AppName, parse_app_name
from lockgate_release.trust.chain import parse_metadata
from lockgate_server.assembly import make_folder, open_ledger
from lockgate_server.command.common import (
    Invocation,
    data_options,
    json_option,
    local_caller,
    print_json,
    say,
)
from lockgate_server.keys import KeyRing
from lockgate_server.ports import ObjectStore
from lockgate_server.services.write.composing import online_keys
from lockgate_server.services.write.rebuilding import (
    Found,
    apps_in_store,
    check_named,
    find_state,
    is_recorded,
    record,
)
from lockgate_server.settings import ServerSettings
from lockgate_server.stores.factory import open_store

__all__ = ["rebuild"]


@click.command()
@click.option("--app", help="The app to rebuild. Without it, what the store holds is shown.")
@click.option("--root", metavar="FILE", help="root.json, from where you keep it, not the store.")
@click.option("--at", type=click.IntRange(1), help="The number of the newest timestamp.")
@click.option("--yes", is_flag=True, help="Take the store's word for which state is the newest.")
@click.option("--dry-run", is_flag=True, help="Say what would be written and do nothing.")
@data_options
@json_option
def rebuild(
    *,
    app: str | None,
    root: str | None,
    at: int | None,
    yes: bool,
    dry_run: bool,
    data: str | None,
    storage: str | None,
    as_json: bool,
) -> None:
    """Make a lost database again from the store, app by app.

    Nothing is signed on top of a state that the database does not know. This writes down that the
    state in the store is the newest: name its number with --at, from CI's log, a client, or a copy
    of `lockgate status`; or type it when asked. Stop the server first. Tokens are lost.
    """
    here = Invocation.here()
    settings = here.server(data, storage)
    store = open_store(settings.store_address)
    try:
        if app is None:
            _show_all(store, as_json=as_json)
            return
        found, pinned = _look(store, parse_app_name(app), root)
        _say(found)
        named = _ask(found, at, yes=yes or dry_run)
        check_named(found, named)
        done = _write(settings, here, found, pinned, named=named, dry_run=dry_run)
    finally:
        store.close()
    if as_json:
        print_json({**found.describe(), "done": done})
    _warn_of_key(settings, here.environ, found)


def _show_all(store: ObjectStore, *, as_json: bool) -> None:
    described = []
    for app in apps_in_store(store):
        try:
            found = find_state(store, app, None)
        except LockgateError as exc:
            say(f"{app}: cannot be read: {exc}")
            continue
        _say(found)
        described.append(found.describe())
    if as_json:
        print_json({"apps": list(described)})
    say(
        "This is what the store says, and it proves nothing: a store can be put back. Rebuild each "
        "app with --app NAME --root FILE --at NUMBER."
    )


def _look(store: ObjectStore, app: AppName, root: str | None) -> tuple[Found, bytes]:
    if root is None:
        raise UsageError(
            "no root",
            expected="--root FILE",
            hint="`lockgate init` wrote it as root.json, and clients were shipped with it.",
        )
    try:
        pinned = Path(root).read_bytes()
    except OSError as exc:
        raise LocalError("cannot be read", subject=root, found=exc.strerror or "") from exc
    try:
        parse_metadata(Root, pinned, root)
    except DocumentError as exc:
        raise UsageError(
            "not a root", subject=root, expected="the root.json that lockgate init wrote"
        ) from exc
    return find_state(store, app, pinned), pinned


def _say(found: Found) -> None:
    base = found.base
    signed = "never" if found.signed_at is None else format_instant(found.signed_at)
    say(
        f"{base.app}: timestamp {base.timestamp_version}, valid until "
        f"{format_instant(base.chain.timestamp.signed.expires)}; releases "
        f"{base.chain.releases.version}, {found.releases} live; root {base.chain.root.version}"
    )
    for name, document in base.channels.items():
        say(f"  {name}: sequence {document.sequence}, {format_instant(document.issued_at)}")
    say(f"  last channel signed: {signed}")
    if found.above:
        say(f"warning: metadata above this state: {', '.join(found.above[:5])}")


def _ask(found: Found, at: int | None, *, yes: bool) -> int | None:
    """Return the number that a person names, or None where the store is taken at its word."""
    if at is not None or yes:
        return at
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody has named the newest state",
            subject=found.base.app,
            expected="--at NUMBER",
            hint="Or --yes, if the store cannot have been put back.",
        )
    number: int = click.prompt("The number of the newest timestamp", type=int, err=True)
    return number


def _write(
    settings: ServerSettings,
    here: Invocation,
    found: Found,
    root: bytes,
    *,
    named: int | None,
    dry_run: bool,
) -> bool:
    """Return whether the database was written."""
    if dry_run and not settings.ledger_path.exists():
        say("The database would be made, and this state written into it.")
        return False
    make_folder(settings)
    with open_ledger(settings) as ledger:
        if is_recorded(ledger, found, root):
            say("The database says so already. Nothing was changed.")
            return False
        if dry_run:
            say("This state would be written into the database.")
            return False
        caller = local_caller(here.environ)
        record(ledger, found, root, caller, named=named, now=utc_now())
        has_tokens = any(token.revoked_at is None for token in ledger.tokens())
    say(f"{found.base.app} is rebuilt: timestamp {found.base.timestamp_version} is the newest.")
    if not has_tokens:
        say("Tokens are lost. Make new ones: lockgate-server token create --scope publish")
    return True


def _warn_of_key(settings: ServerSettings, environ: Mapping[str, str], found: Found) -> None:
    try:
        KeyRing(settings.data / "keys", environ).signers(found.base.app, online_keys(found.base))
    except LockgateError as exc:
        say(f"warning: the server's key is missing, so nothing can be signed yet: {exc}")
