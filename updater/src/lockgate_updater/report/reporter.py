"""Who notes what is to be reported while a session works, and sends it when the work is done.

* Nothing here delays an update, fails it or has it done again: what goes wrong is a warning.
* A note is on the disk before the journal says that what it is about has ended, and noting it twice
  changes nothing: a kill loses no outcome and makes no second nonce.
* An enrolment leaves while the release is being fetched: silence means something only where a
  machine was heard before it fell silent. Unless that was answered it leaves with its outcome too.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from lockgate_release.decision import Offer
from lockgate_release.errors import LocalError, LockgateError, RepositoryError, TransportError
from lockgate_release.reports import Failure, Outcome
from lockgate_updater.events import Observer, Step, StepName
from lockgate_updater.report.log import (
    Answer,
    Log,
    Look,
    next_batch,
    with_answer,
    with_control,
    with_look,
    with_obstacle,
    with_trial,
)
from lockgate_updater.report.outbox import load_log, store_log
from lockgate_updater.report.patience import PATIENCE, patience_with
from lockgate_updater.report.sender import Delivery
from lockgate_updater.run.environment import health_environment
from lockgate_updater.run.trial import run_health
from lockgate_updater.state.environments import is_startable
from lockgate_updater.state.journal import State
from lockgate_updater.state.lock import hold_lock
from lockgate_updater.watch.schedule import interval_s

if TYPE_CHECKING:
    from lockgate_release.decision import Decision
    from lockgate_updater.session import Client, Session
    from lockgate_updater.state.receipts import Receipt

__all__ = ["SENDING_LIMIT_S", "Reporter", "open_reporter"]

SENDING_LIMIT_S = 5.0
"""So long whoever has finished an update waits at most for its reports to leave."""
_LOCK_WAIT_S = 1.0
_NONCE_BYTES = 16


def open_reporter(client: Client, observe: Observer) -> Reporter | None:
    """Return who notes things for this client, or None where what was noted cannot be read."""
    try:
        return Reporter(client, observe)
    except LocalError as exc:
        observe(_warning_of(exc))
        return None


class Reporter:
    """What one session notes, where its owner wants reports."""

    def __init__(self, client: Client, observe: Observer) -> None:
        """Read what was noted before; a damaged log is set aside.

        Raises:
            LocalError: It cannot be read.
        """
        self._client = client
        self._path = client.home.reports
        self._channel = client.configuration.channel
        self._observe = observe
        self._early: Delivery | None = None
        self._patience: Mapping[str, timedelta] = {}
        self._log = load_log(self._path)

    def looked(self, session: Session, decision: Decision, *, is_manual: bool) -> None:
        """Note what an update has found, before anything is done about it."""
        with _warning(self._observe):
            running = session.running()
            look = self._look(session, running, decision, is_manual=is_manual)
            self._patience = look.patience
            before = self._log
            self._keep(with_look(before, look, lambda: secrets.token_hex(_NONCE_BYTES)))
            if isinstance(decision, Offer) and self._log.enrolments != before.enrolments:
                self._early = self._start()
            if running is not None and look.has_check and self._log.in_control(self._channel):
                self._examine(running)

    def passed(self, version: str) -> None:
        """Note that a release was committed."""
        with _warning(self._observe):
            self._keep(with_trial(self._log, self._channel, version, Outcome.HEALTHY))

    def failed(self, version: str, failure: Failure) -> None:
        """Note that a release has failed its trial."""
        with _warning(self._observe):
            self._keep(with_trial(self._log, self._channel, version, Outcome.BAD, failure))

    def missed(self, version: str, error: LockgateError) -> None:
        """Note that a release could not be installed, this time."""
        with _warning(self._observe):
            self._keep(
                with_obstacle(
                    self._log,
                    self._channel,
                    version,
                    _class_of(error),
                    now=self._client.clock(),
                    patience=self._patience.get(version, PATIENCE),
                )
            )

    def send(self) -> None:
        """Send what waits, and note what came of it. Nobody holds the lock here."""
        with _warning(self._observe):
            deadline = time.monotonic() + SENDING_LIMIT_S
            if self._early is not None:
                answer = self._early.wait(deadline - time.monotonic())
                self._settle(self._early, answer)
                if not answer.is_final:
                    return
            delivery = self._start()
            if delivery is not None:
                self._settle(delivery, delivery.wait(deadline - time.monotonic()))

    def _look(
        self, session: Session, running: Receipt | None, decision: Decision, *, is_manual: bool
    ) -> Look:
        record = session.record
        on_trial = record.attempt if record.state is State.TRIAL else None
        every_s = interval_s(session.interval_s, self._client.configuration.check_interval_s)
        return Look(
            now=self._client.clock(),
            channel=self._channel,
            platform=self._client.configuration.platform,
            installed=running.version if running else "",
            on_trial=on_trial.version if on_trial else "",
            failed=frozenset(item.version for item in session.memory.failures),
            has_check=running is not None and bool(running.install.health.command),
            is_manual=is_manual,
            decision=decision,
            epochs={offer.version: offer.rollout.epoch for offer in session.offers},
            patience={offer.version: patience_with(offer, every_s) for offer in session.offers},
        )

    def _examine(self, running: Receipt) -> None:
        """Hold what is installed to what a release on trial is held to."""
        client = self._client
        if not is_startable(client.home, running):
            return
        environment = health_environment(client.home, running, client.environ)
        health = run_health(client.home, running, environment, beat=client.beat)
        if not health.passed:
            text = f"{running.version} is installed, and {health.reason}"
            self._observe(Step(name=StepName.WARNING, version=running.version, text=text))
        outcome = Outcome.HEALTHY if health.passed else Outcome.BAD
        self._keep(with_control(self._log, self._channel, outcome, health.failure))

    def _start(self) -> Delivery | None:
        client = self._client
        batch = next_batch(self._log, client.clock())
        if not batch:
            return None
        return Delivery(client.configuration, client.environ, batch, limit_s=SENDING_LIMIT_S)

    def _settle(self, delivery: Delivery, answer: Answer) -> None:
        """Note how a batch was answered."""
        with hold_lock(self._client.home.lock, purpose="reports", wait_s=_LOCK_WAIT_S):
            # Another updater may have noted something meanwhile.
            self._log = load_log(self._path)
            now = self._client.clock()
            self._keep(with_answer(self._log, delivery.reports, answer, now))

    def _keep(self, log: Log) -> None:
        if log != self._log:
            store_log(self._path, log)
            self._log = log


def _class_of(error: LockgateError) -> Failure:
    if isinstance(error, RepositoryError):
        return Failure.VERIFY
    return Failure.DOWNLOAD if isinstance(error, TransportError) else Failure.INSTALL


@contextmanager
def _warning(observe: Observer) -> Iterator[None]:
    """Say what goes wrong in the block, and go on."""
    try:
        yield
    except Exception as exc:  # noqa: BLE001 (no report is worth an update, not even by a bug)
        observe(_warning_of(exc))


def _warning_of(exc: Exception) -> Step:
    return Step(name=StepName.WARNING, version="", text=f"reports: {exc}")
