"""Garbage collection: what nothing needs any more is removed, and nothing else ever is.

1. Look: the state in force, everything it and its predecessors name, every object there is.
2. Write the list of what is to go (`write.condemned`), on the condition that nobody else has.
3. Look again, in case the state has moved, and move the pointer on top of what was seen. A writer
   in flight loses its base here; one that begins later sees the list.
4. Remove, first what names, then what is named; the list must still be this run's own.
5. Take the list away.

A kill at any moment leaves a complete state and at worst the list: the next run puts it right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lockgate_release.errors import ConflictError, RepositoryError, TransportError
from lockgate_release.layout import condemned_key, metadata_key
from lockgate_release.names import AppName
from lockgate_release.trust.chain import numbers_in_force
from lockgate_release.trust.roles import Role
from lockgate_server.ports import Condition, Etag, IfAbsent, IfMatch, LostRaceError
from lockgate_server.services.collect.keys import Kind, parse_key
from lockgate_server.services.collect.reachability import (
    Rules,
    Verdict,
    judge,
    order_of_removal,
)
from lockgate_server.services.collect.walking import Walker, claims_of_waiting
from lockgate_server.services.write.base import Base, check_recorded, read_base
from lockgate_server.services.write.changing import Plan, change_app, read_settled
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.condemned import (
    MAX_CONDEMNED,
    CondemnedList,
    read_condemned,
)
from lockgate_server.services.write.deps import Caller, WriteDeps

__all__ = ["DEFAULT_GRACE", "Collected", "collect", "look_over", "rules_for", "snapshots_in"]

DEFAULT_GRACE = timedelta(days=7)
"""What is not older than this always stays."""

_RUN_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a collection found, and what it did.

    Attributes:
        app: The app.
        verdicts: On every object.
        removed: What is gone.
        timestamp_version: The number of the state in force.
        more: Whether there was more to remove than fits into one run.
    """

    app: AppName
    verdicts: Sequence[Verdict]
    removed: Sequence[Verdict]
    timestamp_version: int
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    base: Base
    verdicts: Sequence[Verdict]

    def keys_to_go(self) -> frozenset[str]:
        return frozenset(verdict.info.key for verdict in self.verdicts if verdict.goes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    deps: WriteDeps
    app: AppName
    caller: Caller
    grace: timedelta
    tell: Callable[[str], None]
    walker: Walker = field(kw_only=True)


def look_over(
    deps: WriteDeps,
    app: AppName,
    *,
    grace: timedelta,
    tell: Callable[[str], None] = lambda _: None,
) -> Collected:
    """Return what a collection would do now; nothing is written.

    Raises:
        RepositoryError: The store holds no state that may be built upon.
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    base = read_base(deps.store, deps.ledger, app)
    check_recorded(base)
    looked = _look(deps, base, Walker(store=deps.store, app=app, tell=tell), grace)
    return _collected(looked, removed=())


def collect(
    deps: WriteDeps,
    app: AppName,
    caller: Caller,
    *,
    grace: timedelta,
    tell: Callable[[str], None] = lambda _: None,
) -> Collected:
    """Remove what nothing needs, and return what was found and done.

    Args:
        deps: What a change needs.
        app: The app.
        caller: Who wants it.
        grace: What is not older always stays.
        tell: Told of each step, for people who wait.

    Raises:
        RepositoryError: The store holds no state that may be built upon.
        ConflictError: Another collection is at work, or others were faster every time.
        TransportError: The store cannot be reached.
        LocalError: The ledger, the disk or the online key is in the way.
    """
    walker = Walker(store=deps.store, app=app, tell=tell)
    work = _Work(deps=deps, app=app, caller=caller, grace=grace, tell=tell, walker=walker)
    looked = _look(deps, read_settled(deps, app), walker, grace)
    before, condition = _read_list(deps, app)
    going = order_of_removal(looked.verdicts)
    chosen = going[:MAX_CONDEMNED]
    if not chosen:
        if before is not None:
            deps.store.delete(condemned_key(app))
        return _collected(looked, removed=())
    keys = frozenset(verdict.info.key for verdict in chosen)
    etag = _write_list(deps, app, keys | (before.keys if before else frozenset()), condition)
    allowed, version = _move_pointer(work, keys)
    removed = [verdict for verdict in chosen if verdict.info.key in allowed]
    _remove(work, removed, etag)
    return _collected(looked, removed=removed, version=version, more=len(going) > len(chosen))


def _look(deps: WriteDeps, base: Base, walker: Walker, grace: timedelta) -> _Looked:
    found = list(deps.store.list(f"{base.app}/"))
    _check_list_is_fresh(base, frozenset(info.key for info in found))
    now = deps.now()
    claims = claims_of_waiting(deps.ledger.pending(base.app)) | walker.walk(
        base, snapshots_in(base.app, [info.key for info in found]), now
    )
    rules = rules_for(base, grace=grace, now=now)
    return _Looked(base=base, verdicts=[judge(info, claims, rules) for info in found])


def _check_list_is_fresh(base: Base, keys: frozenset[str]) -> None:
    """Refuse a list of objects that lacks what is in force: it may lack what is needed, too.

    Raises:
        TransportError: It does.
    """
    for role, number in numbers_in_force(base.chain).items():
        if number == 0 or role in {Role.ROOT, Role.TIMESTAMP}:
            continue
        key = metadata_key(base.app, role, number)
        if key not in keys:
            raise TransportError(
                "the store's list of objects is behind the objects themselves",
                subject=key,
                hint="Nothing was removed. Try again in a minute.",
            )


def rules_for(base: Base, *, grace: timedelta, now: datetime) -> Rules:
    """Return the rules by which an app's objects are judged in this state."""
    return Rules(app=base.app, grace=grace, now=now, in_force=numbers_in_force(base.chain))


def snapshots_in(app: AppName, keys: Sequence[str]) -> list[int]:
    """Return the numbers of the snapshots among keys."""
    found = [parse_key(app, key) for key in keys]
    return [one.number for one in found if one.kind is Kind.METADATA and one.role == Role.SNAPSHOT]


def _read_list(deps: WriteDeps, app: AppName) -> tuple[CondemnedList | None, Condition]:
    """Return the list that a run has left behind, and what must still hold to write the next."""
    try:
        found = read_condemned(deps.store, app)
    except RepositoryError:
        # Spoilt by somebody: it is written over, whatever it is.
        info = deps.store.head(condemned_key(app))
        if info is None:
            return None, IfAbsent()
        return CondemnedList(app=app, since=deps.now(), keys=frozenset()), IfMatch(info.etag)
    return (None, IfAbsent()) if found is None else (found[0], IfMatch(found[1]))


def _write_list(deps: WriteDeps, app: AppName, keys: frozenset[str], condition: Condition) -> Etag:
    run = deps.random_hex(_RUN_BYTES)
    condemned = CondemnedList(app=app, since=deps.now(), keys=keys, run=run)
    try:
        return deps.store.put(
            condemned_key(app), condemned.to_bytes(), condition, content_type="application/json"
        )
    except LostRaceError as exc:
        raise ConflictError("another collection is at work", subject=app) from exc


def _move_pointer(work: _Work, keys: frozenset[str]) -> tuple[frozenset[str], int]:
    """Sign the timestamp anew, and return which keys nothing needs in the state it stands upon."""

    def plan(base: Base) -> Plan[frozenset[str]]:
        allowed = keys & _look(work.deps, base, work.walker, work.grace).keys_to_go()
        change = Change(
            action="gc",
            details={"objects": len(allowed), "grace_s": int(work.grace.total_seconds())},
            resigned=frozenset({Role.TIMESTAMP}),
        )
        return Plan(change=change, answer=allowed)

    outcome = change_app(work.deps, work.app, work.caller, plan)
    return outcome.answer, outcome.timestamp_version


def _remove(work: _Work, removed: Sequence[Verdict], etag: Etag) -> None:
    store, key = work.deps.store, condemned_key(work.app)
    for place, verdict in enumerate(removed):
        # A run that was paused may find that another has finished its work, and that the same
        # bytes have been published anew since.
        _check_own(work, etag)
        work.tell(f"{work.app}: {place + 1} of {len(removed)} removed")
        store.delete(verdict.info.key)
    _check_own(work, etag)
    store.delete(key)


def _check_own(work: _Work, etag: Etag) -> None:
    info = work.deps.store.head(condemned_key(work.app))
    if info is None or info.etag != etag:
        raise ConflictError(
            "another collection has taken over", subject=work.app, hint="Nothing more was removed."
        )


def _collected(
    looked: _Looked, *, removed: Sequence[Verdict], version: int = 0, more: bool = False
) -> Collected:
    return Collected(
        app=looked.base.app,
        verdicts=looked.verdicts,
        removed=tuple(removed),
        timestamp_version=version or looked.base.timestamp_version,
        more=more,
    )
