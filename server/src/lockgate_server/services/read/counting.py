"""How far a server has got, in numbers.

Read from metadata that is not verified, and named so: nothing here decides trust.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Protocol

from lockgate_release.errors import LockgateError
from lockgate_release.instants import format_instant, parse_instant
from lockgate_release.layout import metadata_key, timestamp_key
from lockgate_release.names import AppName
from lockgate_release.strict_json import Json, JsonObject
from lockgate_server.ports import AuditEntry, ObjectStore
from lockgate_server.ports.reports import ActiveCount, Drop
from lockgate_server.services.objects import read_object

__all__ = [
    "HealthLedger",
    "HealthReports",
    "count_active",
    "count_app",
    "read_unverified_expiry",
]

_SHOWN_ENTRIES = 500
_PUBLISHED = frozenset({"publish", "pending.live"})


class HealthLedger(Protocol):
    """The little that health needs to know of the ledger."""

    def apps(self) -> tuple[AppName, ...]:
        """Return every pinned app, by name."""
        ...

    def is_usable(self) -> bool:
        """Whether the ledger answers a read and a write now."""
        ...

    def audit(self, app: AppName | None, *, limit: int) -> tuple[AuditEntry, ...]:
        """Return the newest entries, newest first, of one app or of all."""
        ...

    def open_entries(self, app: AppName) -> tuple[AuditEntry, ...]:
        """Return the app's open entries, oldest first."""
        ...

    def pending(self, app: AppName) -> Iterable[object]:
        """Return the app's changes that wait for signatures."""
        ...


class HealthReports(Protocol):
    """The little that health needs to know of reports."""

    def dropped(self) -> Mapping[Drop, int]:
        """Return what was dropped in the days that are kept; what never was is left out."""
        ...

    def active(self, app: AppName, day: date) -> tuple[ActiveCount, ...]:
        """Return the counts of a day, most clients first."""
        ...

    def waiting(self, *, now: datetime) -> int | None:
        """Return how many reports wait to be counted; None where nobody takes reports in."""
        ...


def read_unverified_expiry(store: ObjectStore, app: AppName) -> datetime | None:
    """Return when an app's timestamp says that it runs out, or None where that cannot be read.

    Raises:
        TransportError: The store does not answer.
    """
    timestamp = read_object(store, timestamp_key(app))
    try:
        return parse_instant(json.loads(timestamp.data)["signed"]["expires"]) if timestamp else None
    except (ValueError, KeyError, TypeError):
        return None


def count_app(store: ObjectStore, ledger: HealthLedger, app: AppName) -> dict[str, Json]:
    """Return how far an app has got.

    Raises:
        LockgateError: Store or ledger cannot be read.
        ValueError, KeyError, TypeError: What the store holds is no metadata.
    """
    info = store.head(timestamp_key(app))
    timestamp = read_object(store, timestamp_key(app))
    entries = ledger.audit(app, limit=_SHOWN_ENTRIES)
    published = (
        entry.at
        for entry in entries
        if entry.intent.action in _PUBLISHED and entry.outcome == "done"
    )
    unverified = json.loads(timestamp.data)["signed"] if timestamp else None
    return {
        "app": app,
        "releases": 0 if unverified is None else _count_releases(store, app, unverified),
        "timestamp_version": 0 if unverified is None else int(unverified["version"]),
        "timestamp_expires_at": None if unverified is None else str(unverified["expires"]),
        "last_signed_at": None if info is None else format_instant(info.modified_at),
        "last_published_at": _said(max(published, default=None)),
        "open_changes": len(ledger.open_entries(app)),
        "pending_changes": len(tuple(ledger.pending(app))),
        "open_uploads": _count_uploads(store, app),
    }


def _said(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


def _count_uploads(store: ObjectStore, app: AppName) -> int:
    keys = (info.key for info in store.list(f"{app}/uploads/"))
    return sum(key.endswith(".json") for key in keys)


def _count_releases(
    store: ObjectStore, app: AppName, timestamp: Mapping[str, Mapping[str, Mapping[str, int]]]
) -> int:
    number = timestamp["meta"]["snapshot.json"]["version"]
    unverified_snapshot = _read_unverified(store, app, "snapshot", number)
    number = unverified_snapshot["meta"]["releases.json"]["version"]
    unverified_releases = _read_unverified(store, app, "releases", number)
    return sum(path.endswith("/release.json") for path in unverified_releases["targets"])


def _read_unverified(
    store: ObjectStore, app: AppName, role: str, number: int
) -> dict[str, dict[str, dict[str, int]]]:
    found = read_object(store, metadata_key(app, role, number))
    signed: dict[str, dict[str, dict[str, int]]] = json.loads(found.data)["signed"] if found else {}
    return signed


def count_active(reports: HealthReports | None, app: AppName, today: date) -> JsonObject:
    """Return how many clients said that they use each version, on the newest day that is known.

    Yesterday's count is whole; today's only counts where there is none.
    """
    for day in (today - timedelta(days=1), today):
        try:
            found = () if reports is None else reports.active(app, day)
        except LockgateError:
            return {"day": None, "versions": {}}
        versions: Counter[str] = Counter()
        for one in found:
            versions[one.version] += one.clients
        if versions:
            return {"day": day.isoformat(), "versions": dict(versions.most_common())}
    return {"day": None, "versions": {}}
