"""One piece of work under the lock: what is known here, and a decision from what is signed there.

A session reads and remembers; it installs nothing. What changes the installation is `operation`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from lockgate_release.capabilities import archive_capability, optional_capabilities
from lockgate_release.decision import ClientState, Decision, Leave, decide
from lockgate_release.documents import ChannelOffer, Remedy
from lockgate_release.errors import (
    ClockError,
    ExpiredError,
    LocalError,
    LockgateError,
    RepositoryError,
    TransportError,
)
from lockgate_updater.fetch.freshness import check_clock, explain_expiry
from lockgate_updater.fetch.look import Findings, as_document_error, look
from lockgate_updater.fetch.transport import Transport
from lockgate_updater.state.configuration import Configuration
from lockgate_updater.state.home import Home
from lockgate_updater.state.identity import load_client_id
from lockgate_updater.state.journal import DamagedJournalError, Record, State, load_record
from lockgate_updater.state.lock import hold_lock
from lockgate_updater.state.memory import Memory, believable_at, learn, load_memory, store_memory
from lockgate_updater.state.receipts import Receipt, load_receipts

if TYPE_CHECKING:
    from lockgate_release.trust.verify import TrustedView
    from lockgate_updater.events import Observer, StepName
    from lockgate_updater.install.recovery import Facts
    from lockgate_updater.report.reporter import Reporter
    from lockgate_updater.run.trial import Health

__all__ = ["CAPABILITIES", "Client", "Session", "open_session"]

_REPORTING = frozenset({"update", "watch", "self-update"})
"""What ends by sending reports. Nobody who starts a program waits for a server."""

CAPABILITIES = optional_capabilities() | frozenset(
    map(archive_capability, ("tar.gz", "tar.xz", "zip", "file"))
)
"""What this updater can do. Held equal to the archives' kinds by a test, not by an import."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who works here, and with what.

    Attributes:
        home: Its home.
        configuration: What it is.
        anchor: The root it was shipped with.
        machine: This machine's identity.
        environ: The environment, for proxies and for programs.
        clock: Tells the present, aware.
        draw: Draws new random ids.
        connect: Opens a transport.
        boot: Tells this boot of the machine from others; "" where it cannot be known.
        demand: What a release has to do besides passing its health command, or None.
        beat: Is called every second while a release proves itself: whoever watches us may know.
        allow_unattested: A person takes what nobody has proven the origin of.
    """

    home: Home
    configuration: Configuration
    anchor: bytes
    machine: str
    environ: Mapping[str, str]
    clock: Callable[[], datetime]
    draw: Callable[[], str]
    connect: Callable[[], Transport]
    boot: Callable[[], str] = str
    demand: Callable[[Receipt], Health] | None = None
    beat: Callable[[], object] = lambda: None
    allow_unattested: bool = False


class Session:
    """What one client knows while it holds the lock."""

    def __init__(self, client: Client, transport: Transport, observe: Observer) -> None:
        """Read what is here; nothing is changed but a damaged memory, which is set aside."""
        self.client = client
        self.home = client.home
        self.transport = transport
        self.observe = observe
        self.client_id = load_client_id(client.home.identity, client.machine, client.draw)
        self.memory = self._load_memory()
        self.damaged: DamagedJournalError | None = None
        self.record = self._load_record()
        self.has_reached = False
        """Whether the repository, or a mirror, was reached and believed in this session."""
        self.view: TrustedView | None = None
        """What was verified by the last look, once there was one."""
        self.reporter_in_use: Reporter | None = None
        self.offers: tuple[ChannelOffer, ...] = ()
        """What the channel offers, once it was seen."""
        self.interval_s: int | None = None
        """How often the channel wants to be looked at, in seconds, once it was seen."""

    @property
    def channel(self) -> str:
        """The channel that is followed."""
        return self.client.configuration.channel

    def say(self, name: StepName, version: str, text: str) -> None:
        """Tell the observer."""
        from lockgate_updater.events import Step  # noqa: PLC0415 (a check has nothing to say)

        self.observe(Step(name=name, version=version, text=text))

    def reporter(self) -> Reporter | None:
        """Return who notes what is to be reported, or None where nothing is."""
        if self.reporter_in_use is None and self.client.configuration.reports_to:
            from lockgate_updater.report.reporter import open_reporter  # noqa: PLC0415 (opt-in)

            self.reporter_in_use = open_reporter(self.client, self.observe)
        return self.reporter_in_use

    def facts(self) -> Facts:
        """Return what is on the disk now.

        Raises:
            LocalError: It cannot be read.
        """
        # A check asks for none of this, and does not pay for importing it.
        from lockgate_updater.install.recovery import Facts  # noqa: PLC0415
        from lockgate_updater.install.switch import read_current  # noqa: PLC0415

        receipts = load_receipts(self.home)
        return Facts(
            current=read_current(self.home),
            trees=frozenset(receipts),
            good=tuple(folder for folder, receipt in receipts.items() if receipt.is_good),
        )

    def receipt(self, folder: str) -> Receipt | None:
        """Return the receipt of a tree, or None if there is no such tree."""
        return load_receipts(self.home).get(folder)

    def running(self) -> Receipt | None:
        """Return the receipt of what runs: what is on trial, else what is installed."""
        record = self.record
        on_trial = record.state in {State.TRIAL, State.COMMITTED}
        folder = record.attempt.folder if record.attempt and on_trial else record.installed
        return self.receipt(folder) if folder else None

    def running_version(self) -> str:
        """Return the version of what runs, or ""."""
        receipt = self.running()
        return receipt.version if receipt else ""

    def judge(self, *, force: bool) -> Decision:
        """Return what to do, from the newest state that can be verified.

        With the server down, wrong or stale nothing can be offered; but a revocation that was
        verified before is obeyed all the same.

        Raises:
            RepositoryError: The repository is wrong, and nothing known says to leave.
            TransportError: It cannot be reached, and nothing known says to leave.
            LocalError: This machine is in the way.
        """
        try:
            return self.decide(self.look(), force=force)
        except (RepositoryError, TransportError, ClockError) as exc:
            remembered = self._remembered(force=force)
            if remembered is None:
                raise
            return replace(remembered, reason=f"{remembered.reason} (seen before; now: {exc})")

    def judge_again(self, *, force: bool, online: bool = False) -> Decision:
        """Return what to do by the newest document there is: the server's, else the cached one.

        Args:
            force: A person asks, and may pass the gate.
            online: The server's, or none.

        Raises:
            RepositoryError: The repository is wrong.
            LocalError: This machine is in the way.
            TransportError: Neither can be had.
        """
        try:
            findings = self.look()
        except TransportError:
            if online:
                raise
            findings = self.look(offline=True)
        return self.decide(findings, force=force)

    def look(self, *, offline: bool = False) -> Findings:
        """Look at the repository (or, `offline`, at the cache) and remember what must be.

        Raises:
            RepositoryError: It is not what it must be.
            TransportError: It cannot be reached.
            LocalError: This machine is in the way.
        """
        with self._explained_expiry(offline=offline):
            findings = look(
                self.home,
                self.client.configuration,
                self.client.anchor,
                self.memory,
                fetch=None if offline else self.transport,
                installed=self.running_version(),
            )
        with as_document_error():
            learned = learn(
                self.memory,
                findings.channel,
                findings.releases.values(),
                findings.policy.versions,
                findings.key_ids,
                findings.timestamp_version,
            )
        # Before the memory is kept: a document from the future is not remembered, so that a server
        # with a wrong clock does not keep clients from all that come after it.
        check_clock(learned.online.signed_at, self.client.clock())
        self.remember(learned)
        self.interval_s = findings.channel.check_interval_s
        self.offers = findings.channel.offers
        self.has_reached = self.has_reached or not offline
        self.view = findings.view
        return findings

    def expiries(self) -> Mapping[str, str]:
        """Return when each role's word ends, once a look has verified them.

        Raises:
            LocalError: The cache was changed under our feet.
        """
        return self.view.expiries() if self.view else {}

    def reach_server(self) -> None:
        """Return if the repository, or a mirror, can be reached over a new connection.

        What it says is for the next decision: one that is wrong or expired was reached, too.

        Raises:
            TransportError: It cannot be reached.
            LocalError: This machine is in the way.
        """
        usual, self.transport = self.transport, self.client.connect()
        try:
            self.look()
        except (RepositoryError, ClockError):
            pass
        finally:
            self.transport.close()
            self.transport = usual

    @contextmanager
    def _explained_expiry(self, *, offline: bool = False) -> Iterator[None]:
        """Say of expired documents whether the repository is frozen or the clock wrong."""
        try:
            yield
        except ExpiredError as exc:
            raise explain_expiry(
                exc,
                now=self.client.clock(),
                signed_at=self.memory.online.signed_at,
                server_time=None if offline else self.transport.server_time,
            ) from exc

    def remember(self, memory: Memory) -> None:
        """Keep the memory, and store it if it says something new.

        Raises:
            LocalError: It cannot be stored.
        """
        if memory != self.memory:
            store_memory(self.home.memory, memory)
            self.memory = memory

    def client_state(self, *, force: bool) -> ClientState:
        """Return what a decision has to know of this client."""
        configuration = self.client.configuration
        return ClientState(
            app=configuration.app,
            channel=configuration.channel,
            client_id=self.client_id,
            platform=configuration.platform,
            capabilities=CAPABILITIES,
            python=".".join(map(str, sys.version_info[:3])),
            installed=self.running_version(),
            known_revocations=self.memory.revoked_in(configuration.channel),
            revoked_at=self.memory.revoked_at.get(configuration.channel, {}),
            known_floor=self.memory.floors.get(configuration.channel, ""),
            quarantine=self.memory.quarantine(),
            skipped=configuration.skipped,
            pinned=configuration.pinned,
            passes_gate=force,
            allows_unattested=self.client.allow_unattested,
        )

    def decide(self, findings: Findings, *, force: bool) -> Decision:
        """Return the decision from these findings; who built what it offers is proven.

        Raises:
            RepositoryError: What the server offers is refused.
            TransportError: What proves its origin cannot be fetched.
            LocalError: What is proven cannot be remembered.
        """
        with as_document_error(), self._explained_expiry():
            decision = decide(
                findings.channel,
                findings.releases,
                findings.policy,
                self.client_state(force=force),
                self.client.clock(),
                findings.standings,
            )
        if findings.policy.channel(findings.channel.channel).attestations is None:
            return decision
        from lockgate_updater.origin.proving import prove_decision  # noqa: PLC0415 (on demand)

        return prove_decision(self, findings, decision)

    def _remembered(self, *, force: bool) -> Leave | None:
        """Return the decision to leave, if what was verified before says so."""
        try:
            decision = self.decide(self.look(offline=True), force=force)
            return decision if isinstance(decision, Leave) else None
        except (RepositoryError, TransportError, LocalError):
            return self._remembered_revocation()

    def _remembered_revocation(self) -> Leave | None:
        channel = self.client.configuration.channel
        version = self.running_version()
        if not version or not self.memory.must_leave(channel, version):
            return None
        remedy = self.memory.revoked_in(channel).get(version, Remedy.REPLACE)
        return Leave(
            version=version, remedy=remedy, target=None, reason=f"{version} was revoked here"
        )

    def _load_memory(self) -> Memory:
        memory, aside = load_memory(self.home.memory)
        if aside is not None:
            from lockgate_updater.events import StepName  # noqa: PLC0415 (almost never)

            self.say(StepName.WARNING, "", f"the memory was damaged; it was set aside as {aside}")
        return believable_at(self.client.clock(), memory)

    def _load_record(self) -> Record:
        try:
            record = load_record(self.home.journal)
        except DamagedJournalError as exc:
            self.damaged, record = exc, None
        if record is not None:
            return record
        from lockgate_updater.install.recovery import derive  # noqa: PLC0415 (almost never)

        return derive(self.facts())


@contextmanager
def open_session(
    client: Client, *, purpose: str, observe: Observer, wait_s: float = 10.0
) -> Iterator[Session]:
    """Hold the lock, and give the session that may work under it.

    Raises:
        LocalError: Somebody else is at work here, or the home cannot be used.
    """
    client.home.prepare()
    session: Session | None = None
    try:
        with hold_lock(client.home.lock, purpose=purpose, wait_s=wait_s):
            transport = client.connect()
            try:
                session = Session(client, transport, observe)
                yield session
            finally:
                transport.close()
    except LockgateError:
        _send_reports(session, purpose)
        raise
    _send_reports(session, purpose)


def _send_reports(session: Session | None, purpose: str) -> None:
    """Send what was noted, if anything was: the lock is free again by now."""
    reporter = session.reporter_in_use if session is not None and purpose in _REPORTING else None
    if reporter is not None:
        reporter.send()
