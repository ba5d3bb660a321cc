"""A ledger that is a few lists: a fast stand-in, held to the adapter's contract."""

import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from lockgate_release.errors import ConflictError
from lockgate_release.instants import format_instant, parse_instant
from lockgate_release.names import AppName
from lockgate_release.strict_json import dump_json
from lockgate_server.ports import Attempt, AuditEntry, Highest, Intent, Lease, Scope, TokenInfo
from lockgate_server.stores.audit_chain import (
    CHAIN_START,
    Outcome,
    chain_entry,
    chain_outcome,
    find_first_broken,
    merge_highest,
)
from tests.simulators.memory_pending import MemoryPending


def _whole_seconds(instant: datetime) -> datetime:
    return parse_instant(format_instant(instant))


def _counting_ids() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"token-{next(numbers)}"


@dataclass
class MemoryLedger(MemoryPending):
    """All its state is in its lists and dictionaries: a test may look at them, or spoil them."""

    usable: bool = True
    new_id: Callable[[], str] = field(default_factory=_counting_ids)
    tokens_by_secret: dict[str, TokenInfo] = field(default_factory=dict)
    roots: dict[AppName, bytes] = field(default_factory=dict)
    entries: list[AuditEntry] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    highest_by_app: dict[AppName, Highest] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def create_token(
        self, *, scope: Scope, label: str, secret_sha256: str, now: datetime
    ) -> TokenInfo:
        with self._lock:
            if secret_sha256 in self.tokens_by_secret:
                raise ConflictError("there is such a token already", subject=label)
            made = TokenInfo(
                token_id=self.new_id(), scope=scope, label=label, created_at=_whole_seconds(now)
            )
            self.tokens_by_secret[secret_sha256] = made
            return made

    def find_token(self, secret_sha256: str) -> TokenInfo | None:
        found = self.tokens_by_secret.get(secret_sha256)
        return found if found and found.revoked_at is None else None

    def tokens(self) -> tuple[TokenInfo, ...]:
        return tuple(self.tokens_by_secret.values())

    def revoke_token(self, token_id: str, *, now: datetime) -> bool:
        with self._lock:
            for secret, token in self.tokens_by_secret.items():
                if token.token_id == token_id and token.revoked_at is None:
                    revoked = replace(token, revoked_at=_whole_seconds(now))
                    self.tokens_by_secret[secret] = revoked
                    return True
        return False

    def pin_app(self, app: AppName, root: bytes) -> None:
        with self._lock:
            if self.roots.setdefault(app, root) != root:
                raise ConflictError("pinned to another root already", subject=app)

    def pinned_root(self, app: AppName) -> bytes | None:
        return self.roots.get(app)

    def apps(self) -> tuple[AppName, ...]:
        return tuple(sorted(self.roots))

    def begin(self, intent: Intent, *, now: datetime, attempt: Attempt | None = None) -> int:
        # As a file would: what is kept is the JSON, not the caller's objects.
        kept = replace(intent, details=json.loads(dump_json(intent.details)))
        with self._lock:
            if attempt is not None:
                self.check_pending(intent.app, attempt.change_id)
            number = len(self.entries) + 1
            before = self.entries[-1].chain_sha256 if self.entries else CHAIN_START
            entry = AuditEntry(
                number=number,
                at=_whole_seconds(now),
                intent=kept,
                outcome="open",
                chain_sha256=chain_entry(before, number, now, kept),
            )
            self.entries.append(entry)
            if attempt is not None:
                self.attempts[number] = attempt
        return number

    def note_done(self, intent: Intent, now: datetime) -> None:
        with self._lock:
            self._close(self.begin(intent, now=now), "done")

    def finish(self, number: int, highest: Highest) -> None:
        with self._lock:
            app = self._entry(number).intent.app
            self._close(number, "done")
            self.end_attempt(number)
            self.highest_by_app[app] = merge_highest(self.highest_by_app.get(app), highest)

    def abandon(self, number: int) -> None:
        with self._lock:
            if self._entry(number).outcome != "done":
                self._close(number, "abandoned")

    def _entry(self, number: int) -> AuditEntry:
        if not 0 < number <= len(self.entries):
            raise ValueError(f"no entry {number} in the audit log")
        return self.entries[number - 1]

    def _close(self, number: int, outcome: str) -> None:
        entry = self._entry(number)
        if entry.outcome == outcome:
            return
        before = self.outcomes[-1].chain_sha256 if self.outcomes else CHAIN_START
        link = chain_outcome(before, number, entry.chain_sha256, outcome)
        self.outcomes.append(Outcome(entry=number, outcome=outcome, chain_sha256=link))
        self.entries[number - 1] = replace(entry, outcome=outcome)

    def open_entries(self, app: AppName) -> tuple[AuditEntry, ...]:
        with self._lock:
            of_app = [entry for entry in self.entries if entry.intent.app == app]
        return tuple(entry for entry in of_app if entry.outcome == "open")

    def highest(self, app: AppName) -> Highest | None:
        return self.highest_by_app.get(app)

    def audit(self, app: AppName | None, *, limit: int) -> tuple[AuditEntry, ...]:
        with self._lock:
            newest_first = self.entries[::-1]
        of_app = [entry for entry in newest_first if app is None or entry.intent.app == app]
        return tuple(of_app[: max(0, limit)])

    def verify_audit(self) -> int | None:
        with self._lock:
            return find_first_broken(
                [(entry.number, entry) for entry in self.entries], self.outcomes
            )

    def take_lease(self, name: str, holder: str, *, now: datetime, until: datetime) -> Lease | None:
        with self._lock:
            held = self.leases.get(name)
            latest = _whole_seconds(until + (until - now))
            is_others = held is not None and held.holder != holder
            if held and is_others and _whole_seconds(now) < held.expires_at <= latest:
                return None
            lease = Lease(name=name, holder=holder, expires_at=_whole_seconds(until))
            self.leases[name] = lease
            return lease

    def release_lease(self, name: str, holder: str) -> None:
        with self._lock:
            held = self.leases.get(name)
            if held and held.holder == holder:
                del self.leases[name]

    def is_usable(self) -> bool:
        return self.usable

    def close(self) -> None:
        """Nothing is open."""
