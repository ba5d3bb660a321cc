"""Whether the server is well, and how far it has got, for monitors and people.

Nothing here decides trust: the counts are read from metadata that is not verified, and named so.

Everybody may ask, so good news is kept for a few seconds: a flood of questions takes no lock of the
database, and pays for no requests of the store. Bad news is never kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from lockgate_release.errors import LockgateError
from lockgate_release.instants import format_instant
from lockgate_release.layout import metadata_key, timestamp_key
from lockgate_release.names import AppName
from lockgate_release.strict_json import JsonObject
from lockgate_server.ports import ObjectStore
from lockgate_server.ports.reports import Drop
from lockgate_server.services.objects import read_object

__all__ = ["KEPT", "Health", "HealthLedger", "HealthReports"]

KEPT = timedelta(seconds=5)
"""For how long good news is kept."""


class HealthLedger(Protocol):
    """The little that health needs to know of the ledger."""

    def apps(self) -> tuple[AppName, ...]:
        """Return every pinned app, by name."""
        ...

    def is_usable(self) -> bool:
        """Whether the ledger answers a read and a write now."""
        ...


class HealthReports(Protocol):
    """The little that health needs to know of reports."""

    def dropped(self) -> Mapping[Drop, int]:
        """Return what was dropped in the days that are kept; what never was is left out."""
        ...


@dataclass(slots=True)
class _Recent:
    """What was found last, and when. Threads may share it: at worst two of them look at once."""

    ready_at: datetime | None = None
    snapshot: tuple[datetime, JsonObject] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What monitors ask.

    Attributes:
        store: Where the files are.
        ledger: What people did.
        now: The present.
        started_at: When this process began.
        version: The server's.
        reports: What clients reported, or None where nobody is asked.
    """

    store: ObjectStore
    ledger: HealthLedger
    now: Callable[[], datetime]
    started_at: datetime
    version: str
    reports: HealthReports | None = None
    _recent: _Recent = field(default_factory=_Recent, init=False, repr=False, compare=False)

    def obstacles(self) -> tuple[str, ...]:
        """Return why the server cannot do its work now; empty when it can, or just could."""
        if self._is_fresh(self._recent.ready_at):
            return ()
        found = self._find_obstacles()
        self._recent.ready_at = None if found else self.now()
        return found

    def _is_fresh(self, at: datetime | None) -> bool:
        # A clock that was put back must not keep old news for long.
        return at is not None and timedelta(0) <= self.now() - at < KEPT

    def _find_obstacles(self) -> tuple[str, ...]:
        found = []
        if not self._is_store_usable():
            found.append("the object store does not answer")
        if not self._is_ledger_usable():
            found.append("the database does not answer")
        return tuple(found)

    def snapshot(self) -> JsonObject:
        """Return the server's state in numbers, as it is or was a few seconds ago."""
        kept = self._recent.snapshot
        if kept is not None and self._is_fresh(kept[0]):
            return kept[1]
        found = self._take_snapshot()
        is_good = found["storage"] == found["database"] == "ok"
        self._recent.snapshot = (self.now(), found) if is_good else None
        return found

    def _take_snapshot(self) -> JsonObject:
        is_ledger_usable = self._is_ledger_usable()
        apps = self.ledger.apps() if is_ledger_usable else ()
        try:
            signed = [self._last_signed_at(app) for app in apps]
            releases = sum(self._count_releases(app) for app in apps)
            storage = "ok" if self._is_store_usable() else "unreachable"
        except (LockgateError, ValueError, KeyError, TypeError):
            signed, releases, storage = [], 0, "unreadable"
        last = max((at for at in signed if at is not None), default=None)
        return {
            "version": self.version,
            "uptime_s": int((self.now() - self.started_at).total_seconds()),
            "apps": len(apps),
            "releases": releases,
            "last_signed_at": None if last is None else format_instant(last),
            "storage": storage,
            "database": "ok" if is_ledger_usable else "unusable",
            "reports_dropped": self._count_dropped(),
        }

    def _count_dropped(self) -> JsonObject | None:
        """Return what was dropped, by reason, or None where that cannot be read."""
        try:
            found = {} if self.reports is None else self.reports.dropped()
        except LockgateError:
            return None
        return {why.value: count for why, count in found.items()}

    def _is_store_usable(self) -> bool:
        try:
            self.store.head("health/probe")
        except LockgateError:
            return False
        return True

    def _is_ledger_usable(self) -> bool:
        try:
            return self.ledger.is_usable()
        except LockgateError:
            return False

    def _last_signed_at(self, app: AppName) -> datetime | None:
        info = self.store.head(timestamp_key(app))
        return None if info is None else info.modified_at

    def _count_releases(self, app: AppName) -> int:
        timestamp = read_object(self.store, timestamp_key(app))
        if timestamp is None:
            return 0
        number = json.loads(timestamp.data)["signed"]["meta"]["snapshot.json"]["version"]
        unverified_snapshot = self._read_unverified(app, "snapshot", number)
        number = unverified_snapshot["meta"]["releases.json"]["version"]
        unverified_releases = self._read_unverified(app, "releases", number)
        return sum(path.endswith("/release.json") for path in unverified_releases["targets"])

    def _read_unverified(
        self, app: AppName, role: str, number: int
    ) -> dict[str, dict[str, dict[str, int]]]:
        found = read_object(self.store, metadata_key(app, role, number))
        signed: dict[str, dict[str, dict[str, int]]] = (
            json.loads(found.data)["signed"] if found else {}
        )
        return signed
