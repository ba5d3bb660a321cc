"""The part of the ledger that keeps changes which wait for signatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.strict_json import JsonObject

if TYPE_CHECKING:
    from lockgate_server.ports.ledger import Intent

__all__ = ["Attempt", "PendingChange", "PendingLedger", "PendingSignature"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignature:
    """One publisher's signature, as it came.

    Attributes:
        keyid: The key.
        signature: In hexadecimal.
        actor: Whose token it came with.
        at: When.
    """

    keyid: str
    signature: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingChange:
    """A next list of releases that too few publishers have signed yet, and what it is for.

    Attributes:
        change_id: What tells the list from every other: `lockgate_release.trust.partial` makes it.
        app: The app.
        role: The role that signs it.
        number: The list's number.
        metadata: The list as it was begun, without signatures.
        documents: The bytes of every document in it that is new or changed, by path.
        wishes: What is to be done with it once it is in force, as it came.
        title: What it is, for people.
        actor: Who began it.
        began_at: When.
        signatures: Those so far, oldest first.
    """

    change_id: Sha256Hex
    app: AppName
    role: str
    number: int
    metadata: bytes
    documents: Mapping[str, bytes]
    wishes: JsonObject
    title: str
    actor: str
    began_at: datetime
    signatures: tuple[PendingSignature, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """That an intent puts a pending change in force.

    Attributes:
        change_id: The change.
        timestamp_version: The number of the state that would hold it.
    """

    change_id: Sha256Hex
    timestamp_version: int


class PendingLedger(Protocol):
    """Changes that wait for signatures: at most one for each app and role.

    Every verb that changes something writes its audit entry, done, in the same transaction.
    """

    def begin_pending(
        self, change: PendingChange, intent: Intent, *, now: datetime, instead_of: str = ""
    ) -> bool:
        """Keep a change; False where this very change is kept already.

        Args:
            change: The change, with the signatures it comes with.
            intent: Who wants it.
            now: The present, aware.
            instead_of: The change whose place it takes, which nobody may have signed; or "".

        Raises:
            ConflictError: Another change of this role is pending, or has been signed meanwhile.
        """
        ...

    def pending(self, app: AppName) -> tuple[PendingChange, ...]:
        """Return the app's pending changes, by role."""
        ...

    def add_signatures(
        self,
        app: AppName,
        change_id: Sha256Hex,
        signatures: Sequence[PendingSignature],
        intent: Intent,
        *,
        now: datetime,
    ) -> bool:
        """Keep signatures of a pending change; False where each key's is kept already.

        Raises:
            ConflictError: It is not pending any more.
        """
        ...

    def withdraw_pending(
        self, app: AppName, change_id: Sha256Hex, intent: Intent, *, now: datetime, lost_to: int
    ) -> bool:
        """Drop a pending change for good; False where it is not pending any more.

        Args:
            app: The app.
            change_id: The change.
            intent: Who wants it, and why.
            now: The present, aware.
            lost_to: The number of the state in force: attempts at states up to it are over.

        Raises:
            ConflictError: An attempt to put it in force may still succeed.
        """
        ...

    def was_withdrawn(self, app: AppName, change_id: Sha256Hex) -> bool:
        """Whether a change with this list was withdrawn, and not begun again since."""
        ...
