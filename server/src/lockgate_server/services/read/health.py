"""Whether the server is well, and how far it has got, for monitors and people.

Everybody may ask whether it is, so good news is kept for a few seconds: a flood of questions takes
no lock of the database, and pays for no requests of the store. Of what is looked at app by app,
the news is kept for longer, good or bad. Other bad news is never kept.

What a stranger learns is whether each part is well. Apps, numbers, versions and reasons that name
something are for people with a token, on the side of the API.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lockgate_release.errors import LockgateError
from lockgate_release.instants import format_instant
from lockgate_release.names import AppName
from lockgate_release.strict_json import Json, JsonObject
from lockgate_server.ports import ObjectStore
from lockgate_server.services.read.checks import (
    BackupNews,
    Check,
    Level,
    judge_backup,
    judge_clock,
    judge_keys,
    judge_signing,
    only_warn,
)
from lockgate_server.services.read.counting import (
    HealthLedger,
    HealthReports,
    count_active,
    count_app,
    read_unverified_expiry,
)

__all__ = ["KEPT", "KEPT_BY_APP", "Health", "HealthLedger", "HealthReports", "Signing"]

KEPT = timedelta(seconds=5)
"""For how long good news is kept."""
KEPT_BY_APP = timedelta(minutes=1)
"""For how long is kept what was looked at app by app."""
_QUEUES = ("open_changes", "pending_changes", "open_uploads")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """What only the side that signs can look at.

    Attributes:
        find_problem: Returns why an app's key cannot be used, or None where it can.
    """

    find_problem: Callable[[AppName], str | None]


@dataclass(slots=True)
class _Recent:
    """What was found last, and when. Threads may share it: at worst two of them look at once."""

    checks: tuple[datetime, tuple[Check, ...]] | None = None
    by_app: tuple[datetime, tuple[Check, ...]] | None = None
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
        signing: What the side that signs can look at; None on the public side.
        store_clock: Returns what the object store's clock says; None where it is this machine's.
        backup: Returns how the newest backup went.
    """

    store: ObjectStore
    ledger: HealthLedger
    now: Callable[[], datetime]
    started_at: datetime
    version: str
    reports: HealthReports | None = None
    signing: Signing | None = None
    store_clock: Callable[[], datetime | None] = lambda: None
    backup: Callable[[], BackupNews | None] = lambda: None
    _recent: _Recent = field(default_factory=_Recent, init=False, repr=False, compare=False)

    def obstacles(self) -> tuple[str, ...]:
        """Return why this side cannot do its work now; empty when it can, or just could."""
        return tuple(one.reason for one in self.checks() if one.level is Level.FAILED)

    def checks(self) -> tuple[Check, ...]:
        """Return everything that is looked at, as it is or was a few seconds ago."""
        kept = self._recent.checks
        if kept is not None and self._is_fresh(kept[0], KEPT):
            return kept[1]
        found = self._look()
        is_good = all(one.level is not Level.FAILED for one in found)
        self._recent.checks = (self.now(), found) if is_good else None
        return found

    def _is_fresh(self, at: datetime, kept: timedelta) -> bool:
        # A clock that was put back must not keep old news for long.
        return timedelta(0) <= self.now() - at < kept

    def _look(self) -> tuple[Check, ...]:
        parts = (self._look_at_storage(), self._look_at_database())
        if any(one.level is not Level.OK for one in parts):
            # What the others would say follows from this.
            return parts
        return (*parts, *self._look_by_app(), *judge_backup(self.backup(), self.now()))

    def _look_at_storage(self) -> Check:
        try:
            self.store.head("health/probe")
        except LockgateError as exc:
            return _failed("storage", "the object store does not answer", exc)
        return Check(name="storage")

    def _look_at_database(self) -> Check:
        try:
            is_usable = self.ledger.is_usable()
        except LockgateError as exc:
            return _failed("database", "the database does not answer", exc)
        return (
            Check(name="database")
            if is_usable
            else _failed("database", "the database does not answer")
        )

    def _look_by_app(self) -> tuple[Check, ...]:
        kept = self._recent.by_app
        if kept is not None and self._is_fresh(kept[0], KEPT_BY_APP):
            return kept[1]
        try:
            found = self._find_by_app()
        except LockgateError as exc:
            return (only_warn(_failed("signing", "it cannot be told how old signatures are", exc)),)
        self._recent.by_app = (self.now(), found)
        return found

    def _find_by_app(self) -> tuple[Check, ...]:
        now, newest = self.now(), self.ledger.audit(None, limit=1)
        apps = [app for app in self.ledger.apps() if self.ledger.audit(app, limit=1)]
        signing = judge_signing({app: read_unverified_expiry(self.store, app) for app in apps}, now)
        clock = judge_clock(now, newest[0].at if newest else None, self._store_now())
        if self.signing is None:
            return only_warn(clock), only_warn(signing)
        looked = {app: self.signing.find_problem(app) for app in apps}
        keys = judge_keys({app: why for app, why in looked.items() if why is not None})
        return clock, keys, signing

    def _store_now(self) -> datetime | None:
        try:
            return self.store_clock()
        except LockgateError:
            return None

    # In numbers.

    def summary(self) -> JsonObject:
        """Return what anybody may know: whether each part is well, and for how long it runs."""
        found = self.checks()
        return {
            "status": "ready" if _is_ready(found) else "not ready",
            "checks": {one.name: one.level.value for one in found},
            "uptime_s": self._uptime_s(),
        }

    def snapshot(self) -> JsonObject:
        """Return the server's state in numbers, for people who may know, as of a moment ago."""
        kept = self._recent.snapshot
        if kept is not None and self._is_fresh(kept[0], KEPT):
            return kept[1]
        found = self._take_snapshot()
        is_good = found["storage"] == found["database"] == "ok"
        self._recent.snapshot = (self.now(), found) if is_good else None
        return found

    def _take_snapshot(self) -> JsonObject:
        checks = self.checks()
        levels = {one.name: one.level for one in checks}
        is_ledger_usable = levels["database"] is Level.OK
        storage, described = "ok", list[dict[str, Json]]()
        try:
            for app in self.ledger.apps() if is_ledger_usable else ():
                one = count_app(self.store, self.ledger, app)
                one["clients"] = count_active(self.reports, app, self.now().date())
                described.append(one)
            if levels["storage"] is not Level.OK:
                storage = "unreachable"
        except (LockgateError, ValueError, KeyError, TypeError):
            storage, described = "unreadable", []
        return {
            "version": self.version,
            "uptime_s": self._uptime_s(),
            "status": "ready" if _is_ready(checks) else "not ready",
            "checks": [_describe(one) for one in checks],
            "apps": len(described),
            "releases": _total(described, "releases"),
            "last_signed_at": _newest(described, "last_signed_at"),
            "last_published_at": _newest(described, "last_published_at"),
            "storage": storage,
            "database": "ok" if is_ledger_usable else "unusable",
            "reports_dropped": self._count_dropped(),
            "queues": {
                **{name: _total(described, name) for name in _QUEUES},
                "reports": self._count_waiting(),
            },
            "last_backup": _describe_backup(self.backup()),
            "by_app": list(described),
        }

    def _uptime_s(self) -> int:
        return int((self.now() - self.started_at).total_seconds())

    def _count_dropped(self) -> JsonObject | None:
        """Return what was dropped, by reason, or None where that cannot be read."""
        try:
            found = {} if self.reports is None else self.reports.dropped()
        except LockgateError:
            return None
        return {why.value: count for why, count in found.items()}

    def _count_waiting(self) -> int | None:
        """Return how many reports wait to be counted, or None where nobody says."""
        try:
            return None if self.reports is None else self.reports.waiting(now=self.now())
        except LockgateError:
            return None


def _failed(name: str, reason: str, exc: LockgateError | None = None) -> Check:
    details = () if exc is None else (exc.what,)
    return Check(name=name, level=Level.FAILED, reason=reason, details=details)


def _is_ready(checks: Sequence[Check]) -> bool:
    return all(one.level is not Level.FAILED for one in checks)


def _describe(check: Check) -> JsonObject:
    return {
        "name": check.name,
        "level": check.level.value,
        "reason": check.reason,
        "details": list(check.details),
    }


def _describe_backup(news: BackupNews | None) -> JsonObject | None:
    if news is None:
        return None
    times = {"made_at": news.made_at, "verified_at": news.verified_at, "failed_at": news.failed_at}
    said = {name: None if at is None else format_instant(at) for name, at in times.items()}
    return {"name": news.name, **said}


def _total(described: list[dict[str, Json]], name: str) -> int:
    return sum(value for one in described if isinstance(value := one[name], int))


def _newest(described: list[dict[str, Json]], name: str) -> str | None:
    # The form of an instant is fixed, so texts compare as times do.
    return max((value for one in described if isinstance(value := one[name], str)), default=None)
