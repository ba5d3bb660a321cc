"""A backup proven by restoring it, into a folder that goes again.

1. Every file has the length and the digest that the manifest says.
2. The databases open, SQLite finds no damage, the audit log is whole, and the apps and their roots
   are those of the manifest.
3. Keys can be decrypted, where there is a passphrase, and are those of the manifest; where there is
   none, they are encrypted at least.
4. Where there are objects, each app's state is verified from its root, is as new as the manifest
   says, and everything a client may ask for is there, as it was signed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import (
    DigestMismatchError,
    DocumentError,
    LocalError,
    RepositoryError,
    UsageError,
)
from lockgate_release.instants import utc_now
from lockgate_release.names import AppName
from lockgate_server.backups.drafts import HashedReader, write_file
from lockgate_server.backups.manifest import (
    LEDGER,
    MANIFEST,
    OBJECTS,
    REPORTS,
    AppNote,
    FileNote,
    KeyNote,
    Manifest,
    parse_manifest,
)
from lockgate_server.backups.places import Held
from lockgate_server.keys import KeyRing
from lockgate_server.ports import Ledger, ObjectStore
from lockgate_server.services.collect.verifying import verify_app
from lockgate_server.services.collect.walking import Fault
from lockgate_server.services.write.base import check_recorded, read_base
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.streams import ChunkSource
from lockgate_server.stores.disk import disk_errors
from lockgate_server.stores.ledger_migrations import SCHEMA as LEDGER_SCHEMA
from lockgate_server.stores.report_migrations import SCHEMA as REPORTS_SCHEMA
from lockgate_server.stores.sqlite_copies import check_whole
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from lockgate_server.stores.sqlite_reports import SqliteReportLedger

__all__ = ["Unpacked", "find_faults", "objects_deps", "unpack", "verify_backup"]

_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A backup's small files, in a folder as a server has them, each as the manifest says.

    Attributes:
        folder: Where they are; keys as PEM files that are still encrypted.
        manifest: What the backup says of itself.
        keys: The private keys, by file name, as far as they could be decrypted.
    """

    folder: Path
    manifest: Manifest
    keys: dict[str, CryptoSigner]


def verify_backup(
    held: Held, scratch: Path, *, passphrase: bytes | None = None, tell: Tell = lambda _: None
) -> Unpacked:
    """Restore a backup into a folder that goes again, and return it (rules 1 to 4).

    Raises:
        UsageError: It is not whole, or no backup.
        RepositoryError: It is damaged, or not what it says.
        LocalError: It cannot be read, or not be unpacked.
    """
    unpacked = unpack(held, scratch, passphrase=passphrase, tell=tell)
    manifest = unpacked.manifest
    if manifest.has_objects:
        with held.objects(scratch) as store, _ledger(scratch) as ledger:
            for note in manifest.apps:
                _check_app(objects_deps(store, ledger, scratch), note, tell)
    return unpacked


def unpack(
    held: Held, scratch: Path, *, passphrase: bytes | None = None, tell: Tell = lambda _: None
) -> Unpacked:
    """Unpack a backup's small files, and check all of them and the objects' digests (1 to 3).

    Raises:
        As `verify_backup` does.
    """
    manifest = _read_manifest(held)
    for count, note in enumerate(manifest.files, 1):
        tell(f"{count} of {len(manifest.files)} files")
        _unpack_file(held, note, scratch)
    for path in (LEDGER, *(key.where for key in manifest.keys if key.is_included)):
        if manifest.find(path) is None:
            raise _damaged(path, "a file of the backup", "not in the manifest")
    check_whole(scratch / LEDGER, LEDGER_SCHEMA)
    with _ledger(scratch) as ledger:
        _check_ledger(ledger, manifest)
    if manifest.find(REPORTS) is not None:
        check_whole(scratch / REPORTS, REPORTS_SCHEMA)
    keys = {
        Path(key.where).name: signer
        for key in manifest.keys
        if key.is_included
        for signer in [_unlock(scratch / key.where, key, passphrase)]
        if signer is not None
    }
    return Unpacked(folder=scratch, manifest=manifest, keys=keys)


def objects_deps(store: ObjectStore, ledger: Ledger, scratch: Path) -> WriteDeps:
    """Return what looking through a store takes; there is no key to sign anything with."""
    return WriteDeps(
        store=store,
        ledger=ledger,
        keys=KeyRing(scratch / "none", {}),
        now=utc_now,
        random_hex=secrets.token_hex,
        sleep=time.sleep,
        reports=SqliteReportLedger(scratch / "none.sqlite3"),
    )


def _read_manifest(held: Held) -> Manifest:
    try:
        return parse_manifest(b"".join(held.chunks(MANIFEST)), subject=MANIFEST)
    except DocumentError as exc:
        raise UsageError(
            "not a backup that this version can read", subject=exc.subject, found=exc.what
        ) from exc


def _unpack_file(held: Held, note: FileNote, scratch: Path) -> None:
    reader = HashedReader(ChunkSource(held.chunks(note.path)))
    if note.path.startswith(OBJECTS):
        while reader.read(1 << 20):
            pass
    else:
        target = scratch / note.path
        with disk_errors(str(target)):
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_file(target, reader)
    found = reader.note(note.path)
    if found != note:
        expected = f"{note.sha256}, {note.size_bytes} bytes"
        raise _damaged(note.path, expected, f"{found.sha256}, {found.size_bytes} bytes")


@contextmanager
def _ledger(scratch: Path) -> Iterator[Ledger]:
    ledger = SqliteLedger(scratch / LEDGER)
    try:
        yield ledger
    finally:
        ledger.close()


def _check_ledger(ledger: Ledger, manifest: Manifest) -> None:
    broken = ledger.verify_audit()
    if broken is not None:
        raise _damaged(LEDGER, "an audit log that nobody changed", f"changed at entry {broken}")
    newest = ledger.audit(None, limit=1)
    found = (newest[0].number, newest[0].chain_sha256) if newest else (0, "")
    if found != (manifest.audit_number, manifest.audit_sha256):
        raise _damaged(LEDGER, f"audit entry {manifest.audit_number}", f"entry {found[0]}")
    roots = {app: digest_bytes(ledger.pinned_root(app) or b"") for app in ledger.apps()}
    if roots != {note.app: note.root_sha256 for note in manifest.apps}:
        raise _damaged(LEDGER, "the apps and roots of the manifest", "others")
    for app in roots:
        if ledger.highest(app) is not None:
            raise _damaged(LEDGER, "no state that nobody has confirmed", f"a state of {app}")


def _unlock(path: Path, note: KeyNote, passphrase: bytes | None) -> CryptoSigner | None:
    data = path.read_bytes()
    if not data.startswith(_ENCRYPTED):
        raise _damaged(note.where, "an encrypted key", "one that is not")
    if passphrase is None:
        return None
    try:
        signer = CryptoSigner(load_pem_private_key(data, password=passphrase))
    except (ValueError, TypeError) as exc:
        raise LocalError(
            "the passphrase does not open the key", subject=note.where, found=str(exc)[:80]
        ) from exc
    if signer.public_key.keyid != note.key_id:
        raise _damaged(note.where, note.key_id, signer.public_key.keyid)
    return signer


def _check_app(deps: WriteDeps, note: AppNote, tell: Tell) -> None:
    if note.highest is None:
        return
    base = read_base(deps.store, deps.ledger, note.app)
    check_recorded(replace(base, recorded=note.highest))
    for fault in find_faults(deps, note.app, tell):
        raise _damaged(fault.key, "what was signed", fault.what)


def find_faults(deps: WriteDeps, app: AppName, tell: Tell) -> Sequence[Fault]:
    """Return what a client would miss in a store, apart from the copies of channels.

    Those are not copied: the server makes them again.

    Raises:
        LockgateError: As `verify_app` does.
    """
    found = verify_app(deps, app, tell=tell)
    copies = f"{app}/channels/"
    faults = (*found.missing, *found.damaged)
    return [fault for fault in faults if not fault.key.startswith(copies)]


def _damaged(subject: str, expected: str, found: str) -> RepositoryError:
    return DigestMismatchError(
        "the backup is damaged",
        subject=subject,
        expected=expected,
        found=found,
        hint="Use another one, and find out what became of this.",
    )
