"""The machine that changes an installation: every side effect is announced before it happens.

    idle → downloading → staged → trial → committed → idle
                                    └──→ rolling-back → idle

Commit is the point of no return: before it any doubt means back, after it only forward. Each step
can be done twice with the same end, so a step that was cut off is simply done again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lockgate_release.errors import LocalError
from lockgate_release.reports import Failure
from lockgate_updater.events import StepName
from lockgate_updater.install.reach import examine_reach
from lockgate_updater.install.recovery import Action, ActionName, recover
from lockgate_updater.install.stage import drop_staging, drop_unfinished, remove_installed, sweep
from lockgate_updater.install.switch import point_to, read_current
from lockgate_updater.install.wheels import ensure_startable
from lockgate_updater.outcomes import Outcome, UpdateResult
from lockgate_updater.run import reboot
from lockgate_updater.run.environment import health_environment
from lockgate_updater.run.revoked import why_not_allowed
from lockgate_updater.run.trial import Health, run_health
from lockgate_updater.session import Session
from lockgate_updater.state.durable import set_aside
from lockgate_updater.state.journal import Attempt, Record, State, store_record
from lockgate_updater.state.memory import with_failure
from lockgate_updater.state.receipts import Receipt, load_receipts, store_receipt, version_of

__all__ = ["Transaction"]


class Transaction:
    """The state changes of one home, within one session."""

    def __init__(self, session: Session) -> None:
        """Work in `session`, whose lock is held."""
        self._session = session
        self._home = session.home

    def recover(self, *, starting: bool = False) -> UpdateResult | None:
        """Finish what an earlier process began; return what came of it, if it ended an update.

        Args:
            starting: The program is about to be started: a trial without a try left has failed.

        Raises:
            LocalError: This machine is in the way.
        """
        session = self._session
        drop_unfinished(self._home)
        if session.damaged is not None:
            aside = set_aside(self._home.journal)
            session.say(
                StepName.WARNING, "", f"the journal was damaged; it was set aside as {aside}"
            )
            session.damaged = None
            self._store(session.record)
        self._forgive_restart()
        waits = not starting and self._waits()
        action = recover(session.record, session.facts(), waits=waits)
        if session.record.state is not State.IDLE and not self._waits():
            record = session.record
            self._store(replace(record, recoveries=record.recoveries + 1))
        return self._perform(action)

    def _waits(self) -> bool:
        """Whether a release is on trial that proves itself by its program's word, or to others."""
        record = self._session.record
        if record.state is not State.TRIAL:
            return False
        if record.attempt is not None and self._is_for_others(record.attempt):
            return True
        receipt = self._session.running()
        return receipt is not None and not receipt.install.health.command

    def _perform(self, action: Action) -> UpdateResult | None:
        match action.name:
            case ActionName.NOTHING | ActionName.KEEP_STAGED:
                return None
            case ActionName.REST_AT:
                self._rest_at(action.folder)
                return None
            case ActionName.DROP_ATTEMPT:
                self.drop_attempt()
                return None
            case _:
                return self._finish(action)

    def _finish(self, action: Action) -> UpdateResult:
        """Bring an attempt that has switched `current`, or is about to, to its end."""
        attempt = self._session.record.attempt
        assert attempt is not None
        match action.name:
            case ActionName.CONTINUE_TRIAL:
                return self.prove(attempt)
            case ActionName.FINISH_COMMIT:
                return self._finish_commit(attempt, "it had passed before the updater was ended")
            case ActionName.ROLL_BACK:
                reason = "it was started without ever proving itself"
                return self.begin_rollback(
                    attempt, reason, quarantine=True, failure=Failure.CRASH_LOOP
                )
            case _:
                return self._finish_rollback(attempt, action.folder)

    def _rest_at(self, folder: str) -> None:
        """Take `folder` for what is installed, whatever `current` pointed to."""
        text = f"`current` points to {folder or 'nothing'} again"
        self._session.say(StepName.RECOVERED, version_of(folder), text)
        self._store(self._session.record.at_rest(folder))
        point_to(self._home, folder)

    def drop_attempt(self) -> None:
        """Forget an attempt that has switched nothing; partial downloads stay.

        Raises:
            LocalError: This machine is in the way.
        """
        record = self._session.record
        drop_staging(self._home)
        attempt = record.attempt
        if attempt is not None and attempt.folder not in {record.installed, attempt.back_to}:
            receipt = self._session.receipt(attempt.folder)
            if receipt is not None and not receipt.is_good:
                remove_installed(self._home, attempt.folder)
        self._store(record.at_rest(record.installed))

    def begin_trial(self, attempt: Attempt, receipt: Receipt) -> UpdateResult:
        """Put a staged tree on trial, with all its tries, and let it prove itself.

        Raises:
            LocalError: This machine is in the way.
        """
        attempt = replace(attempt, tries_left=receipt.install.health.tries)
        if receipt.install.health.command:
            # One record says both that it is on trial and that its first try is taken.
            return self._prove_by_command(attempt, receipt)
        self.go(State.TRIAL, attempt)
        return self._prove_by_program(attempt, receipt)

    def prove(self, attempt: Attempt) -> UpdateResult:
        """Go on with a trial: by the tree's command, or later by its program.

        Raises:
            LocalError: This machine is in the way.
        """
        receipt = self._session.receipt(attempt.folder)
        assert receipt is not None
        if self._is_for_others(attempt):
            self._switch_to(attempt)
            return self.on_trial(attempt)
        if receipt.install.health.command:
            return self._prove_by_command(attempt, receipt)
        return self._prove_by_program(attempt, receipt)

    def _is_for_others(self, attempt: Attempt) -> bool:
        """Whether more is demanded of it than can be seen from here: `self-update` goes on."""
        return attempt.demanded and self._session.client.demand is None

    def _switch_to(self, attempt: Attempt) -> None:
        if read_current(self._home) != attempt.folder:
            point_to(self._home, attempt.folder)
            text = f"switched to {attempt.version}"
            self._session.say(StepName.SWITCHED, attempt.version, text)

    def _prove_by_program(self, attempt: Attempt, receipt: Receipt) -> UpdateResult:
        self._switch_to(attempt)
        if receipt.install.entrypoint:
            return self.on_trial(attempt)
        health = Health(passed=True, reason="it has no program that could fail")
        return self.conclude(attempt, examine_reach(self._session, receipt, health))

    def _prove_by_command(self, attempt: Attempt, receipt: Receipt) -> UpdateResult:
        session = self._session
        # The try is taken off before the start: a machine that dies on it has used it up.
        attempt = self.take_try(attempt)
        text = f"{attempt.version} is on trial: {' '.join(receipt.install.health.command)}"
        try:
            self._switch_to(attempt)
            ensure_startable(self._home, receipt)
            environment = health_environment(self._home, receipt, session.client.environ)
            session.say(StepName.ON_TRIAL, attempt.version, text)
            health = self._examine(receipt, environment)
        except (KeyboardInterrupt, LocalError):
            # It says nothing of the release: a person, or this disk, has ended it.
            self.give_try_back(attempt)
            raise
        return self.conclude(attempt, health)

    def conclude(self, attempt: Attempt, health: Health) -> UpdateResult:
        """Commit or roll back, as the release on trial has done.

        Raises:
            LocalError: This machine is in the way.
        """
        if health.passed:
            return self.commit(attempt, health.reason)
        return self.begin_rollback(
            attempt,
            health.reason,
            quarantine=health.blames_release,
            failure=health.failure or Failure.HEALTH,
        )

    def _examine(self, receipt: Receipt, environment: Mapping[str, str]) -> Health:
        beat = self._session.client.beat
        health = run_health(self._home, receipt, environment, beat=beat)
        health = examine_reach(self._session, receipt, health)
        demand = self._session.client.demand
        return health if demand is None or not health.passed else demand(receipt)

    def on_trial(self, attempt: Attempt) -> UpdateResult:
        """Say that a release waits for its program to confirm it."""
        until = "self-update has proven it" if attempt.demanded else "it is confirmed"
        text = f"{attempt.version} is on trial until {until}, {attempt.tries_left} tries left"
        self._session.say(StepName.ON_TRIAL, attempt.version, text)
        return UpdateResult(
            outcome=Outcome.ON_TRIAL,
            version=attempt.version,
            previous=version_of(attempt.back_to),
            reason=text,
        )

    def take_try(self, attempt: Attempt) -> Attempt:
        """Take one try off, on the disk, before what it is for.

        Raises:
            LocalError: It cannot be written: then nothing may be started.
        """
        taken = reboot.begun(attempt, self._session.client.boot())
        self.go(State.TRIAL, taken)
        return taken

    def give_try_back(self, attempt: Attempt) -> None:
        """Give back a try that ended without a verdict.

        Raises:
            LocalError: It cannot be written.
        """
        self.go(State.TRIAL, reboot.settled(attempt, given_back=True))

    def use_try_up(self, attempt: Attempt) -> None:
        """Leave a try used up: its program has ended badly, and a restart gives it back no more.

        Raises:
            LocalError: It cannot be written.
        """
        self.go(State.TRIAL, reboot.settled(attempt, given_back=False))

    def _forgive_restart(self) -> None:
        """Give back a try that a restart of the machine has cut off."""
        session = self._session
        attempt = session.record.attempt
        if session.record.state is not State.TRIAL or attempt is None:
            return
        receipt = session.receipt(attempt.folder)
        tries = receipt.install.health.tries if receipt else 0
        again = reboot.forgiven(attempt, session.client.boot(), tries=tries)
        if again is not None:
            text = "the machine restarted during a try, which is given back"
            session.say(StepName.RECOVERED, attempt.version, text)
            self.go(State.TRIAL, again)

    def commit(self, attempt: Attempt, reason: str) -> UpdateResult:
        """Make the tree on trial the good one: the point of no return.

        Raises:
            LocalError: This machine is in the way.
        """
        self.go(State.COMMITTED, attempt)
        return self._finish_commit(attempt, reason)

    def _finish_commit(self, attempt: Attempt, reason: str) -> UpdateResult:
        receipts = load_receipts(self._home)
        receipt = receipts[attempt.folder]
        highest = max(known.rank for known in receipts.values())
        if not receipt.is_good or receipt.rank < highest:
            store_receipt(self._home, receipt.with_rank(highest + 1))
        if read_current(self._home) != attempt.folder:
            point_to(self._home, attempt.folder)
        previous = version_of(attempt.back_to)
        if reporter := self._session.reporter():
            reporter.passed(attempt.version)
        # Until the sweep has put it on the disk, a power cut brings `committed` back: no harm.
        self._store(self._session.record.at_rest(attempt.folder), with_name=False)
        sweep(self._home, keep=self.kept(), after=self._home.state)
        text = f"{attempt.version} is installed: {reason}"
        self._session.say(StepName.COMMITTED, attempt.version, text)
        return UpdateResult(
            outcome=Outcome.UPDATED, version=attempt.version, previous=previous, reason=text
        )

    def kept(self) -> frozenset[str]:
        """Return the newest good trees, as many as are kept; what is installed always is."""
        good = self._session.facts().good
        keep = self._session.client.configuration.keep
        installed = self._session.record.installed
        others = [folder for folder in good if folder != installed]
        return frozenset([installed, *others[: keep - 1]]) - {""}

    def begin_rollback(
        self,
        attempt: Attempt,
        reason: str,
        *,
        quarantine: bool,
        failure: Failure = Failure.EXIT,
    ) -> UpdateResult:
        """Leave a tree for the one it came from, and remove it.

        Args:
            attempt: What is left, and where it came from.
            reason: Why, as a sentence.
            quarantine: Whether the release has failed, and is not to be tried again for a while.
            failure: How it has failed, if it has.

        Raises:
            LocalError: This machine is in the way.
        """
        leaving = replace(attempt, reason=reason, quarantine=quarantine, failure=failure.value)
        self.go(State.ROLLING_BACK, leaving)
        self._session.say(StepName.FAILED, attempt.version, f"{attempt.version}: {reason}")
        action = recover(self._session.record, self._session.facts(), waits=False)
        return self._finish_rollback(leaving, action.folder)

    def _finish_rollback(self, attempt: Attempt, target: str) -> UpdateResult:
        session = self._session
        version = version_of(target)
        was_installed = session.record.installed == attempt.folder
        if read_current(self._home) != target:
            point_to(self._home, target)
        if attempt.quarantine:
            session.remember(
                with_failure(
                    session.memory,
                    sha256=attempt.release_sha256,
                    version=attempt.version,
                    attempt=attempt.id,
                    reason=attempt.reason,
                    now=session.client.clock(),
                )
            )
            if reporter := session.reporter():
                reporter.failed(attempt.version, Failure(attempt.failure or Failure.EXIT))
        if attempt.folder != target:
            remove_installed(self._home, attempt.folder)
        self._store(session.record.at_rest(target))
        drop_staging(self._home)
        where = f"back to {version}" if version else "nothing is installed"
        text = f"{attempt.version} was left, {where}: {attempt.reason}"
        channel = session.client.configuration.channel
        if why := why_not_allowed(session.memory, channel, version):
            why = f"{why}, and was returned to because nothing else is at hand"
            session.say(StepName.WARNING, version, f"WARNING: {why}")
            text = f"{text}; {why}"
        session.say(StepName.ROLLED_BACK, version, text)
        left = was_installed and not attempt.quarantine
        return UpdateResult(
            outcome=Outcome.LEFT if left else Outcome.ROLLED_BACK,
            version=version,
            previous=attempt.version,
            reason=text,
        )

    def go(self, state: State, attempt: Attempt, *, with_name: bool = True) -> None:
        """Announce the next state of an attempt.

        Args:
            state: The state.
            attempt: The attempt.
            with_name: Whether it must be on the disk before anything else is done. Else a power
                cut may bring back the state before it, until the next announcement.

        Raises:
            LocalError: It cannot be written: then it must not be entered.
        """
        self._store(self._session.record.going(state, attempt), with_name=with_name)

    def _store(self, record: Record, *, with_name: bool = True) -> None:
        store_record(self._home.journal, record, with_name=with_name)
        self._session.record = record
