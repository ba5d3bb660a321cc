"""A lost bucket filled again, from a backup's objects or from a mirror.

1. The source is read as a hostile mirror is: from the app's root, through the TUF chain; and
   everything a client may ask for must be there, as it was signed.
2. A state that is older than the newest one signed here, as far as that is known, is refused.
3. An app whose pointer is in the store is left alone: a store that is not lost is not filled.
4. The pointer is written after everything it leads to, where nothing is. Killed before that, the
   next run goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lockgate_release.errors import (
    ConflictError,
    DigestMismatchError,
    StaleMirrorError,
)
from lockgate_release.layout import channel_copy_key, channel_path, timestamp_key
from lockgate_release.names import AppName
from lockgate_server.backups.drafts import HashedReader
from lockgate_server.backups.making import is_copied
from lockgate_server.backups.verifying import find_faults, objects_deps
from lockgate_server.ports import Highest, IfAbsent, Ledger, LostRaceError, ObjectStore
from lockgate_server.services.objects import read_object
from lockgate_server.services.read.files import describe_key
from lockgate_server.services.write.base import Base, check_recorded, read_base, read_target
from lockgate_server.services.write.streams import ChunkSource

__all__ = ["Refill", "is_in_store", "make_copies", "plan_refill", "refill"]

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refill:
    """What a source holds of an app, verified.

    Attributes:
        base: The state.
        objects: How many objects there are, the pointer left out.
        size_bytes: How large they are together.
    """

    base: Base
    objects: int
    size_bytes: int


def is_in_store(store: ObjectStore, app: AppName) -> bool:
    """Whether the store has a state of an app.

    Raises:
        TransportError: It does not answer.
    """
    return store.head(timestamp_key(app)) is not None


def plan_refill(
    source: ObjectStore,
    ledger: Ledger,
    app: AppName,
    recorded: Highest | None,
    scratch: Path,
    *,
    tell: Tell = lambda _: None,
) -> Refill:
    """Verify what a source holds of an app; nothing is written (rules 1 and 2).

    Args:
        source: Where to read.
        ledger: Where the app's root is pinned.
        app: The app.
        recorded: The newest state that is known to have been signed, or None.
        scratch: A folder to work in.
        tell: Told how far it is.

    Raises:
        NotFoundError: The source holds no such app.
        StaleMirrorError: Its state is older.
        RepositoryError: It is not whole, or not what was signed.
    """
    base = read_base(source, ledger, app)
    if recorded is not None:
        check_recorded(replace(base, recorded=recorded))
    for fault in find_faults(objects_deps(source, ledger, scratch), app, tell):
        raise DigestMismatchError(
            "the source is not whole",
            subject=fault.key,
            expected="what was signed",
            found=fault.what,
        )
    infos = [info for info in source.list(f"{app}/") if is_copied(app, info.key)]
    size_bytes = sum(info.size_bytes for info in infos)
    return Refill(base=base, objects=len(infos), size_bytes=size_bytes)


def refill(
    source: ObjectStore, target: ObjectStore, plan: Refill, *, tell: Tell = lambda _: None
) -> None:
    """Copy what was verified to where it is missing, the pointer last (rules 3 and 4).

    Raises:
        ConflictError: The store has a state of the app, or another object in the place of one.
        TransportError: A store does not answer.
        LocalError: The disk is in the way.
    """
    app = plan.base.app
    if is_in_store(target, app):
        raise ConflictError("the store is not lost: it has a state of the app", subject=app)
    done = 0
    for info in source.list(f"{app}/"):
        if is_copied(app, info.key):
            _copy(source, target, info.key)
            done += 1
            tell(f"{app}: {done} of {plan.objects} objects")
    pointer = read_object(source, timestamp_key(app))
    if pointer is None or pointer.data != plan.base.chain.timestamp.data:
        raise StaleMirrorError("the source moved on while it was copied", subject=app)
    _put(target, timestamp_key(app), pointer.data)
    make_copies(source, target, plan.base)


def make_copies(source: ObjectStore, target: ObjectStore, base: Base) -> None:
    """Put the copies of channels at their stable addresses, where there are none.

    Raises:
        LockgateError: As `refill` does.
    """
    for name in base.channels:
        path = channel_path(name)
        data = read_target(source, base.app, path, base.chain.channels.signed.targets[path])
        # A server may have been started in the meantime: then its copy is newer.
        with suppress(LostRaceError):
            _put(target, channel_copy_key(base.app, name), data)


def _copy(source: ObjectStore, target: ObjectStore, key: str) -> None:
    kind = describe_key(key)
    found = source.open(key)
    if found is None:
        return
    with found:
        try:
            target.put(
                key,
                HashedReader(ChunkSource(found.chunks())),
                IfAbsent(),
                content_type=kind.content_type,
                cache_control=kind.cache_control,
            )
        except LostRaceError:
            _check_same(source, target, key)


def _check_same(source: ObjectStore, target: ObjectStore, key: str) -> None:
    digests = []
    for store in (source, target):
        stored = store.open(key)
        if stored is not None:
            with stored:
                reader = HashedReader(ChunkSource(stored.chunks()))
                while reader.read(1 << 20):
                    pass
            digests.append(reader.note(key))
    if len(digests) != 2 or digests[0] != digests[1]:
        raise ConflictError(
            "another object is in the place",
            subject=key,
            hint="Find out who put it there, and remove it.",
        )


def _put(target: ObjectStore, key: str, data: bytes) -> None:
    kind = describe_key(key)
    target.put(
        key, data, IfAbsent(), content_type=kind.content_type, cache_control=kind.cache_control
    )
