"""A lost database made again from the store, once a person has named the newest state.

The store alone cannot say how far an app had got: whoever put it back to an older state could have
everybody sign on top of that. So:

1. What the store holds is read through the TUF chain, from a root that the person brings.
2. It is taken only where it is the state that the person names, no older and no newer one.
3. Numbered metadata above what the pointer names is a sign that the pointer was put back. It can
   also be what a broken-off change left; then the person must name the number.
4. An app that the database knows already is left alone, unless it says exactly the same.

Tokens and the audit log before this are lost: the store never held them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import ConflictError, StaleMirrorError, UsageError
from lockgate_release.instants import format_instant
from lockgate_release.layout import timestamp_key
from lockgate_release.names import AppName, is_app_name
from lockgate_release.strict_json import JsonObject
from lockgate_release.trust.chain import numbers_in_force
from lockgate_release.trust.roles import ROLE_NAME
from lockgate_server.ports import Highest, Intent, Ledger, ObjectStore
from lockgate_server.services.objects import read_object
from lockgate_server.services.write.base import Base, highest_of, read_state
from lockgate_server.services.write.deps import Caller

__all__ = ["Found", "apps_in_store", "check_named", "find_state", "is_recorded", "record"]

_NUMBERED = re.compile(rf"([0-9]+)\.({ROLE_NAME})\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the store says of one app.

    Attributes:
        base: The state that its pointer leads to, verified.
        signed_at: When the newest of its channels was issued, or None where there is none.
        above: Numbered metadata with a higher number than the state names, by file name.
        releases: How many releases are live.
    """

    base: Base
    signed_at: datetime | None
    above: tuple[str, ...]
    releases: int

    def describe(self) -> JsonObject:
        """Return it as JSON."""
        highest = highest_of(self.base)
        return {
            "app": self.base.app,
            "timestamp_version": highest.timestamp,
            "timestamp_expires_at": format_instant(self.base.chain.timestamp.signed.expires),
            "snapshot_version": highest.snapshot,
            "root_version": highest.root,
            "releases_version": highest.releases,
            "releases": self.releases,
            "sequences": {str(name): number for name, number in highest.sequences.items()},
            "signed_at": None if self.signed_at is None else format_instant(self.signed_at),
            "above": list(self.above),
        }


def apps_in_store(store: ObjectStore) -> tuple[AppName, ...]:
    """Return the apps that have a pointer in the store.

    Raises:
        TransportError: The store cannot be reached.
    """
    found = []
    for info in store.list(""):
        app, _, path = info.key.partition("/")
        if path == "metadata/timestamp.json" and is_app_name(app):
            found.append(AppName(app))
    return tuple(found)


def find_state(store: ObjectStore, app: AppName, root: bytes | None) -> Found:
    """Return what the store holds of an app (rules 1 and 3).

    Args:
        store: Where to look.
        app: The app.
        root: What trust begins with; None takes the store's own first root, and proves nothing.

    Raises:
        UsageError: There is no such app in the store.
        TrustError: The root does not vouch for what is there.
        TransportError: The store cannot be reached.
    """
    pointer = read_object(store, timestamp_key(app))
    first = root
    if first is None:
        held = read_object(store, f"{app}/metadata/1.root.json")
        first = None if held is None else held.data
    if pointer is None or first is None:
        raise UsageError("no such app in the store", subject=app)
    base = read_state(store, app, pointer, first, None)
    issued = [document.issued_at for document in base.channels.values()]
    return Found(
        base=base,
        signed_at=max(issued, default=None),
        above=_numbers_above(store, base),
        releases=len(base.chain.entries()),
    )


def _numbers_above(store: ObjectStore, base: Base) -> tuple[str, ...]:
    prefix = f"{base.app}/metadata/"
    found, in_force = [], numbers_in_force(base.chain)
    for info in store.list(prefix):
        match = _NUMBERED.fullmatch(info.key.removeprefix(prefix))
        if match and match[2] in in_force and int(match[1]) > in_force[match[2]]:
            found.append(match[0])
    return tuple(found)


def is_recorded(ledger: Ledger, found: Found, root: bytes) -> bool:
    """Whether the database says the same already (rule 4).

    Raises:
        ConflictError: It says something else.
        LocalError: It cannot be read.
    """
    app = found.base.app
    pinned, recorded = ledger.pinned_root(app), ledger.highest(app)
    if pinned is None and recorded is None:
        return False
    if pinned is not None and pinned != root:
        raise _other("another root", digest_bytes(pinned), app)
    if recorded is None:
        return False
    if recorded != highest_of(found.base):
        raise _other("another state", _numbers_of(recorded), app)
    return True


def _other(what: str, known: str, app: AppName) -> ConflictError:
    return ConflictError(
        f"the database is not lost: it knows {what}",
        subject=app,
        found=known,
        hint="Nothing was changed. Only an app that the database does not know is rebuilt.",
    )


def _numbers_of(highest: Highest) -> str:
    return f"timestamp {highest.timestamp}, releases {highest.releases}"


def check_named(found: Found, named: int | None) -> None:
    """Refuse a state that is not the one that a person has named (rules 2 and 3).

    Args:
        found: What the store holds.
        named: The number of the newest timestamp, or None: the store was taken at its word.

    Raises:
        StaleMirrorError: It is older, or may be.
        ConflictError: It is newer.
    """
    app, number = found.base.app, found.base.timestamp_version
    if named is None:
        if found.above:
            raise StaleMirrorError(
                "the store may have been put back: it holds metadata above its state",
                subject=app,
                expected=f"nothing above timestamp {number}",
                found=", ".join(found.above[:5]),
                hint="Name the newest state you know of with --at. CI's log and clients have it.",
            )
    elif number < named:
        raise StaleMirrorError(
            "the store was put back to an older state",
            subject=app,
            expected=f"timestamp {named}",
            found=str(number),
            hint="Nothing is signed on top of it. Bring the newest files back.",
        )
    elif number > named:
        raise ConflictError(
            "the store holds a newer state than was named",
            subject=app,
            expected=f"timestamp {named}",
            found=str(number),
            hint="Find out who signed it. If it was this server, name its number.",
        )


def record(
    ledger: Ledger, found: Found, root: bytes, caller: Caller, *, named: int | None, now: datetime
) -> None:
    """Write into the database what a person has confirmed.

    Raises:
        ConflictError: Another root was pinned in the meantime.
        LocalError: The database cannot be written.
    """
    base = found.base
    ledger.pin_app(base.app, root)
    number = ledger.begin(
        Intent(
            app=base.app,
            actor=caller.actor,
            action="rebuild",
            details={
                "root_sha256_pinned": digest_bytes(root),
                "timestamp_version": base.timestamp_version,
                "named": "not by number" if named is None else str(named),
            },
            request_id=caller.request_id,
            operation_id=caller.operation_id,
            timestamp_sha256=digest_bytes(base.chain.timestamp.data),
        ),
        now=now,
    )
    ledger.finish(number, highest_of(base))
