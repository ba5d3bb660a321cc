"""A backup, made while the server runs.

1. The ledger is copied first, so that what it says is never newer than the objects.
2. Then each app's pointer is read, then everything that may be below it, and the pointer is written
   last: whatever it names was there before it.
3. Keys are named, not copied, unless a passphrase is there to encrypt them with.
4. A copy of the ledger does not say how far an app had got: the manifest does. Put in place as it
   is, it makes the server refuse to sign until the state is confirmed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import LocalError, StaleMirrorError, UsageError
from lockgate_release.layout import timestamp_key
from lockgate_release.names import AppName
from lockgate_release.strict_json import dump_json
from lockgate_server import __version__
from lockgate_server.backups.manifest import (
    LEDGER,
    OBJECTS,
    REPORTS,
    SETTINGS,
    AppNote,
    FileNote,
    KeyNote,
    Manifest,
    backup_name,
)
from lockgate_server.backups.places import Draft, Place
from lockgate_server.backups.scratch import scratch_folder
from lockgate_server.backups.settings_told import describe_settings, key_variables
from lockgate_server.ports import ObjectStore
from lockgate_server.services.objects import read_object
from lockgate_server.services.read.files import find_file
from lockgate_server.services.write.streams import ChunkSource
from lockgate_server.settings import ServerSettings
from lockgate_server.stores.disk import disk_errors
from lockgate_server.stores.factory import open_store
from lockgate_server.stores.ledger_migrations import SCHEMA as LEDGER_SCHEMA
from lockgate_server.stores.report_migrations import SCHEMA as REPORTS_SCHEMA
from lockgate_server.stores.sqlite_copies import copy_database, forget_state, seal
from lockgate_server.stores.sqlite_ledger import SqliteLedger

__all__ = ["LEAST_PASSPHRASE", "Wanted", "is_copied", "make_backup", "prune"]

LEAST_PASSPHRASE = 12
"""The fewest characters of a passphrase: whoever has the backup can try as many as they like."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a backup is to hold, beside the databases and the settings.

    Attributes:
        passphrase: What the keys are encrypted with; None leaves them out.
        has_objects: Whether what clients read is part of it.
    """

    passphrase: bytes | None = None
    has_objects: bool = False

    def __post_init__(self) -> None:
        """Refuse a passphrase that is none.

        Raises:
            UsageError: It is too short.
        """
        if self.passphrase is not None and len(self.passphrase) < LEAST_PASSPHRASE:
            raise UsageError(
                "too short a passphrase",
                subject="keys in a backup",
                expected=f"at least {LEAST_PASSPHRASE} characters",
                found=f"{len(self.passphrase)}",
            )


def make_backup(
    settings: ServerSettings,
    environ: Mapping[str, str],
    place: Place,
    wanted: Wanted,
    *,
    now: datetime,
    tell: Tell = lambda _: None,
) -> Manifest:
    """Make a backup, whole or not at all, and return what it says of itself.

    Raises:
        LocalError: Something cannot be read, or the backup cannot be written.
        TransportError: A bucket does not answer.
        RepositoryError: The store has lost the state of an app.
        ConflictError: There is a backup of this second.
    """
    name = backup_name(now)
    with scratch_folder(settings.data) as scratch, place.begin(name) as draft:
        tell("the databases")
        apps, number, sha256 = _copy_ledger(settings, scratch)
        files = [_add_file(draft, LEDGER, scratch / LEDGER)]
        if settings.reports_path.exists():
            copy_database(settings.reports_path, scratch / REPORTS, REPORTS_SCHEMA)
            files.append(_add_file(draft, REPORTS, scratch / REPORTS))
        told = dump_json(describe_settings(settings, environ))
        files.append(draft.add(SETTINGS, io.BytesIO(told), len(told)))
        keys, key_files = _add_keys(draft, settings, environ, wanted.passphrase)
        files += key_files
        if wanted.has_objects:
            files += _add_objects(draft, settings, apps, tell)
        manifest = Manifest(
            name=name,
            made_at=now,
            version=__version__,
            storage=settings.store_address,
            apps=apps,
            keys=keys,
            files=tuple(files),
            audit_number=number,
            audit_sha256=sha256,
        )
        draft.finish(manifest.to_bytes())
    return manifest


def prune(place: Place, keep: int, *, spare: str) -> tuple[str, ...]:
    """Remove all but the newest backups, and return the names of those that are gone.

    Args:
        place: Where they lie.
        keep: How many stay, > 0.
        spare: One that stays in any case.

    Raises:
        LocalError: One cannot be removed.
    """
    gone = [name for name in place.names()[:-keep] if name != spare]
    for name in gone:
        place.remove(name)
    return tuple(gone)


def _copy_ledger(settings: ServerSettings, scratch: Path) -> tuple[tuple[AppNote, ...], int, str]:
    copy = scratch / LEDGER
    copy_database(settings.ledger_path, copy, LEDGER_SCHEMA)
    ledger = SqliteLedger(copy)
    try:
        apps = tuple(
            AppNote(
                app=app,
                root_sha256=digest_bytes(ledger.pinned_root(app) or b""),
                highest=ledger.highest(app),
            )
            for app in ledger.apps()
        )
        newest = ledger.audit(None, limit=1)
    finally:
        ledger.close()
    forget_state(copy, LEDGER_SCHEMA)
    seal(copy, LEDGER_SCHEMA)
    return apps, newest[0].number if newest else 0, newest[0].chain_sha256 if newest else ""


def _add_file(draft: Draft, path: str, source: Path) -> FileNote:
    with disk_errors(str(source)), source.open("rb") as file:
        return draft.add(path, file, source.stat().st_size)


def _add_keys(
    draft: Draft, settings: ServerSettings, environ: Mapping[str, str], passphrase: bytes | None
) -> tuple[tuple[KeyNote, ...], list[FileNote]]:
    notes, files = [], []
    for path in sorted((settings.data / "keys").glob("*.pem")):
        where = f"keys/{path.name}"
        key_id, locked = _lock_key(path, passphrase)
        if locked is not None:
            files.append(draft.add(where, io.BytesIO(locked), len(locked)))
        notes.append(KeyNote(where=where, key_id=key_id, is_included=locked is not None))
    notes += [KeyNote(where=name, key_id="", is_included=False) for name in key_variables(environ)]
    return tuple(notes), files


def _lock_key(path: Path, passphrase: bytes | None) -> tuple[str, bytes | None]:
    """Return a key's id, and the key encrypted, where there is a passphrase."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
        key_id = CryptoSigner(key).public_key.keyid
    except (OSError, ValueError, TypeError) as exc:
        raise LocalError("a key cannot be read", subject=str(path), found=str(exc)[:200]) from exc
    if passphrase is None:
        return key_id, None
    lock = BestAvailableEncryption(passphrase)
    return key_id, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


def is_copied(app: AppName, key: str) -> bool:
    """Whether an object belongs into a copy of a store, apart from the pointer.

    Uploads and what is being removed do not. Neither do the copies of channels: they may be newer
    than the pointer, and the server makes them again.
    """
    path = key.removeprefix(f"{app}/")
    is_beside = path.startswith("channels/") or key == timestamp_key(app)
    return not is_beside and find_file(app, path) is not None


def _add_objects(
    draft: Draft, settings: ServerSettings, apps: tuple[AppNote, ...], tell: Tell
) -> Iterator[FileNote]:
    with _opened(settings.store_address) as store:
        for note in apps:
            if note.highest is not None:
                yield from _add_app(draft, store, note.app, tell)


def _add_app(draft: Draft, store: ObjectStore, app: AppName, tell: Tell) -> Iterator[FileNote]:
    pointer = read_object(store, timestamp_key(app))
    if pointer is None:
        raise StaleMirrorError("the store has lost its state", subject=timestamp_key(app))
    for count, info in enumerate(store.list(f"{app}/"), 1):
        found = store.open(info.key) if is_copied(app, info.key) else None
        if found is not None:
            tell(f"{app}: {count} objects")
            with found:
                source = ChunkSource(found.chunks())
                yield draft.add(f"{OBJECTS}{info.key}", source, found.info.size_bytes)
    data = pointer.data
    yield draft.add(f"{OBJECTS}{timestamp_key(app)}", io.BytesIO(data), len(data))


@contextmanager
def _opened(address: str) -> Iterator[ObjectStore]:
    store = open_store(address)
    try:
        yield store
    finally:
        store.close()
