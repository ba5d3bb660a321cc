"""The server's own parts: store, database, keys, clock, addresses, backups."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lockgate_release.errors import LockgateError
from lockgate_server.assembly import make_write_deps, refuse_unfit_store
from lockgate_server.backups.places import open_place
from lockgate_server.ports import Ledger, ObjectStore
from lockgate_server.preflight.findings import Finding, failed, fine, warning
from lockgate_server.services.read.checks import Level, judge_clock
from lockgate_server.services.write.key_check import find_key_problem
from lockgate_server.settings import ServerSettings
from lockgate_server.stores.factory import find_clock, open_store
from lockgate_server.stores.sqlite_ledger import SqliteLedger

__all__ = [
    "look_at_address",
    "look_at_backups",
    "look_at_key_files",
    "look_at_parts",
    "objects_folder",
]

_OTHERS = 0o077


def look_at_parts(
    settings: ServerSettings, environ: Mapping[str, str], now: datetime
) -> Iterator[Finding]:
    """Yield how store, database, keys and clock are. The store is written to, below health/probe/.

    A database is not made by looking.
    """
    if settings.restore_file.exists():
        hint = "Run the same lockgate-server restore again."
        yield failed("restore", "a restore broke off in the folder", hint)
    missing = _missing_store(settings)
    if missing is not None:
        yield missing
        return
    try:
        store = open_store(settings.store_address)
    except LockgateError as exc:
        yield failed("store", exc.what, exc.hint)
        return
    try:
        yield _look_at_store(settings, store)
        if not settings.ledger_path.exists():
            yield fine("database", f"{settings.ledger_path} will be made")
            yield _look_at_clock(store, None, now)
            return
        yield from _look_at_ledger(settings, environ, store, now)
    finally:
        store.close()


def _missing_store(settings: ServerSettings) -> Finding | None:
    """Return what is to be said of a folder of objects that is not there: it is not made here."""
    folder = objects_folder(settings)
    if folder is None or folder.is_dir():
        return None
    if settings.ledger_path.exists():
        hint = "Look at `storage`; docs/how-to/lost-bucket.md, if it is lost."
        return failed("store", f"{folder} is not there, and the database is", hint)
    return fine("store", f"{folder} will be made, and {settings.ledger_path.name}")


def objects_folder(settings: ServerSettings) -> Path | None:
    """Return the folder of objects, or None where they are in a bucket."""
    parts = urlsplit(settings.store_address)
    if parts.scheme not in {"", "file"}:
        return None
    return Path(unquote(parts.path)) if parts.scheme else Path(settings.storage)


def _look_at_store(settings: ServerSettings, store: ObjectStore) -> Finding:
    try:
        refuse_unfit_store(settings, store)
    except LockgateError as exc:
        return failed("store", f"{settings.store_address}: {exc.what}", exc.hint or exc.found)
    return fine("store", f"{settings.store_address}: fit for releases")


def _look_at_ledger(
    settings: ServerSettings, environ: Mapping[str, str], store: ObjectStore, now: datetime
) -> Iterator[Finding]:
    try:
        ledger = SqliteLedger(settings.ledger_path)
    except LockgateError as exc:
        yield failed("database", f"{settings.ledger_path}: {exc.what}", exc.hint)
        return
    try:
        if not ledger.is_usable():
            yield failed("database", f"{settings.ledger_path} takes no write")
            return
        broken = ledger.verify_audit()
        if broken is None:
            yield fine("database", f"{settings.ledger_path}, {len(ledger.apps())} apps")
        else:
            hint = "Find out who changed it; a backup has the log as it was."
            yield warning("database", f"the audit log was changed at entry {broken}", hint)
        yield _look_at_clock(store, _newest(ledger), now)
        yield from _look_at_keys(settings, environ, store, ledger)
    except LockgateError as exc:
        yield failed("database", f"{settings.ledger_path}: {exc.what}", exc.hint)
    finally:
        ledger.close()


def _newest(ledger: Ledger) -> datetime | None:
    newest = ledger.audit(None, limit=1)
    return newest[0].at if newest else None


def _look_at_clock(store: ObjectStore, newest: datetime | None, now: datetime) -> Finding:
    store_now = None
    with suppress(LockgateError):  # the store says for itself that it cannot be asked
        store_now = find_clock(store)
    check = judge_clock(now, newest, store_now)
    if check.level is Level.OK:
        known = "the audit log" if newest is not None else "nothing"
        held = "the bucket's" if store_now is not None else known
        return fine("clock", f"{now:%Y-%m-%dT%H:%M:%SZ}, held against {held}")
    found = "; ".join((check.reason, *check.details))
    hint = "Set the clock, and let it be kept right (NTP)."
    return Finding(name="clock", level=check.level, found=found, hint=hint)


def _look_at_keys(
    settings: ServerSettings, environ: Mapping[str, str], store: ObjectStore, ledger: Ledger
) -> Iterator[Finding]:
    deps = make_write_deps(settings, environ, store, ledger)
    try:
        for app in ledger.apps():
            if ledger.highest(app) is None:
                continue
            why = find_key_problem(deps, app)
            if why is None:
                yield fine(f"key of {app}", "is the one that root names")
            else:
                hint = "Bring it back from a backup, or let maintainers name a new one."
                yield failed(f"key of {app}", why, hint)
    finally:
        deps.reports.close()


def look_at_key_files(folder: Path) -> Iterator[Finding]:
    """Yield how the key files are: whether they can be read, and by whom."""
    if not folder.is_dir():
        return
    for path in (folder, *sorted(folder.glob("*.pem"))):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & _OTHERS:
            yield failed(
                "key files",
                f"{path}, mode {mode:04o}: others can read it",
                f"chmod {'700' if path.is_dir() else '600'} {path}, and think of a new key.",
            )
        elif path.is_dir():
            yield fine("key files", f"{path}, mode {mode:04o}")
        else:
            yield from _look_at_key_file(path)


def _look_at_key_file(path: Path) -> Iterator[Finding]:
    try:
        load_pem_private_key(path.read_bytes(), password=None)
    except OSError as exc:
        yield failed("key files", f"{path} cannot be read: {exc.strerror}", "Look at its owner.")
    except (ValueError, TypeError, UnsupportedAlgorithm):
        hint = "An unencrypted PKCS#8 PEM is expected."
        yield failed("key files", f"{path} is not a key that the server can use", hint)


def look_at_address(name: str, address: tuple[str, int], run_file: Path) -> Finding:
    """Return whether an address can be served."""
    host, port = address
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if port == 0:
        return fine(name, f"{shown}: any free port")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.create_server(address, family=family):
            return fine(name, f"{shown} is free")
    except OSError as exc:
        if _is_running(run_file):
            return fine(name, f"{shown} is taken, by the server that runs in this folder")
        found = f"{shown} cannot be used: {exc.strerror or exc}"
        return failed(name, found, "Is another server running there?")


def _is_running(run_file: Path) -> bool:
    try:
        os.kill(int(json.loads(run_file.read_bytes())["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def look_at_backups(settings: ServerSettings) -> Finding:
    """Return whether backups are made, and where they go can be reached."""
    to = settings.backing.to
    if not to:
        return fine("backups", "none are made by the server itself (backup_to)")
    try:
        with open_place(to) as place:
            names = place.names()
    except LockgateError as exc:
        return failed("backups", f"{to}: {exc.what}", exc.hint)
    return fine("backups", f"{to}: {len(names)}, the newest {names[-1] if names else 'none yet'}")
