"""Changes that wait for signatures, in dictionaries: a part of the ledger in memory."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from lockgate_release.errors import ConflictError
from lockgate_release.instants import format_instant, parse_instant
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.strict_json import dump_json
from lockgate_server.ports import Attempt, Intent, PendingChange, PendingSignature


def _kept(signature: PendingSignature) -> PendingSignature:
    return replace(signature, at=parse_instant(format_instant(signature.at)))


@dataclass
class MemoryPending:
    """The verbs of `PendingLedger`; a test may look at its dictionaries, or spoil them."""

    changes: dict[tuple[AppName, str], PendingChange] = field(default_factory=dict)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    withdrawn: set[tuple[AppName, str]] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def note_done(self, intent: Intent, now: datetime) -> None:
        """Write an entry of the audit log that is done already."""
        raise NotImplementedError

    def begin_pending(
        self, change: PendingChange, intent: Intent, *, now: datetime, instead_of: str = ""
    ) -> bool:
        with self._lock:
            found = self.changes.get((change.app, change.role))
            if found is not None and found.change_id == change.change_id:
                return False
            if found is not None and (found.change_id != instead_of or found.signatures):
                raise ConflictError("another change is pending", subject=change.app)
            self.changes[change.app, change.role] = replace(
                change,
                wishes=json.loads(dump_json(change.wishes)),
                began_at=parse_instant(format_instant(change.began_at)),
                signatures=tuple({item.keyid: _kept(item) for item in change.signatures}.values()),
            )
            self.withdrawn.discard((change.app, change.change_id))
            self.note_done(intent, now)
            return True

    def pending(self, app: AppName) -> tuple[PendingChange, ...]:
        with self._lock:
            return tuple(self.changes[key] for key in sorted(self.changes) if key[0] == app)

    def add_signatures(
        self,
        app: AppName,
        change_id: Sha256Hex,
        signatures: Sequence[PendingSignature],
        intent: Intent,
        *,
        now: datetime,
    ) -> bool:
        with self._lock:
            found = self.check_pending(app, change_id)
            known = {item.keyid for item in found.signatures}
            new = {item.keyid: _kept(item) for item in signatures if item.keyid not in known}
            if not new:
                return False
            signed = replace(found, signatures=(*found.signatures, *new.values()))
            self.changes[app, found.role] = signed
            self.note_done(intent, now)
            return True

    def withdraw_pending(
        self, app: AppName, change_id: Sha256Hex, intent: Intent, *, now: datetime, lost_to: int
    ) -> bool:
        with self._lock:
            if all(item.change_id != change_id for item in self.pending(app)):
                return False
            for attempt in self.attempts.values():
                if attempt.change_id == change_id and attempt.timestamp_version > lost_to:
                    raise ConflictError("it is coming into force at this moment", subject=app)
            self._drop(change_id)
            self.withdrawn.add((app, change_id))
            self.note_done(intent, now)
            return True

    def was_withdrawn(self, app: AppName, change_id: Sha256Hex) -> bool:
        return (app, change_id) in self.withdrawn

    def check_pending(self, app: AppName, change_id: str) -> PendingChange:
        """Return the change of this id."""
        for change in self.pending(app):
            if change.change_id == change_id:
                return change
        raise ConflictError("not pending any more", subject=app)

    def end_attempt(self, number: int) -> None:
        """Drop the change that an entry has put in force."""
        if number in self.attempts:
            self._drop(self.attempts[number].change_id)

    def _drop(self, change_id: str) -> None:
        kept = {key: item for key, item in self.changes.items() if item.change_id != change_id}
        self.changes.clear()
        self.changes.update(kept)
