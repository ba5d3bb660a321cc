"""Withdrawing a change that waits for signatures: afterwards nobody can put it in force.

1. It is dropped only while no attempt at it can still succeed: the ledger holds to that.
2. Where somebody may be at it, or was and broke off, the pointer is moved: whoever has read the
   state before loses the race for it, and finds the change gone.
3. Its list is remembered. Where it stands in the store, signed to the end, nobody finishes it; but
   who has seen the signatures has them: what must never come into force is ruled out for good only
   when another list takes its number.
4. Whoever began it may withdraw it, and maintainers may (`authors`).
"""

from __future__ import annotations

from lockgate_release.errors import ConflictError
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.strict_json import Json
from lockgate_release.trust.roles import Role
from lockgate_server.errors import NotFoundError
from lockgate_server.ports import Intent, PendingChange
from lockgate_server.services.write.authors import check_may_withdraw
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.changing import Plan, change_app, read_settled
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.waiting import find_change, is_in_force

__all__ = ["drop", "intent_of", "withdraw"]

_TRIES = 3


def withdraw(
    deps: WriteDeps, app: AppName, change_id: str, reason: str, caller: Caller
) -> PendingChange:
    """Drop a change that waits for signatures, and return it.

    Raises:
        NotFoundError: There is no such change.
        DeniedError: Somebody else has begun it, and the caller is no maintainer.
        ConflictError: It is in force.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """
    for _ in range(_TRIES):
        found = _withdraw_once(deps, app, change_id, reason, caller)
        if found is not None:
            return found
    raise ConflictError(
        "others try to put it in force again and again", subject=f"{app}: {change_id[:12]}"
    )


def _withdraw_once(
    deps: WriteDeps, app: AppName, change_id: str, reason: str, caller: Caller
) -> PendingChange | None:
    """Drop the change and return it; None where somebody may have been at it until now (2)."""
    base = read_settled(deps, app)
    change = find_change(deps.ledger, app, change_id)
    if change is None:
        raise _gone(base, change_id)
    if is_in_force(base, change.role, change_id):
        drop(deps, base, change, caller, "pending.drop", "it is in force")
        raise _gone(base, change_id)
    check_may_withdraw(change, caller)
    try:
        is_done = drop(deps, base, change, caller, "pending.withdraw", reason)
    except ConflictError:
        _move_pointer(deps, app, change, caller)
        return None
    if not is_done:
        raise _gone(base, change_id)
    return change


def _gone(base: Base, change_id: str) -> ConflictError | NotFoundError:
    if any(is_in_force(base, role, change_id) for role in base.chain.release_roles):
        return ConflictError(
            "it is in force already",
            subject=f"{base.app}: {change_id[:12]}",
            hint="`lockgate revoke` takes a release back.",
        )
    return NotFoundError("no such change waits for signatures", subject=base.app)


def _move_pointer(deps: WriteDeps, app: AppName, change: PendingChange, caller: Caller) -> None:
    """Sign the timestamp anew: no attempt that was begun before can succeed any more (rule 2)."""

    def plan(base: Base) -> Plan[None]:
        if is_in_force(base, change.role, change.change_id):
            return Plan(change=None, answer=None)
        details: dict[str, Json] = {"change": change.change_id, "why": "somebody was at it"}
        resigned = frozenset({Role.TIMESTAMP})
        moved = Change(action="pending.stop", details=details, resigned=resigned)
        return Plan(change=moved, answer=None)

    change_app(deps, app, caller, plan)


def drop(
    deps: WriteDeps, base: Base, change: PendingChange, caller: Caller, action: str, reason: str
) -> bool:
    """Take a change out of the ledger; False where it is gone already.

    Raises:
        ConflictError: An attempt at it may still succeed (rule 1).
        LocalError: The ledger cannot be written.
    """
    return deps.ledger.withdraw_pending(
        base.app,
        Sha256Hex(change.change_id),
        intent_of(caller, change, action, reason=reason),
        now=deps.now(),
        lost_to=base.timestamp_version,
    )


def intent_of(caller: Caller, change: PendingChange, action: str, **more: Json) -> Intent:
    """Return the entry for the audit log about a change that is pending, or no more."""
    details: dict[str, Json] = {
        "change": change.change_id,
        "title": change.title,
        "role": change.role,
        "releases_version": change.number,
        "begun_by": change.actor,
        **more,
    }
    return Intent(
        app=change.app,
        actor=caller.actor,
        action=action,
        details=details,
        request_id=caller.request_id,
        operation_id=caller.operation_id,
        timestamp_sha256="",
    )
