"""The one way a state comes into force. A crash at any step leaves the old state or the new one.

1. The intent, with the digest of the pointer to come, into the ledger.
2. Documents, created only where nothing is.
3. Numbered metadata, created only where nothing is, or over what recovery has found to be dead.
4. The pointer, on the condition that it is still the one that was read. Now it is in force.
5. The intent is done, and the highest numbers are raised, in one transaction.
6. The copies at the stable addresses, only over older ones; a job repairs what is missing here.

Before step 4 a failure leaves rubbish that nobody can see, and the intent is abandoned. An answer
to step 4 that is a failure may hide a success: the pointer is read back, and own bytes there mean
won. Where even that is not possible, the intent stays open, and recovery compares digests later.
"""

from __future__ import annotations

import contextlib
import logging

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import parse_channel
from lockgate_release.errors import (
    ConflictError,
    DocumentError,
    LockgateError,
    RepositoryError,
    TransportError,
)
from lockgate_release.layout import timestamp_key
from lockgate_release.log.server_events import COPY_NOT_WRITTEN
from lockgate_release.log.telling import tell
from lockgate_release.names import Sha256Hex
from lockgate_release.strict_json import JsonObject
from lockgate_server.ports import (
    Attempt,
    Condition,
    IfAbsent,
    IfMatch,
    Intent,
    LostRaceError,
    ObjectStore,
)
from lockgate_server.services.objects import read_held, read_object
from lockgate_server.services.read.files import describe_key
from lockgate_server.services.write.composing import DeadFile, NextState
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.told import ChangeTold

__all__ = ["TakenNumberError", "flip", "put_described", "write_copy"]

_POINTER_TRIES = 3
_log = logging.getLogger(__name__)


class TakenNumberError(ConflictError):
    """A number that somebody signed for is taken in the store by other bytes."""

    code = "conflict.number"


def flip(
    deps: WriteDeps,
    state: NextState,
    action: str,
    details: JsonObject,
    caller: Caller,
    *,
    pending: str = "",
) -> None:
    """Put `state` in force.

    Args:
        deps: What a change needs.
        state: The state.
        action: For the audit log.
        details: The same.
        caller: Who wants it.
        pending: The id of the pending change that comes into force with it, or "".

    Raises:
        ConflictError: That change is not pending any more. Nothing came into force.
        LostRaceError: Another state came into force first. Nothing of this one did.
        TakenNumberError: A number is taken by other bytes. Nothing came into force.
        RepositoryError: A content address holds other content. Nothing came into force.
        TransportError: The store did not answer; if at the pointer, this may be in force.
        LocalError: The disk is in the way; if at the pointer, this may be in force.
    """
    number = deps.ledger.begin(
        Intent(
            app=state.app,
            actor=caller.actor,
            action=action,
            details={**details, **_describe_over(state), **_describe_number(state)},
            request_id=caller.request_id,
            operation_id=caller.operation_id,
            timestamp_sha256=state.timestamp_sha256,
        ),
        now=deps.now(),
        attempt=_attempt_at(pending, state),
    )
    told = ChangeTold(entry=number, app=state.app, action=action, actor=caller.actor)
    try:
        for key, data in state.documents.items():
            _create_document(deps.store, key, data)
        for key, data in state.metadata.items():
            _create_numbered(deps.store, key, data, state.over.get(key))
    except LockgateError as exc:
        _abandon(deps, number)
        told.abandoned(exc)
        raise
    try:
        _move_pointer(deps.store, state)
    except LostRaceError as exc:
        _abandon(deps, number)
        told.abandoned(exc)
        raise
    except LockgateError as exc:
        told.unclear(exc)
        raise
    deps.ledger.finish(number, state.highest)
    told.in_force(state.highest.timestamp, details)
    for key, data in state.copies.items():
        _try_to_write_copy(deps.store, key, data)


def _attempt_at(pending: str, state: NextState) -> Attempt | None:
    if not pending:
        return None
    return Attempt(change_id=Sha256Hex(pending), timestamp_version=state.highest.timestamp)


def _describe_number(state: NextState) -> JsonObject:
    return {"timestamp_version": state.highest.timestamp}


def _describe_over(state: NextState) -> JsonObject:
    """Return what people should know of the bytes that are written over."""
    found = [
        f"{key} (sha256 {dead.sha256}): {dead.why}"
        for key, dead in state.over.items()
        if key in state.metadata
    ]
    return {"replaces": "; ".join(found)} if found else {}


def _abandon(deps: WriteDeps, number: int) -> None:
    # What went wrong first is what the caller must hear; recovery closes the entry later.
    with contextlib.suppress(LockgateError):
        deps.ledger.abandon(number)


def put_described(store: ObjectStore, key: str, data: bytes, condition: Condition) -> None:
    """Write an object that is served as `services.read.files` says.

    Raises:
        LostRaceError: The condition does not hold.
        TransportError: The store did not answer.
        LocalError: The disk is in the way.
    """
    kind = describe_key(key)
    store.put(
        key, data, condition, content_type=kind.content_type, cache_control=kind.cache_control
    )


def _create_document(store: ObjectStore, key: str, data: bytes) -> None:
    try:
        put_described(store, key, data, IfAbsent())
    except LostRaceError:
        found = read_object(store, key, limit_bytes=max(len(data), 1 << 26))
        if found is None:
            raise  # it was removed in between, so the pointer has moved too
        if found.data != data:
            raise RepositoryError(
                "a content address holds other content",
                subject=key,
                expected=digest_bytes(data),
                hint="The store was tampered with or damaged. Remove this object and try again.",
            ) from None


def _create_numbered(store: ObjectStore, key: str, data: bytes, dead: DeadFile | None) -> None:
    try:
        put_described(store, key, data, IfMatch(dead.etag) if dead else IfAbsent())
    except LostRaceError as exc:
        if not _holds(store, key, data):
            raise TakenNumberError(
                "this number is taken by other metadata", subject=key, expected=digest_bytes(data)
            ) from exc


def _holds(store: ObjectStore, key: str, data: bytes) -> bool:
    found = read_held(store, key)
    return found is not None and found.data == data


def _move_pointer(store: ObjectStore, state: NextState) -> None:
    """Move the pointer, and find out what happened when the answer does not say."""
    key = timestamp_key(state.app)
    for attempt in range(1, _POINTER_TRIES + 1):
        try:
            put_described(store, key, state.timestamp, state.condition)
        except LockgateError as exc:
            found = read_object(store, key)
            if found is not None and found.data == state.timestamp:
                return
            # The write may still be on its way; as it is conditional, it can be sent again.
            if isinstance(exc, TransportError) and attempt < _POINTER_TRIES:
                continue
            raise
        else:
            return


def _try_to_write_copy(store: ObjectStore, key: str, data: bytes) -> None:
    try:
        write_copy(store, key, data)
    except LockgateError as exc:
        tell(_log, COPY_NOT_WRITTEN, key=key, code=exc.code, reason=str(exc))


def write_copy(store: ObjectStore, key: str, data: bytes) -> None:
    """Write the copy of a channel's document, unless a newer one is there.

    Raises:
        LostRaceError: It was written at the same moment by somebody else.
        TransportError: The store did not answer.
        LocalError: The disk is in the way.
    """
    found = read_object(store, key)
    condition: Condition = IfAbsent()
    if found is not None:
        if _sequence(found.data) >= _sequence(data):
            return
        condition = IfMatch(found.etag)
    put_described(store, key, data, condition)


def _sequence(unverified_copy: bytes) -> int:
    try:
        return parse_channel(unverified_copy).sequence
    except DocumentError:
        return 0
