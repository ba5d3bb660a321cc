"""How every change is made: read, settle what broke off, plan, flip; again if the state moved."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from lockgate_release.errors import ConflictError
from lockgate_release.names import AppName
from lockgate_server.ports import LostRaceError
from lockgate_server.services.write.base import Base, check_recorded, read_base
from lockgate_server.services.write.composing import (
    Change,
    DeadFile,
    compose_next,
    needed_keys,
)
from lockgate_server.services.write.condemned import check_spared
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.flip import TakenNumberError, flip
from lockgate_server.services.write.recovery import find_leftovers, settle_intents

__all__ = ["Outcome", "Plan", "change_app", "read_settled"]

T = TypeVar("T")

_MOST_TRIES = 5
_MOST_LEFTOVERS = 4
_JITTER_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Generic[T]):
    """What to do on top of one state.

    Attributes:
        change: What to put in force; None when nothing is to be done.
        answer: What the caller will be told.
    """

    change: Change | None
    answer: T


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T]):
    """What was done.

    Attributes:
        changed: Whether a new state came into force.
        timestamp_version: The number of the state that is in force.
        releases_version: The number of its list of releases.
        answer: What the plan has to say.
    """

    changed: bool
    timestamp_version: int
    releases_version: int
    answer: T


def read_settled(deps: WriteDeps, app: AppName) -> Base:
    """Return the state to write on top of, with nothing open that can be closed.

    Raises:
        NotFoundError: There is no such app.
        RepositoryError: The store holds no state that may be built upon.
        TransportError: The store cannot be reached.
        LocalError: The ledger cannot be used.
    """
    base = read_base(deps.store, deps.ledger, app)
    settle_intents(deps, base)
    if base.recorded is None and deps.ledger.highest(app) is not None:
        # The first state was in force, and only the note of it was missing: look again with it.
        base = read_base(deps.store, deps.ledger, app)
    check_recorded(base)
    return base


def change_app(
    deps: WriteDeps,
    app: AppName,
    caller: Caller,
    plan: Callable[[Base], Plan[T]],
    *,
    own: bytes | None = None,
) -> Outcome[T]:
    """Put in force what `plan` makes of the state, read again as often as somebody else was first.

    Args:
        deps: What a change needs.
        app: The app.
        caller: Who wants it.
        plan: Decides on top of a state; called again on the newer one after a lost race.
        own: Metadata in the plan that must not be taken for somebody's leftover.

    Raises:
        ConflictError: Somebody else was first, again and again.
        LockgateError: Whatever `plan` refuses, or the store and the ledger report.
    """
    for attempt in range(_MOST_TRIES):
        base, dead = _finish_leftovers(deps, read_settled(deps, app), caller, own)
        planned = plan(base)
        if planned.change is None:
            return _outcome(base, planned)
        check_spared(deps.store, app, needed_keys(app, planned.change))
        state = compose_next(deps, base, replace(planned.change, over=dead))
        try:
            change = planned.change
            flip(deps, state, change.action, change.details, caller, pending=change.pending)
        except (LostRaceError, TakenNumberError):
            if attempt == _MOST_TRIES - 1:
                raise
            deps.sleep(_JITTER_S * (attempt + 1) * (1 + int(deps.random_hex(1), 16) / 255))
            continue
        return Outcome(
            changed=True,
            timestamp_version=state.highest.timestamp,
            releases_version=state.highest.releases,
            answer=planned.answer,
        )
    raise ConflictError("others were faster every time", subject=app)


def _outcome(base: Base, planned: Plan[T]) -> Outcome[T]:
    return Outcome(
        changed=False,
        timestamp_version=base.timestamp_version,
        releases_version=base.chain.releases.version,
        answer=planned.answer,
    )


def _finish_leftovers(
    deps: WriteDeps, base: Base, caller: Caller, own: bytes | None
) -> tuple[Base, Mapping[str, DeadFile]]:
    """Return the state with everything finished that can be, and what is in the way above it."""
    for _ in range(_MOST_LEFTOVERS):
        leftover, dead = find_leftovers(deps, base, own=own)
        if leftover is None:
            return base, dead
        try:
            check_spared(deps.store, base.app, needed_keys(base.app, leftover))
        except ConflictError:
            return base, dead
        state = compose_next(deps, base, replace(leftover, over=dead))
        # A lost race means that somebody else has finished it.
        with contextlib.suppress(LostRaceError, TakenNumberError):
            flip(deps, state, leftover.action, leftover.details, caller)
        base = read_settled(deps, base.app)
    return base, {}
