"""The intake: reports are held against what is in force, wait in memory, and are counted in bulk.

1. A request writes nothing to a disk: what it brings waits, and is counted within a second, in one
   transaction with everything else that came meanwhile. So the database does not feel the number of
   clients. A clean stop counts what waits; a kill loses what came since the last flush.
2. What waits is bounded: beyond, who comes is told to come again.
3. One block of addresses is at most a small share of an arm, so that it alone moves nothing; and it
   may send so many requests, and no more.
4. An outcome whose enrolment is not known yet waits for a few flushes: the two may have come to
   different processes.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

from lockgate_release.errors import LockgateError
from lockgate_release.gate import Arm
from lockgate_release.log.server_events import REPORTS_NOT_COUNTED
from lockgate_release.log.telling import tell
from lockgate_release.names import AppName, is_app_name
from lockgate_release.reports import Active, Batch, CohortKey, Enrolled, Receipt, Report
from lockgate_server.ports.reports import Admitted, Drop, ReportLedger
from lockgate_server.services.reports.admission import Place, admit_active, find_place, put
from lockgate_server.services.reports.blocks import Rates, Weights, allowance
from lockgate_server.services.reports.in_force import InForce, View
from lockgate_server.services.reports.reading import Reader
from lockgate_server.services.reports.shared import SharedCounts

__all__ = ["FLUSH_S", "Intake", "IntakeLimits"]

_log = logging.getLogger(__name__)

FLUSH_S: Final = 1.0
"""How long a report waits at most before it is counted."""

_FEW_FLUSHES: Final = 5
_KNOWN_PLACES: Final = 4096
_ACTIVE_RATIO: Final = 100.0
"""Of a day's clients one block may be so many times more than of an arm: they move nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeLimits:
    """How much is taken in.

    Attributes:
        waiting: How many reports wait at most.
        share_bp: The share of an arm that one block of addresses may be, in basis points; 0: as
            many as nobody can tell from chance.
        processes: How many processes take reports in, each with tables of its own.
        requests_per_s: How many requests one block may send in a second, on average.
        burst: How many it may send at once.
    """

    waiting: int = 50_000
    share_bp: int = 0
    processes: int = 1
    requests_per_s: float = 10.0
    burst: int = 100

    def allowed(self, ratio: float) -> Callable[[int], int]:
        """Return how many of so many in an arm may be of one block; see `allowance`."""
        return partial(allowance, ratio=ratio, share_bp=self.share_bp)


@dataclass(slots=True)
class _Waiting:
    fresh: list[Admitted] = field(default_factory=list)
    dropped: Counter[Drop] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A place, and how many clients of one block fit there."""

    place: Place
    arm: Hashable
    allowed: Callable[[int], int]


class _Places:
    """The places that were found last: many clients are in few cohorts."""

    def __init__(self, limits: IntakeLimits) -> None:
        self._limits = limits
        # One value for each app, so that no thread puts what it found into what is known of
        # another state.
        self._known: dict[AppName, tuple[InForce, dict[CohortKey, _Known]]] = {}

    def find(self, app: AppName, cohort: CohortKey, there: InForce, now: datetime) -> _Known | Drop:
        """Return the same as `find_place`."""
        held = self._known.get(app)
        if held is None or held[0] is not there or len(held[1]) >= _KNOWN_PLACES:
            held = self._known[app] = (there, {})
        known = held[1].get(cohort)
        if known is not None and known.place.until > now:
            return known
        place = find_place(cohort, there, now)
        if isinstance(place, Drop):
            return place
        found = held[1][cohort] = self._describe(app, place)
        return found

    def _describe(self, app: AppName, place: Place) -> _Known:
        cohort = place.cohort
        # A canary enrols once, control in each epoch anew.
        epoch = 0 if cohort.arm is Arm.OFFERED else cohort.epoch
        return _Known(
            place=place,
            arm=(app, cohort.channel, cohort.version, cohort.arm, epoch),
            allowed=self._limits.allowed(place.line.ratio_of(cohort.arm)),
        )


class Intake:
    """Takes reports in. Safe to share between threads."""

    def __init__(
        self,
        *,
        ledger: ReportLedger,
        view: View,
        now: Callable[[], datetime],
        monotonic_s: Callable[[], float],
        limits: IntakeLimits,
        shared: SharedCounts | None = None,
    ) -> None:
        """Begin with nothing; `start` lets a thread count what comes.

        Args:
            ledger: Where it is counted.
            view: What is in force.
            now: The present.
            monotonic_s: A clock that only goes forward, in seconds.
            limits: How much is taken in.
            shared: What is counted together with the other processes, where there are any.
        """
        self._ledger = ledger
        self._view = view
        self._now = now
        self._monotonic_s = monotonic_s
        self._limits = limits
        self._rates = Rates(per_s=limits.requests_per_s, burst=limits.burst)
        self._weights = Weights(limits.processes, shared)
        self._places = _Places(limits)
        self._of_a_day = limits.allowed(_ACTIVE_RATIO)
        self._reader = Reader()
        self._lock = threading.Lock()
        self._waiting = _Waiting()
        self._unmatched: list[tuple[Admitted, int]] = []
        self._flushing = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def wait_s(self, block: int) -> float:
        """Return 0 if a block may send a request now, or for how many seconds it must wait."""
        wait_s = self._rates.take(block, self._monotonic_s())
        if wait_s:
            self.drop(Drop.RATE)
        return wait_s

    def is_full(self) -> bool:
        """Whether so much waits that nothing more is taken in; who asks is counted."""
        with self._lock:
            is_full = len(self._waiting.fresh) >= self._limits.waiting
            if is_full:
                self._waiting.dropped[Drop.FULL] += 1
        return is_full

    def drop(self, why: Drop) -> None:
        """Count something that was dropped."""
        with self._lock:
            self._waiting.dropped[why] += 1

    def read(self, data: bytes) -> Batch:
        """Return the reports in a body, as `parse_reports` does.

        Raises:
            DocumentError: The body is malformed as a whole.
        """
        return self._reader.read(data)

    def receive(self, app: str, batch: Batch, block: int) -> Receipt:
        """Take in what a client sent.

        Args:
            app: The app it speaks of: anything.
            batch: What it says.
            block: The block of addresses it comes from.

        Raises:
            TransportError: What is in force cannot be read.
            LocalError: The ledger is in the way.
        """
        there = self._view.of(AppName(app)) if is_app_name(app) else None
        dropped: Counter[Drop] = Counter()
        if batch.malformed:
            dropped[Drop.MALFORMED] = batch.malformed
        if there is None:
            admitted = []
            dropped[Drop.UNKNOWN] += len(batch.reports)
        else:
            admitted = self._admit(AppName(app), batch.reports, there, block, dropped)
        with self._lock:
            self._waiting.fresh += admitted
            if dropped:
                self._waiting.dropped += dropped
        return Receipt(
            accepted=len(admitted), dropped=len(batch.reports) + batch.malformed - len(admitted)
        )

    def _admit(
        self,
        app: AppName,
        reports: Sequence[Report],
        there: InForce,
        block: int,
        dropped: Counter[Drop],
    ) -> list[Admitted]:
        now = self._now()
        admitted = []
        for report in reports:
            found = self._judge(app, report, there, block, now)
            if isinstance(found, Admitted):
                admitted.append(found)
            else:
                dropped[found] += 1
        return admitted

    def _judge(
        self, app: AppName, report: Report, there: InForce, block: int, now: datetime
    ) -> Admitted | Drop:
        if isinstance(report, Active):
            return self._judge_active(app, report, there, block, now)
        known = self._places.find(app, report.cohort, there, now)
        if isinstance(known, Drop):
            return known
        # An outcome follows its enrolment.
        if isinstance(report, Enrolled) and not self._weights.take(known.arm, block, known.allowed):
            return Drop.WEIGHT
        return put(app, report, known.place)

    def _judge_active(
        self, app: AppName, report: Active, there: InForce, block: int, now: datetime
    ) -> Admitted | Drop:
        found = admit_active(app, report, there, now)
        today = (app, now.date())
        if isinstance(found, Admitted) and not self._weights.take(today, block, self._of_a_day):
            return Drop.WEIGHT
        return found

    def flush(self) -> None:
        """Count what waits; where that fails it waits on, in bounds.

        Raises:
            LocalError: The disk is in the way.
        """
        with self._flushing:
            with self._lock:
                taken, self._waiting = self._waiting, _Waiting()
            again = [one for one, _tries in self._unmatched]
            if not (taken.fresh or taken.dropped or again):
                return
            try:
                added = self._ledger.add([*again, *taken.fresh], taken.dropped, now=self._now())
            except BaseException:
                with self._lock:
                    self._waiting.fresh[:0] = taken.fresh
                    self._waiting.dropped += taken.dropped
                raise
            tries = {id(one): tries for one, tries in self._unmatched}
            left = [(one, tries.get(id(one), 0) + 1) for one in added.unmatched]
            kept = [(one, tried) for one, tried in left if tried < _FEW_FLUSHES]
            self._unmatched = kept[: self._limits.waiting]
            if len(left) > len(self._unmatched):
                with self._lock:
                    self._waiting.dropped[Drop.UNMATCHED] += len(left) - len(self._unmatched)

    def waiting(self) -> int:
        """Return how many reports have been taken in here and are not counted yet."""
        with self._lock:
            return len(self._waiting.fresh) + len(self._unmatched)

    def start(self) -> None:
        """Let a thread count what comes, until `stop`."""
        self._thread = threading.Thread(target=self._run, name="report-intake", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Count what waits, for the last time."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._try_flush()
        self._note()

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_S):
            self._try_flush()

    def _note(self) -> None:
        """Tell the other processes how much waits here: before a flush, which may hang or fail."""
        with contextlib.suppress(LockgateError):
            self._ledger.note_waiting(self.waiting(), now=self._now())

    def _try_flush(self) -> None:
        self._note()
        try:
            self.flush()
        except LockgateError as exc:
            tell(_log, REPORTS_NOT_COUNTED, code=exc.code, reason=str(exc))
        except Exception as exc:  # noqa: BLE001 (a bug must not end the thread: what comes waits)
            reason = type(exc).__name__
            tell(_log, REPORTS_NOT_COUNTED, code="error", reason=reason, error=exc)
