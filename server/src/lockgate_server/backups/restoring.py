"""A backup put back, into a folder without a database.

1. Everything is unpacked and proven beside the folder's files before any of them is there.
2. Nothing is overwritten. Report counts and keys that are there stay: they are newer.
3. A store that is older than the backup says was put back, or lost: nothing is restored for it.
4. How far an app has got since the backup, only people and the store know. An app counts as
   confirmed where a person names the number of its newest timestamp, or takes the store at its
   word; the server signs nothing for one that is not, until `lockgate-server rebuild` names it.
5. An app that the store has lost is held to what the backup says of it, until the store has it.
6. The database comes last, and by one link: before that there is no server in the folder, and a
   note says so, so that none is started. The same command again goes on where a kill ended it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import (
    LocalError,
    UsageError,
)
from lockgate_release.instants import format_instant
from lockgate_release.layout import timestamp_key
from lockgate_release.names import AppName
from lockgate_release.strict_json import JsonObject
from lockgate_release.trust.keys import write_private_key
from lockgate_server.backups.drafts import sync_folder
from lockgate_server.backups.manifest import LEDGER, REPORTS, AppNote, Manifest
from lockgate_server.backups.notes import note_begun, note_done
from lockgate_server.backups.places import Held
from lockgate_server.backups.refilling import Refill, is_in_store, make_copies, plan_refill, refill
from lockgate_server.backups.verifying import Unpacked
from lockgate_server.ports import Highest, Intent, Ledger, ObjectStore
from lockgate_server.services.objects import read_object
from lockgate_server.services.write.base import check_recorded, highest_of
from lockgate_server.services.write.deps import Caller
from lockgate_server.services.write.rebuilding import Found, check_named, find_state
from lockgate_server.settings import ServerSettings
from lockgate_server.stores.disk import disk_errors
from lockgate_server.stores.ledger_migrations import SCHEMA as LEDGER_SCHEMA
from lockgate_server.stores.sqlite_copies import seal
from lockgate_server.stores.sqlite_ledger import SqliteLedger

__all__ = [
    "AppPlan",
    "Fate",
    "Named",
    "RestorePlan",
    "carry_out",
    "missing_keys",
    "plan_restore",
    "put_keys",
]

Tell = Callable[[str], None]


class Fate(StrEnum):
    """What becomes of an app."""

    CONFIRMED = "confirmed"
    """Its state in the store is the newest; the server may sign on."""
    UNCONFIRMED = "unconfirmed"
    """The server signs nothing for it until somebody names its newest state."""
    REFILLED = "refilled"
    """The store had lost it; its objects come from the backup."""
    LOST = "lost"
    """The store has lost it. Nothing is signed until it has it again, as new as the backup says."""
    NEVER_SIGNED = "never signed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a person says of the newest states.

    Attributes:
        numbers: The newest timestamp's number, by app.
        believes_store: Whether the store is taken at its word for the others.
        may_wait: Whether an app may stay unconfirmed.
        goes_on: Whether a restore of this backup broke off here: it may have filled the store.
    """

    numbers: Mapping[AppName, int] = field(default_factory=dict)
    believes_store: bool = False
    may_wait: bool = False
    goes_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPlan:
    """What becomes of an app, and why.

    Attributes:
        note: What the backup says of it.
        fate: What becomes of it.
        found: Its state in the store, where it is confirmed.
        source: Its state in the backup, where its objects come from there.
        why: Why it is not confirmed, or "".
    """

    note: AppNote
    fate: Fate
    found: Found | None = None
    source: Refill | None = None
    why: str = ""

    @property
    def highest(self) -> Highest | None:
        """What is written into the database as the newest state; None leaves it unconfirmed."""
        if self.found is not None:
            return highest_of(self.found.base)
        if self.source is not None:
            return highest_of(self.source.base)
        return self.note.highest if self.fate is Fate.LOST else None

    def describe(self) -> JsonObject:
        """Return it as JSON."""
        highest = self.highest
        return {
            "app": self.note.app,
            "fate": self.fate.value,
            "timestamp_version": None if highest is None else highest.timestamp,
            "backup_timestamp_version": (
                None if self.note.highest is None else self.note.highest.timestamp
            ),
            "why": self.why,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """What is to be done.

    Attributes:
        unpacked: The backup, proven.
        apps: What becomes of each app.
        kept: Files that are in the folder already, and stay.
    """

    unpacked: Unpacked
    apps: tuple[AppPlan, ...]
    kept: tuple[str, ...]

    @property
    def manifest(self) -> Manifest:
        """What the backup says of itself."""
        return self.unpacked.manifest


def plan_restore(
    settings: ServerSettings,
    unpacked: Unpacked,
    store: ObjectStore | None,
    source: ObjectStore | None,
    named: Named,
    *,
    tell: Tell = lambda _: None,
) -> RestorePlan:
    """Return what is to be done; nothing is written (rules 1 to 5).

    Args:
        settings: Where the server will keep things.
        unpacked: The backup, proven.
        store: The object store; None where it is not to be asked.
        source: The backup's own objects, where they may be put back.
        named: What a person says of the newest states.
        tell: Told how far it is.

    Raises:
        UsageError: Nobody has named an app's newest state.
        StaleMirrorError: The store is older than the backup, or than was named.
        ConflictError: The store is newer than was named.
        RepositoryError: What the store holds cannot be verified.
        TransportError: The store does not answer.
    """
    unknown = {*named.numbers} - {note.app for note in unpacked.manifest.apps}
    if unknown:
        raise UsageError("no such app in the backup", subject=", ".join(sorted(unknown)))
    with _ledger(unpacked) as ledger:
        apps = tuple(
            _plan_app(unpacked, ledger, note, store, source, named, tell)
            for note in unpacked.manifest.apps
        )
    return RestorePlan(unpacked=unpacked, apps=apps, kept=_kept(settings, unpacked))


def _plan_app(
    unpacked: Unpacked,
    ledger: Ledger,
    note: AppNote,
    store: ObjectStore | None,
    source: ObjectStore | None,
    named: Named,
    tell: Tell,
) -> AppPlan:
    if note.highest is None:
        return AppPlan(note=note, fate=Fate.NEVER_SIGNED)
    if store is None:
        return AppPlan(note=note, fate=Fate.UNCONFIRMED, why="the store was not asked")
    if not is_in_store(store, note.app):
        if source is None:
            return AppPlan(note=note, fate=Fate.LOST, why="the store has lost it")
        plan = plan_refill(source, ledger, note.app, note.highest, unpacked.folder, tell=tell)
        return AppPlan(note=note, fate=Fate.REFILLED, source=plan)
    found = find_state(store, note.app, ledger.pinned_root(note.app))
    check_recorded(replace(found.base, recorded=note.highest))
    if named.goes_on and source is not None and _is_from(source, found):
        return AppPlan(note=note, fate=Fate.REFILLED, found=found)
    return _confirm(note, found, named)


def _is_from(source: ObjectStore, found: Found) -> bool:
    """Whether a state is the very one that the backup holds."""
    pointer = read_object(source, timestamp_key(found.base.app))
    return pointer is not None and pointer.data == found.base.chain.timestamp.data


def _confirm(note: AppNote, found: Found, named: Named) -> AppPlan:
    number = named.numbers.get(note.app)
    if number is None and not named.believes_store:
        if named.may_wait:
            return AppPlan(
                note=note, fate=Fate.UNCONFIRMED, why="nobody has named its newest state"
            )
        raise UsageError(
            "nobody has named the newest state",
            subject=note.app,
            expected=f"--at {note.app}=NUMBER",
            found=f"the store says {found.base.timestamp_version}",
            hint="Or --yes, if the store cannot have been put back; or --unconfirmed, to name it "
            "later by lockgate-server rebuild.",
        )
    check_named(found, number)
    return AppPlan(note=note, fate=Fate.CONFIRMED, found=found)


def _kept(settings: ServerSettings, unpacked: Unpacked) -> tuple[str, ...]:
    names = [REPORTS, *(f"keys/{name}" for name in sorted(unpacked.keys))]
    return tuple(name for name in names if (settings.data / name).exists())


def carry_out(
    settings: ServerSettings,
    plan: RestorePlan,
    store: ObjectStore | None,
    held: Held,
    caller: Caller,
    *,
    now: datetime,
    tell: Tell = lambda _: None,
) -> None:
    """Do what was planned (rule 6).

    Raises:
        LocalError: The disk is in the way.
        ConflictError: Somebody else was faster.
        TransportError: The store does not answer.
    """
    data, unpacked = settings.data, plan.unpacked
    note_begun(settings, plan.manifest)
    _refill(plan, store, held, tell)
    tell("keys and databases")
    put_keys(settings, unpacked)
    _record(plan, caller, now)
    if plan.manifest.find(REPORTS) is not None and not (data / REPORTS).exists():
        _put_in_place(unpacked.folder / REPORTS, data / REPORTS)
    _put_in_place(unpacked.folder / LEDGER, data / LEDGER)
    note_done(settings)


def missing_keys(settings: ServerSettings, unpacked: Unpacked) -> tuple[str, ...]:
    """Return the files of the keys that a backup holds and the folder has not."""
    folder = settings.data / "keys"
    return tuple(name for name in sorted(unpacked.keys) if not (folder / name).exists())


def put_keys(settings: ServerSettings, unpacked: Unpacked) -> None:
    """Put back the keys that are missing; those that are there stay.

    Raises:
        LocalError: The disk is in the way.
    """
    for name in missing_keys(settings, unpacked):
        write_private_key(unpacked.keys[name], settings.data / "keys" / name)


def _refill(plan: RestorePlan, store: ObjectStore | None, held: Held, tell: Tell) -> None:
    lost = [one for one in plan.apps if one.fate is Fate.REFILLED]
    if store is None or not lost:
        return
    below = plan.unpacked.folder / "again"
    with disk_errors(str(below)):
        below.mkdir()
    with held.objects(below) as source:
        for one in lost:
            if one.source is not None:
                refill(source, store, one.source, tell=tell)
            elif one.found is not None:  # all but the copies was there when the last one broke off
                make_copies(source, store, one.found.base)


def _record(plan: RestorePlan, caller: Caller, now: datetime) -> None:
    """Write what was confirmed into the database that is about to be put in place."""
    with _ledger(plan.unpacked) as ledger:
        for one in plan.apps:
            highest = one.highest
            if highest is None:
                continue
            base = one.found.base if one.found else one.source.base if one.source else None
            pointer = b"" if base is None else base.chain.timestamp.data
            intent = Intent(
                app=AppName(one.note.app),
                actor=caller.actor,
                action="restore",
                details={
                    "backup": plan.manifest.name,
                    "made_at": format_instant(plan.manifest.made_at),
                    "fate": one.fate.value,
                    "timestamp_version": highest.timestamp,
                },
                request_id=caller.request_id,
                timestamp_sha256=digest_bytes(pointer) if pointer else "",
            )
            ledger.finish(ledger.begin(intent, now=now), highest)
    seal(plan.unpacked.folder / LEDGER, LEDGER_SCHEMA)


def _put_in_place(source: Path, target: Path) -> None:
    """Give a file that is whole its name; what has the name already is never replaced."""
    with disk_errors(str(target)):
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(source, target)
        except FileExistsError as exc:
            raise LocalError("a file is in the way", subject=str(target)) from exc
        sync_folder(target.parent)


@contextmanager
def _ledger(unpacked: Unpacked) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(unpacked.folder / LEDGER)
    try:
        yield ledger
    finally:
        ledger.close()
