"""`lockgate-server backup`: make a backup, prove one, list them."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

from lockgate_release.errors import UsageError
from lockgate_release.instants import utc_now
from lockgate_release.strict_json import JsonObject
from lockgate_release.trust.keys import find_secret
from lockgate_server.backups.making import Wanted, make_backup, prune
from lockgate_server.backups.manifest import Manifest
from lockgate_server.backups.places import Place, find_backup, open_place
from lockgate_server.backups.record import BackupRecord, write_record
from lockgate_server.backups.schedule import PASSPHRASE
from lockgate_server.backups.scratch import scratch_folder
from lockgate_server.backups.verifying import Unpacked, verify_backup
from lockgate_server.command.common import (
    Invocation,
    data_options,
    json_option,
    print_json,
    say,
    show,
)
from lockgate_server.command.progress import Progress, format_bytes
from lockgate_server.settings import ServerSettings

__all__ = ["backup", "read_passphrase"]


class _Group(click.Group):
    """A group whose first command may be left out: `backup DEST` is `backup make DEST`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {"-h", "--help", *self.commands}
        return super().parse_args(ctx, ["make", *args] if args and args[0] not in own else args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = args and args[0] in self.commands
        return super().resolve_command(ctx, args if known else ["make", *args])


@click.group(cls=_Group)
def backup() -> None:
    """Back the server up while it runs, and prove backups by restoring them.

    `backup DEST` is short for `backup make DEST`.
    """


@backup.command()
@click.argument("dest")
@click.option("--with-keys", is_flag=True, help="The server's keys too, encrypted.")
@click.option("--objects", is_flag=True, help="What clients read too: everything in the store.")
@click.option("--keep", type=click.IntRange(1), help="Remove all but the newest so many backups.")
@click.option("--no-verify", is_flag=True, help="Do not restore it into a folder that goes again.")
@data_options
@json_option
def make(
    *,
    dest: str,
    with_keys: bool,
    objects: bool,
    keep: int | None,
    no_verify: bool,
    data: str | None,
    storage: str | None,
    as_json: bool,
) -> None:
    """Make a backup at DEST: a folder of backups, a file *.tar, or s3://BUCKET/PREFIX.

    The server may run meanwhile. A backup holds the databases, the settings without secrets, and
    how far each app has got; keys are named and left where they are. It is whole or not there, and
    it is proven by restoring it. Older ones are removed only after that.

    The passphrase of keys is asked for, or comes from LOCKGATE_BACKUP_PASSPHRASE, or from the file
    that the same name with _FILE says.
    """
    here = Invocation.here()
    settings = here.existing_server(data, storage)
    if keep is not None and dest.endswith(".tar"):
        raise UsageError(
            "one file holds one backup", subject="--keep", expected="a folder or s3://"
        )
    passphrase = read_passphrase(here.environ, twice=True) if with_keys else None
    wanted = Wanted(passphrase=passphrase, has_objects=objects)
    with open_place(dest) as place:
        manifest = _make(settings, here.environ, dest, place, wanted, is_proven=not no_verify)
        gone = prune(place, keep, spare=manifest.name) if keep is not None else ()
    if as_json:
        told: JsonObject = {
            **manifest.summary(),
            "dest": dest,
            "verified": not no_verify,
            "removed": list(gone),
        }
        print_json(told)
    else:
        _show(manifest)
        for name in gone:
            show(f"removed: {name}")
    _warn(manifest)


def _make(
    settings: ServerSettings,
    environ: Mapping[str, str],
    dest: str,
    place: Place,
    wanted: Wanted,
    *,
    is_proven: bool,
) -> Manifest:
    with Progress() as tell:
        manifest = make_backup(settings, environ, place, wanted, now=utc_now(), tell=tell)
        name = manifest.name if manifest.name in place.names() else place.names()[-1]
        if is_proven:
            with scratch_folder(settings.data) as scratch, place.open(name) as held:
                verify_backup(held, scratch, passphrase=wanted.passphrase, tell=tell)
    record = BackupRecord(
        to=dest,
        name=manifest.name,
        made_at=manifest.made_at,
        verified_at=utc_now() if is_proven else None,
        size_bytes=manifest.size_bytes,
        apps=len(manifest.apps),
    )
    write_record(settings.backup_file, record)
    return manifest


@backup.command()
@click.argument("path")
@click.option("--data", metavar="DIR", help="Where to unpack for a while. Default: the system's.")
@json_option
def verify(*, path: str, data: str | None, as_json: bool) -> None:
    """Restore a backup into a folder that goes again, and say whether it is whole.

    PATH is a backup, or where backups lie: then the newest is taken. Keys are decrypted where
    LOCKGATE_BACKUP_PASSPHRASE is set. Ends with 20 where it is damaged, 2 where it is none.
    """
    here = Invocation.here()
    passphrase = read_passphrase(here.environ, asks=False)
    above = here.folder / data if data else None
    with Progress() as tell, scratch_folder(above) as scratch, find_backup(path) as held:
        unpacked = verify_backup(held, scratch, passphrase=passphrase, tell=tell)
    if as_json:
        opened: JsonObject = {"keys_opened": sorted(unpacked.keys)}
        print_json({**unpacked.manifest.summary(), "verified": True, **opened})
        return
    _show(unpacked.manifest)
    _say_keys(unpacked)


@backup.command("list")
@click.argument("dest")
@json_option
def list_(*, dest: str, as_json: bool) -> None:
    """List the backups at DEST, oldest first. What broke off is none, and not listed."""
    with open_place(dest) as place:
        names = place.names()
    if as_json:
        print_json({"dest": dest, "backups": list(names)})
        return
    for name in names:
        show(name)


def read_passphrase(
    environ: Mapping[str, str], *, twice: bool = False, asks: bool = True
) -> bytes | None:
    """Return the passphrase of keys in backups, asked for on a terminal where nothing says it.

    Args:
        environ: The environment.
        twice: Whether a person has to type it twice.
        asks: Whether a person is asked; where not, None means that nobody said it.

    Raises:
        UsageError: Nobody is there to be asked.
        LocalError: The file that holds it cannot be read.
    """
    found = find_secret(PASSPHRASE, environ)
    if found is None and asks:
        if not sys.stdin.isatty():
            raise UsageError("no passphrase", expected=f"{PASSPHRASE}, or {PASSPHRASE}_FILE")
        found = click.prompt("Passphrase", hide_input=True, confirmation_prompt=twice, err=True)
    return None if found is None else found.encode()


def _show(manifest: Manifest) -> None:
    show(
        f"{manifest.name}: {len(manifest.files)} files, {format_bytes(manifest.size_bytes)}; "
        f"audit log up to entry {manifest.audit_number}"
    )
    for note in manifest.apps:
        state = "never signed" if note.highest is None else f"timestamp {note.highest.timestamp}"
        show(f"  {note.app}: {state}")


def _warn(manifest: Manifest) -> None:
    left = [key.where for key in manifest.keys if not key.is_included]
    if left:
        say(f"not in it: {', '.join(left)}. Keep a copy of each key somewhere else.")


def _say_keys(unpacked: Unpacked) -> None:
    held = [key.where for key in unpacked.manifest.keys if key.is_included]
    if held and not unpacked.keys:
        say(f"keys not tried: set {PASSPHRASE} to see whether they can be decrypted")
    elif held:
        show(f"  keys that can be decrypted: {', '.join(sorted(unpacked.keys))}")
