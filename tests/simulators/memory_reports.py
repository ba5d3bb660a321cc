"""Counts of reports in a few dictionaries: a fast stand-in, held to the contract."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from lockgate_release.instants import format_instant, parse_instant
from lockgate_release.names import AppName, ChannelName
from lockgate_release.reports import Active, CohortKey
from lockgate_release.rollout.counts import Cohort, Opening
from lockgate_server.ports.reports import (
    ACTIVE_KEPT,
    COUNTS_KEPT,
    DROPPED_KEPT,
    ActiveCount,
    Added,
    Admitted,
    Drop,
)
from lockgate_server.stores.report_queue import FRESH
from lockgate_server.stores.report_tallying import (
    OPENING_KEPT,
    Line,
    ReleaseKey,
    cohort_of,
    tally,
)


@dataclass
class MemoryReportLedger:
    """All its state is in its dictionaries: a test may look at them, or spoil them."""

    lines: Counter[Line] = field(default_factory=Counter)
    heard: dict[ReleaseKey, datetime] = field(default_factory=dict)
    canaries: dict[ReleaseKey, dict[int, bool]] = field(default_factory=dict)
    seen: dict[int, datetime] = field(default_factory=dict)
    active_counts: Counter[tuple[AppName, date, Active]] = field(default_factory=Counter)
    dropped_counts: Counter[tuple[date, Drop]] = field(default_factory=Counter)
    additions: int = 0
    noted: tuple[int, datetime] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self, admitted: Sequence[Admitted], dropped: Mapping[Drop, int], *, now: datetime
    ) -> Added:
        with self._lock:
            added = tally(admitted, self.seen)
            self.additions += 1
            self.lines += added.lines
            for release in added.heard:
                self.heard[release] = parse_instant(format_instant(now))
            for release, mark in added.canaries:
                first = self.canaries.setdefault(release, {})
                if len(first) < OPENING_KEPT:
                    first[mark] = False
            for release, mark in added.crashed:
                if mark in self.canaries.get(release, {}):
                    self.canaries[release][mark] = True
            for mark in added.fresh:
                assert added.until is not None
                self.seen[mark] = added.until
            for (app, one), count in added.active.items():
                self.active_counts[app, now.date(), one] += count
            self._drop(dropped, now)
            self._drop({Drop.REPEATED: added.repeated}, now)
        return Added(
            counted=added.counted, repeated=added.repeated, unmatched=tuple(added.unmatched)
        )

    def _drop(self, dropped: Mapping[Drop, int], now: datetime) -> None:
        for why, count in dropped.items():
            if count:
                self.dropped_counts[now.date(), why] += count

    def cohorts(self, app: AppName, channel: ChannelName, version: str) -> tuple[Cohort, ...]:
        found: dict[CohortKey, list[tuple[str, int]]] = {}
        for (of, key, what), count in self.lines.items():
            if (of, key.channel, key.version) == (app, channel, version):
                found.setdefault(key, []).append((what, count))
        ordered = sorted(
            found, key=lambda key: (key.hour, key.epoch, key.arm, key.platform, key.from_version)
        )
        return tuple(cohort_of(key, found[key]) for key in ordered)

    def opening(self, app: AppName, channel: ChannelName, version: str, *, first: int) -> Opening:
        crashed = list(self.canaries.get(ReleaseKey(app, channel, version), {}).values())[:first]
        return Opening(canaries=len(crashed), crash_loops=sum(crashed))

    def last_report_at(self, app: AppName, channel: ChannelName, version: str) -> datetime | None:
        return self.heard.get(ReleaseKey(app, channel, version))

    def active(self, app: AppName, day: date) -> tuple[ActiveCount, ...]:
        found = [
            ActiveCount(
                channel=one.channel, version=one.version, platform=one.platform, clients=count
            )
            for (of, on, one), count in self.active_counts.items()
            if (of, on) == (app, day)
        ]
        return tuple(
            sorted(found, key=lambda one: (-one.clients, one.channel, one.version, one.platform))
        )

    def dropped(self) -> Mapping[Drop, int]:
        found: Counter[Drop] = Counter()
        for (_day, why), count in self.dropped_counts.items():
            found[why] += count
        return found

    def note_waiting(self, waiting: int, *, now: datetime) -> None:
        self.noted = (waiting, now)

    def waiting(self, *, now: datetime) -> int | None:
        if self.noted is None or abs(now - self.noted[1]) > FRESH:
            return None
        return self.noted[0]

    def prune(self, *, now: datetime) -> None:
        with self._lock:
            self.lines = Counter(
                {
                    line: count
                    for line, count in self.lines.items()
                    if line.cohort.hour >= now - COUNTS_KEPT
                }
            )
            self.heard = {key: at for key, at in self.heard.items() if at >= now - COUNTS_KEPT}
            self.canaries = {key: of for key, of in self.canaries.items() if key in self.heard}
            self.seen = {mark: until for mark, until in self.seen.items() if until >= now}
            for active_key in list(self.active_counts):
                if active_key[1] < (now - ACTIVE_KEPT).date():
                    del self.active_counts[active_key]
            for dropped_key in list(self.dropped_counts):
                if dropped_key[0] < (now - DROPPED_KEPT).date():
                    del self.dropped_counts[dropped_key]

    def close(self) -> None:
        """Nothing is open."""
