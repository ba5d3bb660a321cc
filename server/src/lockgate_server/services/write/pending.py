"""Publishing by several people: a list waits in the ledger until enough of them have signed it.

1. A change is begun with everything it takes: the list, its documents, what is to be offered. All
   of it is checked as if it were to come into force now. Nothing of it can be seen by clients.
2. Each signature is checked by the keys of the role, kept once, and stands in the audit log.
3. With the last one that is missing, everything is checked again on the state in force at that
   moment, and the list and its offers come into force in one step. What is refused then stays
   pending, with its signatures, and is tried again by whoever signs, and by the worker.
4. What breaks off half-way is finished by the next who signs, or by the worker, or was never begun:
   the bytes that stand in the store already are the ones that are put in force.
5. One that nobody has signed gives its place to a change that contains it and names it
   (`authors`).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from lockgate_release.errors import ConflictError, LocalError, LockgateError, TransportError
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.pending_requests import PendingRequest, SignaturesRequest
from lockgate_release.strict_json import Json
from lockgate_release.trust.partial import PartlySigned, read_partly_signed, without_signatures
from lockgate_server.errors import NotFoundError
from lockgate_server.ports import PendingChange, PendingSignature
from lockgate_server.services.write.authors import check_contained
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.changing import Outcome, Plan, change_app, read_settled
from lockgate_server.services.write.condemned import check_spared
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.pending_live import check_change, list_in, live_change
from lockgate_server.services.write.waiting import (
    find_change,
    is_in_force,
    is_outdated,
    pending_error,
    weigh,
)
from lockgate_server.services.write.withdrawing import drop, intent_of

__all__ = ["Signed", "begin", "finish_pending", "sign"]

_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What has become of a change.

    Attributes:
        base: The state in force.
        change_id: The change.
        change: As it waits; None where it is in force.
        changed: Whether this call has done anything.
        timestamp_version: The number of the state in force.
        releases_version: The number of its list of releases.
    """

    base: Base
    change_id: str
    change: PendingChange | None
    changed: bool
    timestamp_version: int
    releases_version: int


def begin(deps: WriteDeps, app: AppName, request: PendingRequest, caller: Caller) -> Signed:
    """Keep a change until enough publishers have signed it; the same again changes nothing.

    Raises:
        NotFoundError: There is no such app.
        PendingError: Another change of the role waits for signatures.
        DeniedError: It would take the place of somebody else's, and does not contain it.
        ConflictError: It does not follow the list in force: somebody else published.
        UsageError: It breaks a rule of `publishing` or `channels`.
        RepositoryError: Signatures, documents or artifacts are not what they must be.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """
    base = read_settled(deps, app)
    partly = read_partly_signed(app, base.chain, request.role, request.releases)
    signatures = tuple(
        (keyid, signature.signature) for keyid, signature in partly.metadata.signatures.items()
    )
    if find_change(deps.ledger, app, partly.change_id) is None:
        _make_room(deps, base, request, caller)
        change = _new_change(deps, base, request, partly, caller)
        # What stands in the store now may be collected before the last signature comes.
        change = replace(change, documents=check_change(deps, base, list_in(change), change)[0])
        is_new = deps.ledger.begin_pending(
            change,
            intent_of(caller, change, "pending.begin"),
            now=deps.now(),
            instead_of=request.instead_of,
        )
        _check_nothing_went(deps, base, change, caller)
    else:
        is_new = False
    signed = sign(deps, app, partly.change_id, SignaturesRequest(signatures=signatures), caller)
    return replace(signed, changed=signed.changed or is_new)


def _make_room(deps: WriteDeps, base: Base, request: PendingRequest, caller: Caller) -> None:
    """Drop what is outdated; refuse where something else waits that may not be replaced (5)."""
    for other in deps.ledger.pending(base.app):
        if other.role != request.role:
            continue
        if is_outdated(base, other):
            drop(deps, base, other, caller, "pending.drop", "its base is not in force any more")
        elif other.change_id != request.instead_of or other.signatures:
            raise pending_error(base, other)
        else:
            check_contained(base, other, request, caller)


def _new_change(
    deps: WriteDeps, base: Base, request: PendingRequest, partly: PartlySigned, caller: Caller
) -> PendingChange:
    now = deps.now()
    return PendingChange(
        change_id=partly.change_id,
        app=base.app,
        role=request.role,
        number=partly.signed_list.version,
        metadata=without_signatures(request.releases),
        documents=request.documents,
        wishes=request.wishes.to_json(),
        title=request.title,
        actor=caller.actor,
        began_at=now,
        signatures=tuple(
            PendingSignature(keyid=keyid, signature=item.signature, actor=caller.actor, at=now)
            for keyid, item in partly.metadata.signatures.items()
        ),
    )


def _check_nothing_went(deps: WriteDeps, base: Base, change: PendingChange, caller: Caller) -> None:
    """Check once more, now that collection sees the change, that nothing it names is going.

    Raises:
        ConflictError: It is being removed at this moment. The change is dropped.
    """
    try:
        _, builds_on, _ = check_change(deps, base, list_in(change), change)
        check_spared(deps.store, base.app, builds_on)
    except (TransportError, LocalError):
        raise
    except LockgateError:
        with contextlib.suppress(ConflictError):
            drop(deps, base, change, caller, "pending.drop", "what it names was being removed")
        raise


def sign(
    deps: WriteDeps, app: AppName, change_id: str, request: SignaturesRequest, caller: Caller
) -> Signed:
    """Add signatures to a change, and put it in force with the last one that is missing.

    Without signatures it only puts in force what is signed to the end.

    Raises:
        NotFoundError: There is no such change.
        ConflictError: Its base is no longer in force; or it was withdrawn at this moment.
        TrustError: A signature is not of this list, or by no key of the role. None was kept.
        UsageError: It breaks a rule of `publishing` or `channels` by now. It stays pending.
        RepositoryError: Documents or artifacts are not what they must be. It stays pending.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """
    try:
        return _sign_once(deps, app, change_id, request, caller)
    except ConflictError:
        # Who signed at the same moment may have put it in force, between our look and our step.
        base = read_settled(deps, app)
        if not _is_live(base, change_id):
            raise
        return _find_live(base, change_id)


def _sign_once(
    deps: WriteDeps, app: AppName, change_id: str, request: SignaturesRequest, caller: Caller
) -> Signed:
    base = read_settled(deps, app)
    change = find_change(deps.ledger, app, change_id)
    if change is None:
        return _find_live(base, change_id)
    if is_in_force(base, change.role, change_id):
        # Its intent was taken for lost, and was not: only the note of it is missing.
        drop(deps, base, change, caller, "pending.drop", "it is in force")
        return _find_live(base, change_id)
    if is_outdated(base, change):
        raise _outdated(base, change)
    is_new = _keep_signatures(deps, base, change, request, caller)
    waiting = find_change(deps.ledger, app, change_id)
    if waiting is not None and not weigh(base, waiting).is_complete:
        return _signed(base, waiting, changed=is_new)
    outcome = _put_in_force(deps, app, change_id, change.role, caller)
    return Signed(
        base=base,
        change_id=change_id,
        change=None,
        changed=outcome.changed or is_new,
        timestamp_version=outcome.timestamp_version,
        releases_version=outcome.releases_version,
    )


def _is_live(base: Base, change_id: str) -> bool:
    return any(is_in_force(base, role, change_id) for role in base.chain.release_roles)


def _find_live(base: Base, change_id: str) -> Signed:
    if _is_live(base, change_id):
        return replace(_signed(base, None, changed=False), change_id=change_id)
    raise NotFoundError(
        "no such change waits for signatures",
        subject=f"{base.app}: {change_id[:_SHOWN]}",
        hint="It has been withdrawn, or something newer is in force: `lockgate pending` shows "
        "what waits, `lockgate audit` what became of it.",
    )


def _signed(base: Base, change: PendingChange | None, *, changed: bool) -> Signed:
    return Signed(
        base=base,
        change_id="" if change is None else change.change_id,
        change=change,
        changed=changed,
        timestamp_version=base.timestamp_version,
        releases_version=base.chain.releases.version,
    )


def _outdated(base: Base, change: PendingChange) -> ConflictError:
    return ConflictError(
        "its base is no longer in force: it can never come into force",
        subject=f"{base.app}: {change.title}",
        expected=f"a list that follows number {change.number - 1}",
        found="another one is in force",
        hint="Make it again: the same command builds on the newest state and takes its place.",
    )


def _keep_signatures(
    deps: WriteDeps,
    base: Base,
    change: PendingChange,
    request: SignaturesRequest,
    caller: Caller,
) -> bool:
    """Keep the signatures, each checked; True where one is new (rule 2)."""
    known = {item.keyid for item in change.signatures}
    new = tuple((keyid, text) for keyid, text in request.signatures if keyid not in known)
    # Those of keys that have signed are checked too: a forged one is not called kept.
    read_partly_signed(base.app, base.chain, change.role, change.metadata, request.signatures)
    if not new:
        return False
    now = deps.now()
    kept = [
        PendingSignature(keyid=keyid, signature=text, actor=caller.actor, at=now)
        for keyid, text in new
    ]
    keys: list[Json] = [keyid for keyid, _ in new]
    intent = intent_of(caller, change, "pending.sign", keys=keys)
    return deps.ledger.add_signatures(base.app, Sha256Hex(change.change_id), kept, intent, now=now)


def _put_in_force(
    deps: WriteDeps, app: AppName, change_id: str, role: str, caller: Caller
) -> Outcome[None]:
    """Check everything again and let the list and its offers come into force (rules 3 and 4)."""

    def plan(base: Base) -> Plan[None]:
        if is_in_force(base, role, change_id):
            return Plan(change=None, answer=None)
        change = find_change(deps.ledger, app, change_id)
        if change is None:
            raise ConflictError(
                "it was withdrawn at this moment", subject=f"{app}: {change_id[:_SHOWN]}"
            )
        if is_outdated(base, change):
            raise _outdated(base, change)
        return Plan(change=live_change(deps, base, change), answer=None)

    return change_app(deps, app, caller, plan)


def finish_pending(deps: WriteDeps, app: AppName, caller: Caller) -> int:
    """Put in force what is signed to the end and was not, and return how many changes that were.

    What is refused stays pending: whoever looks at it is told why.

    Raises:
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """
    count = 0
    for change in deps.ledger.pending(app):
        base = read_settled(deps, app)
        if is_outdated(base, change) or not weigh(base, change).is_complete:
            continue
        try:
            _put_in_force(deps, app, change.change_id, change.role, caller)
            count += 1
        except (TransportError, LocalError):
            raise
        except LockgateError:
            continue
    return count
