"""From settings to what changes need. Here, and in `children.public`, adapters are chosen."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from lockgate_release.errors import LocalError, UsageError
from lockgate_release.instants import utc_now
from lockgate_server.backups.drafts import remove_dead_drafts
from lockgate_server.keys import KeyRing
from lockgate_server.ports import Ledger, ObjectStore
from lockgate_server.ports.uploads import DirectUploads
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.settings import ServerSettings, UploadRoute
from lockgate_server.stores.factory import find_room, find_uploads, open_store
from lockgate_server.stores.probing.checking import Surroundings, refuse_weak_store
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from lockgate_server.stores.sqlite_reports import SqliteReportLedger

__all__ = [
    "make_folder",
    "make_write_deps",
    "open_ledger",
    "open_parts",
    "open_write_deps",
    "prepare",
    "refuse_half_restored",
    "refuse_unfit_store",
]


def prepare(settings: ServerSettings) -> None:
    """Make the folder and the database, and find out at once whether everything can be used.

    Raises:
        LocalError: They cannot.
        UsageError: The store's address is none.
        TransportError: The store does not answer.
        WeakStoreError: The store lacks something without which releases would not be safe.
    """
    make_folder(settings)
    refuse_half_restored(settings)
    remove_dead_drafts(settings.data)
    with open_parts(settings) as (store, ledger):
        refuse_unfit_store(settings, store)
        _choose_uploads(settings, store)
        if not ledger.is_usable():
            raise LocalError("the database cannot be used", subject=str(settings.ledger_path))


def refuse_half_restored(settings: ServerSettings) -> None:
    """Return when no restore has broken off in the folder.

    Raises:
        LocalError: One has: database, keys or files may be missing.
    """
    if settings.restore_file.exists():
        raise LocalError(
            "a restore broke off in this folder",
            subject=str(settings.data),
            hint="Run the same lockgate-server restore again: it goes on where it was.",
        )


def refuse_unfit_store(settings: ServerSettings, store: ObjectStore) -> None:
    """Return when a store has what is needed, tried out by a few small requests.

    Raises:
        WeakStoreError: The store lacks something without which releases would not be safe.
        TransportError: The store does not answer.
        LocalError: The store cannot be asked.
    """
    around = Surroundings(run=secrets.token_hex(8), now=utc_now, sleep=time.sleep)
    refuse_weak_store(store, settings.store_address, around)


def make_folder(settings: ServerSettings) -> None:
    """Make the server's folder, if need be.

    Raises:
        LocalError: It cannot be made.
    """
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise LocalError(
            "the data folder cannot be made",
            subject=str(settings.data),
            found=exc.strerror or str(exc),
        ) from exc


@contextmanager
def open_ledger(settings: ServerSettings) -> Iterator[Ledger]:
    """Open the ledger alone, and close it at the end.

    Raises:
        LocalError: It cannot be opened.
    """
    ledger = SqliteLedger(settings.ledger_path)
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def open_parts(settings: ServerSettings) -> Iterator[tuple[ObjectStore, Ledger]]:
    """Open store and ledger, and close both at the end.

    Raises:
        LocalError: They cannot be opened.
        UsageError: The store's address is none.
    """
    store = open_store(settings.store_address)
    try:
        with open_ledger(settings) as ledger:
            yield store, ledger
    finally:
        store.close()


@contextmanager
def open_write_deps(settings: ServerSettings, environ: Mapping[str, str]) -> Iterator[WriteDeps]:
    """Open what changes need, and close it at the end.

    Raises:
        LocalError: It cannot be opened.
        UsageError: The store's address is none.
    """
    with open_parts(settings) as (store, ledger):
        deps = make_write_deps(settings, environ, store, ledger)
        try:
            yield deps
        finally:
            deps.reports.close()


def make_write_deps(
    settings: ServerSettings, environ: Mapping[str, str], store: ObjectStore, ledger: Ledger
) -> WriteDeps:
    """Return what changes need, over a store and a ledger that are open."""
    return WriteDeps(
        store=store,
        ledger=ledger,
        keys=KeyRing(settings.data / "keys", environ),
        now=utc_now,
        random_hex=secrets.token_hex,
        sleep=time.sleep,
        reports=SqliteReportLedger(settings.reports_path),
        uploads=_choose_uploads(settings, store),
        parts=find_uploads(store),
        room=partial(find_room, store),
        patience=settings.patience,
    )


def _choose_uploads(settings: ServerSettings, store: ObjectStore) -> DirectUploads | None:
    if settings.uploads is UploadRoute.SERVER:
        return None
    found = find_uploads(store)
    if found is None and settings.uploads is UploadRoute.DIRECT:
        raise UsageError(
            "clients cannot send to this store by themselves",
            subject="uploads",
            expected="a bucket, or uploads = auto",
            found="direct",
        )
    return found
