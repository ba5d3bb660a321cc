"""The verbs: update, confirm, roll back. They act on decisions; `transaction` changes the state."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from lockgate_release.decision import Decision, Held, Leave, Offer, UpToDate
from lockgate_release.documents import Remedy
from lockgate_release.errors import (
    DigestMismatchError,
    LocalError,
    LockgateError,
    RepositoryError,
    TransportError,
    UsageError,
)
from lockgate_updater.events import StepName
from lockgate_updater.install.patching.patches import Patches, plan_for
from lockgate_updater.install.reach import demand_reach
from lockgate_updater.install.stage import stage, sweep
from lockgate_updater.install.transaction import Transaction
from lockgate_updater.origin.binding import why_only_unpacked
from lockgate_updater.outcomes import Outcome, UpdateResult
from lockgate_updater.run.revoked import why_not_allowed
from lockgate_updater.session import Session
from lockgate_updater.state.configuration import IfRevoked
from lockgate_updater.state.journal import Attempt, State
from lockgate_updater.state.proof import prove_tree
from lockgate_updater.state.receipts import Receipt, load_receipts, receipt_for

__all__ = ["Operation"]

_MAX_ROUNDS = 3
"""How often an update starts over because the newest document says something else by now."""


class Operation:
    """The verbs that change an installation, within one session."""

    def __init__(self, session: Session) -> None:
        """Work in `session`, whose lock is held."""
        self._session = session
        self._home = session.home
        self._transaction = Transaction(session)

    def update(self, *, force: bool) -> UpdateResult:
        """Do what the newest document says, and return what was done.

        Raises:
            RepositoryError: The repository is wrong; nothing of it was installed.
            TransportError: It cannot be reached, or breaks off; the next update goes on.
            LocalError: This machine is in the way.
        """
        finished = self._transaction.recover()
        if finished is not None and finished.outcome is not Outcome.ON_TRIAL:
            return finished
        for _ in range(_MAX_ROUNDS):
            decision = self._session.judge(force=force)
            self._note(decision, force=force)
            self._drop_other_staged(decision)
            result = self._act(decision, force=force)
            if result is not None:
                return result
        raise RepositoryError(
            "the repository changes its mind faster than it can be followed",
            subject=self._session.channel,
        )

    def plan(self, *, force: bool) -> UpdateResult:
        """Return what an update would do now, and do nothing.

        Raises:
            RepositoryError: The repository is wrong.
            TransportError: It cannot be reached.
            LocalError: This machine is in the way.
        """
        decision = self._session.judge(force=force)
        result = self._still(Outcome.PLANNED, decision.reason, decision)
        return replace(result, plan=plan_for(self._session, decision))

    def confirm(self) -> UpdateResult:
        """Commit what is on trial; with nothing on trial, change nothing.

        Raises:
            TransportError: It has to reach the update server, and cannot: it stays on trial.
            LocalError: This machine is in the way.
        """
        record = self._session.record
        if record.state is State.TRIAL and record.attempt is not None:
            demand_reach(self._session, self._session.running())
            return self._transaction.commit(record.attempt, "it was confirmed")
        self._transaction.recover()
        version = self._session.running_version()
        return UpdateResult(
            outcome=Outcome.UP_TO_DATE,
            version=version,
            previous=version,
            reason="nothing is on trial",
        )

    def roll_back(self) -> UpdateResult:
        """Go back from what is on trial, or from what is installed to the last good version.

        Raises:
            UsageError: There is nothing to go back to.
            LocalError: This machine is in the way.
        """
        record = self._session.record
        reason = "rolled back by hand"
        if record.state is State.TRIAL and record.attempt is not None:
            return self._transaction.begin_rollback(record.attempt, reason, quarantine=True)
        self._transaction.recover()
        leaving = self._session.receipt(self._session.record.installed)
        target = self._last_good()
        if leaving is None or target is None:
            raise UsageError(
                "nothing to go back to",
                subject=str(self._home.root),
                expected="an earlier good version that is neither revoked nor below the floor",
            )
        return self._go_back(leaving, target, reason, quarantine=True)

    def _note(self, decision: Decision, *, force: bool) -> None:
        if reporter := self._session.reporter():
            is_manual = force or bool(self._session.client.configuration.pinned)
            reporter.looked(self._session, decision, is_manual=is_manual)

    def _drop_other_staged(self, decision: Decision) -> None:
        """Drop what was staged, unless it is still what is wanted."""
        record = self._session.record
        if record.state is not State.STAGED or record.attempt is None:
            return
        offer = _offer_in(decision)
        if offer is None or receipt_for(offer).folder != record.attempt.folder:
            self._transaction.drop_attempt()

    def _act(self, decision: Decision, *, force: bool) -> UpdateResult | None:
        if self._session.record.state is State.TRIAL:
            return self._act_on_trial(decision)
        match decision:
            case UpToDate():
                sweep(self._home, keep=self._transaction.kept())
                return self._still(Outcome.UP_TO_DATE, decision.reason, decision)
            case Held():
                return self._still(Outcome.HELD, decision.reason, decision)
            case Offer():
                self._session.say(StepName.OFFERED, decision.version, decision.reason)
                return self._install(decision, decision, force=force)
            case Leave():
                self._session.say(StepName.LEAVING, decision.version, decision.reason)
                return self._leave(decision, force=force)
            case _:
                assert_never(decision)

    def _act_on_trial(self, decision: Decision) -> UpdateResult:
        """While a release waits for its program to confirm, only a revocation counts."""
        attempt = self._session.record.attempt
        assert attempt is not None
        if isinstance(decision, Leave):
            return self._transaction.begin_rollback(attempt, decision.reason, quarantine=False)
        return self._transaction.on_trial(attempt)

    def _still(self, outcome: Outcome, reason: str, decision: Decision) -> UpdateResult:
        version = self._session.running_version()
        return UpdateResult(
            outcome=outcome, version=version, previous=version, reason=reason, decision=decision
        )

    def _leave(self, decision: Leave, *, force: bool) -> UpdateResult | None:
        """Leave a revoked release, in the order its remedy asks for; else keep it running."""
        leaving = self._session.running()
        assert leaving is not None
        last_good = self._last_good()
        if decision.remedy is Remedy.LAST_GOOD and last_good is not None:
            return self._go_back(leaving, last_good, decision.reason)
        if decision.target is not None:
            try:
                return self._install(decision.target, decision, force=force)
            except (RepositoryError, TransportError, LocalError):
                # The replacement does not come, or has no room; the last good version is at hand.
                # Once it was switched to, the next run goes on from there; after commit, only on.
                record = self._session.record
                switched = record.state in {State.TRIAL, State.COMMITTED}
                if last_good is None or switched or record.installed != leaving.folder:
                    raise
                self._transaction.drop_attempt()
        if last_good is not None:
            return self._go_back(leaving, last_good, decision.reason)
        text = f"{decision.reason}; nothing allowed is at hand, so it keeps running"
        self._session.say(StepName.STAYING, leaving.version, text)
        return self._still(Outcome.STAYS, text, decision)

    def leave_if_known_revoked(self) -> UpdateResult | None:
        """Leave what is known as revoked, if a good version is at hand. Asks nobody.

        Where this machine's policy is to stop, what is known to be below the floor is left too.

        Raises:
            LocalError: This machine is in the way.
        """
        session = self._session
        configuration = session.client.configuration
        channel, record = configuration.channel, session.record
        attempt = record.attempt
        if record.state is State.TRIAL and attempt is not None:
            if not session.memory.must_leave(channel, attempt.version):
                return None
            reason = f"{attempt.version} is revoked"
            return self._transaction.begin_rollback(attempt, reason, quarantine=False)
        leaving = session.receipt(record.installed)
        if leaving is None or record.state is not State.IDLE:
            return None
        reason = why_not_allowed(session.memory, channel, leaving.version)
        is_revoked = session.memory.must_leave(channel, leaving.version)
        if not is_revoked and not (reason and configuration.if_revoked is IfRevoked.STOP):
            return None
        target = self._last_good()
        return None if target is None else self._go_back(leaving, target, reason)

    def _last_good(self) -> Receipt | None:
        """Return the newest good tree that may run, other than what is installed, proven."""
        session = self._session
        channel = session.client.configuration.channel
        for receipt in load_receipts(self._home).values():
            is_other = receipt.folder != session.record.installed and receipt.is_good
            if is_other and session.memory.may_run(channel, receipt.version):
                try:
                    prove_tree(self._home, receipt)
                except DigestMismatchError as exc:
                    session.say(StepName.WARNING, receipt.version, str(exc))
                else:
                    return receipt
        return None

    def _install(self, offer: Offer, decision: Decision, *, force: bool) -> UpdateResult | None:
        """Install what is offered; None if the newest document says otherwise by now."""
        receipt = receipt_for(offer)
        patches = Patches(self._session, offer)
        try:
            attempt = self._stage(offer, receipt, patches)
        except LockgateError as exc:
            if reporter := self._session.reporter():
                reporter.missed(offer.version, exc)
            raise
        # The decision is taken again on the newest document, right before the switch.
        online = receipt.install.health.reaches_server
        again = _offer_in(self._session.judge_again(force=force, online=online))
        if again is None or receipt_for(again) != receipt or not self._is_of_artifact(again):
            self._transaction.drop_attempt()
            return None
        result = self._transaction.begin_trial(attempt, receipt)
        return replace(result, decision=decision, plan=patches.taken)

    def _is_of_artifact(self, offer: Offer) -> bool:
        """Whether the staged tree is what the newest policy asks for, by the way that it came."""
        staged = self._session.receipt(receipt_for(offer).folder)
        is_unpacked = staged is not None and staged.unpacked_from == offer.artifact.sha256
        return is_unpacked or not why_only_unpacked(self._session, offer)

    def _stage(self, offer: Offer, receipt: Receipt, patches: Patches) -> Attempt:
        session = self._session
        attempt = Attempt(
            id=session.client.draw(),
            folder=receipt.folder,
            version=receipt.version,
            release_sha256=receipt.release_sha256,
            back_to=session.record.installed,
            demanded=session.client.demand is not None,
        )
        self._transaction.go(State.DOWNLOADING, attempt)
        try:
            stage(
                self._home,
                offer,
                receipt,
                transport=session.transport,
                urls=session.client.configuration.addresses_of(offer.artifact.path),
                observe=session.observe,
                rebuild=patches.rebuild,
                only_unpacked=bool(patches.why_only_unpacked()),
            )
        except RepositoryError:
            self._transaction.drop_attempt()
            raise
        # A power cut that takes this back costs a download: nothing is done on its word alone.
        self._transaction.go(State.STAGED, attempt, with_name=False)
        return attempt

    def _go_back(
        self, leaving: Receipt, target: Receipt, reason: str, *, quarantine: bool = False
    ) -> UpdateResult:
        """Leave one good tree for another."""
        attempt = Attempt(
            id=self._session.client.draw(),
            folder=leaving.folder,
            version=leaving.version,
            release_sha256=leaving.release_sha256,
            back_to=target.folder,
        )
        return self._transaction.begin_rollback(attempt, reason, quarantine=quarantine)


def _offer_in(decision: Decision) -> Offer | None:
    """Return what a decision would install."""
    match decision:
        case Offer():
            return decision
        case Leave():
            return decision.target
        case _:
            return None
