"""`lockgate-server restore`: a backup, put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import click

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import UsageError
from lockgate_release.instants import format_instant, utc_now
from lockgate_release.names import AppName, parse_app_name
from lockgate_release.strict_json import JsonObject
from lockgate_server.assembly import make_folder
from lockgate_server.backups.manifest import Manifest
from lockgate_server.backups.notes import check_free, check_same_backup, finish_broken_off
from lockgate_server.backups.places import Held, find_backup
from lockgate_server.backups.restoring import (
    Fate,
    Named,
    RestorePlan,
    carry_out,
    missing_keys,
    plan_restore,
    put_keys,
)
from lockgate_server.backups.schedule import PASSPHRASE
from lockgate_server.backups.scratch import scratch_folder
from lockgate_server.backups.verifying import Unpacked, verify_backup
from lockgate_server.command.backup import read_passphrase
from lockgate_server.command.common import (
    Invocation,
    data_options,
    json_option,
    local_caller,
    print_json,
    say,
    show,
)
from lockgate_server.command.progress import Progress
from lockgate_server.ports import ObjectStore
from lockgate_server.settings import ServerSettings
from lockgate_server.stores.factory import open_store

__all__ = ["restore"]


@click.command()
@click.argument("src")
@click.option(
    "--at",
    "numbers",
    metavar="[APP=]NUMBER",
    multiple=True,
    help="The number of an app's newest timestamp. Can be repeated.",
)
@click.option("--yes", is_flag=True, help="Take the store's word for which states are the newest.")
@click.option("--unconfirmed", is_flag=True, help="Name the newest states later, by rebuild.")
@click.option("--objects", is_flag=True, help="Put objects back for apps that the store has lost.")
@click.option("--only-keys", is_flag=True, help="Only keys that are missing; nothing else.")
@click.option(
    "--dry-run", is_flag=True, help="Prove everything, say what would be done; do nothing."
)
@data_options
@json_option
def restore(
    *,
    src: str,
    numbers: tuple[str, ...],
    yes: bool,
    unconfirmed: bool,
    objects: bool,
    only_keys: bool,
    dry_run: bool,
    as_json: bool,
    **where: str | None,
) -> None:
    """Put the backup SRC back into a folder without a database; the newest of a folder of them.

    Nothing is overwritten, and nothing is there before everything is proven. The server signs
    nothing on top of a state that may be old: name the newest timestamp of each app with --at, from
    CI's log or a client, or say --yes where nobody else can write to the store. A store that is
    older than the backup is refused. Keys are decrypted with LOCKGATE_BACKUP_PASSPHRASE.
    """
    here = Invocation.here()
    settings = here.server(where["data"], where["storage"])
    if only_keys:
        _restore_keys(settings, here, src, dry_run=dry_run, as_json=as_json)
        return
    check_free(settings)
    if settings.restore_file.exists():
        say("A restore broke off here: it is gone on with.")
    make_folder(settings)
    named = Named(believes_store=yes, may_wait=unconfirmed, goes_on=settings.restore_file.exists())
    plan = _restore(settings, here, src, (numbers, named), objects=objects, dry_run=dry_run)
    if plan is None:
        say("The restore was carried out already, but for the note that it had begun.")
    elif as_json:
        print_json(_describe(plan, done=not dry_run))
    else:
        _show(plan, done=not dry_run)


def _restore(
    settings: ServerSettings,
    here: Invocation,
    src: str,
    said: tuple[tuple[str, ...], Named],
    *,
    objects: bool,
    dry_run: bool,
) -> RestorePlan | None:
    """Plan it and carry it out; None where nothing but the note was left to take away."""
    numbers, named = said
    with (
        Progress() as tell,
        scratch_folder(settings.data) as scratch,
        find_backup(src) as held,
        _store(settings, is_asked=not named.may_wait) as store,
    ):
        passphrase = read_passphrase(here.environ, asks=False)
        unpacked = verify_backup(held, scratch, passphrase=passphrase, tell=tell)
        digest = digest_bytes(unpacked.manifest.to_bytes())
        if finish_broken_off(settings, digest):
            return None
        check_same_backup(settings, digest)
        named = replace(named, numbers=_parse_numbers(numbers, unpacked.manifest))
        with _source(held, scratch, unpacked, is_wanted=objects) as source:
            plan = plan_restore(settings, unpacked, store, source, named, tell=tell)
        if not dry_run:
            caller = local_caller(here.environ)
            carry_out(settings, plan, store, held, caller, now=utc_now(), tell=tell)
    return plan


def _restore_keys(
    settings: ServerSettings, here: Invocation, src: str, *, dry_run: bool, as_json: bool
) -> None:
    """Put back the keys that a backup holds and the folder has not."""
    passphrase = read_passphrase(here.environ)
    with (
        Progress() as tell,
        scratch_folder(settings.data) as scratch,
        find_backup(src) as held,
    ):
        unpacked = verify_backup(held, scratch, passphrase=passphrase, tell=tell)
        missing = missing_keys(settings, unpacked)
        if not dry_run:
            put_keys(settings, unpacked)
    if as_json:
        print_json({"keys_restored": list(missing), "done": not dry_run})
        return
    for name in missing:
        show(f"keys/{name}: {'would be restored' if dry_run else 'restored'}")
    if not missing:
        say("The folder has every key that the backup holds. Nothing was changed.")


@contextmanager
def _store(settings: ServerSettings, *, is_asked: bool) -> Iterator[ObjectStore | None]:
    if not is_asked:
        yield None
        return
    store = open_store(settings.store_address)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _source(
    held: Held, scratch: Path, unpacked: Unpacked, *, is_wanted: bool
) -> Iterator[ObjectStore | None]:
    if is_wanted and not unpacked.manifest.has_objects:
        raise UsageError("the backup holds no objects", subject=unpacked.manifest.name)
    below = scratch / "planned"
    below.mkdir(mode=0o700)
    with held.objects(below) if is_wanted else nullcontext() as source:
        yield source


def _parse_numbers(said: tuple[str, ...], manifest: Manifest) -> dict[AppName, int]:
    numbers: dict[AppName, int] = {}
    for text in said:
        name, mark, number = text.rpartition("=")
        if not mark and len(manifest.apps) == 1:
            name = manifest.apps[0].app
        if not number.isascii() or not number.isdecimal() or not name:
            raise UsageError("not a number", subject="--at", expected="APP=NUMBER", found=text[:80])
        numbers[parse_app_name(name)] = int(number[:16])
    return numbers


def _describe(plan: RestorePlan, *, done: bool) -> JsonObject:
    return {
        **plan.manifest.summary(),
        "done": done,
        "apps": [one.describe() for one in plan.apps],
        "kept": list(plan.kept),
        "keys_restored": sorted(
            name for name in plan.unpacked.keys if f"keys/{name}" not in plan.kept
        ),
    }


def _show(plan: RestorePlan, *, done: bool) -> None:
    manifest = plan.manifest
    verb = "restored" if done else "would be restored"
    show(f"{manifest.name}, made at {format_instant(manifest.made_at)}: {verb}")
    for one in plan.apps:
        number = "" if one.highest is None else f", timestamp {one.highest.timestamp}"
        show(f"  {one.note.app}: {one.fate}{number}")
        if one.fate is Fate.UNCONFIRMED:
            say(
                f"{one.note.app}: {one.why}. Nothing is signed for it until you name it: "
                f"lockgate-server rebuild --app {one.note.app} --root FILE --at NUMBER"
            )
        if one.fate is Fate.LOST:
            say(
                f"{one.note.app}: the store has lost it. Fill it again from a backup with objects "
                "or a mirror: lockgate-server storage refill"
            )
    for name in plan.kept:
        say(f"kept as it is: {name}")
    left = [key.where for key in manifest.keys if Path(key.where).name not in plan.unpacked.keys]
    if left:
        say(f"keys to bring back by yourself: {', '.join(left)}")
    if any(key.is_included for key in manifest.keys) and not plan.unpacked.keys:
        say(f"the backup holds keys: set {PASSPHRASE} and they are restored with it")
