"""`lockgate-server storage refill`: a lost bucket, filled from a backup or a mirror."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from lockgate_release.errors import UsageError
from lockgate_release.names import AppName, parse_app_name
from lockgate_release.strict_json import Json, JsonObject
from lockgate_server.assembly import open_parts
from lockgate_server.backups.manifest import MANIFEST, is_backup_name
from lockgate_server.backups.places import find_backup
from lockgate_server.backups.refilling import Refill, is_in_store, plan_refill, refill
from lockgate_server.backups.scratch import scratch_folder
from lockgate_server.command.common import (
    Invocation,
    data_options,
    json_option,
    print_json,
    say,
    show,
)
from lockgate_server.command.progress import Progress, format_bytes
from lockgate_server.ports import Ledger, ObjectStore
from lockgate_server.stores.directory import DirectoryStore

__all__ = ["refill_command"]


@click.command("refill")
@click.argument("source")
@click.option("--app", "names", multiple=True, help="Only this app. Can be repeated.")
@click.option("--dry-run", is_flag=True, help="Verify everything, and copy nothing.")
@data_options
@json_option
def refill_command(
    *,
    source: str,
    names: tuple[str, ...],
    dry_run: bool,
    data: str | None,
    storage: str | None,
    as_json: bool,
) -> None:
    """Fill a store that was lost, from SOURCE: a backup with objects, or a folder of `mirror`.

    Everything is verified from each app's root, must be whole, and as new as the database says,
    before anything is copied; the pointer is copied last. An app that the store has is left alone.
    Killed anywhere, the same command goes on.
    """
    here = Invocation.here()
    settings = here.existing_server(data, storage)
    told: list[Json] = []
    with (
        Progress() as tell,
        open_parts(settings) as (store, ledger),
        scratch_folder(settings.data) as scratch,
        _opened(source, scratch) as found,
    ):
        for app in _wanted(ledger, names):
            if is_in_store(store, app):
                say(f"{app}: the store has it; left alone")
                told.append({"app": app, "done": False})
                continue
            plan = plan_refill(found, ledger, app, ledger.highest(app), scratch, tell=tell)
            if not dry_run:
                refill(found, store, plan, tell=tell)
            told.append(_describe(plan, done=not dry_run))
            if not as_json:
                _show(plan, done=not dry_run)
    if as_json:
        print_json({"apps": told})


def _describe(plan: Refill, *, done: bool) -> JsonObject:
    return {
        "app": plan.base.app,
        "timestamp_version": plan.base.timestamp_version,
        "objects": plan.objects + 1,
        "bytes": plan.size_bytes,
        "done": done,
    }


def _show(plan: Refill, *, done: bool) -> None:
    show(
        f"{plan.base.app}: timestamp {plan.base.timestamp_version}, {plan.objects + 1} objects, "
        f"{format_bytes(plan.size_bytes)} {'copied' if done else 'would be copied'}"
    )


def _wanted(ledger: Ledger, names: tuple[str, ...]) -> tuple[AppName, ...]:
    if names:
        return tuple(parse_app_name(name) for name in names)
    return ledger.apps()


@contextmanager
def _opened(source: str, scratch: Path) -> Iterator[ObjectStore]:
    folder = Path(source)
    is_backup = (folder / MANIFEST).is_file() or any(
        is_backup_name(path.name) for path in (folder.iterdir() if folder.is_dir() else ())
    )
    if is_backup or not folder.is_dir():
        with find_backup(source) as held, held.objects(scratch) as store:
            yield store
        return
    if not any((path / "metadata").is_dir() for path in folder.iterdir()):
        raise UsageError(
            "neither a backup nor a mirror", subject=source, expected="APP/metadata/ in it"
        )
    # The store may make folders of its own: in scratch, with the mirror seen through a link.
    (scratch / "mirror").symlink_to(folder.resolve())
    yield DirectoryStore(scratch / "mirror")
