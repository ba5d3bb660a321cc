"""The client as a program uses it: open, check, update, confirm."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate_release.errors import LocalError, RepositoryError, TransportError
from lockgate_release.instants import utc_now
from lockgate_updater.fetch.look import read_anchor
from lockgate_updater.fetch.transport import Transport, open_transport
from lockgate_updater.results import CheckResult, Unknown
from lockgate_updater.session import Client, Session, open_session
from lockgate_updater.state.configuration import Configuration, load_configuration
from lockgate_updater.state.home import Home
from lockgate_updater.state.identity import boot_id, machine_identity, new_client_id

if TYPE_CHECKING:
    from lockgate_updater.diagnose.explain import Explanation
    from lockgate_updater.diagnose.notes import Notes
    from lockgate_updater.events import Event, Observer
    from lockgate_updater.install.operation import Operation
    from lockgate_updater.install.repair import RepairResult
    from lockgate_updater.outcomes import Status, UpdateResult
    from lockgate_updater.watch.loop import Waiter, Watch

__all__ = ["Updater"]


def _say_nothing(_: Event) -> None:
    """Observe without a word."""


class Updater:
    """One installed app and its way to the next release.

    Nothing is held open between calls; each call takes the home's lock for itself.
    """

    def __init__(self, client: Client) -> None:
        """Work for `client`; programs use `open`."""
        self._client = client

    @classmethod
    def open(
        cls,
        home: Path | str,
        *,
        root: bytes | None = None,
        flags: Mapping[str, str | None] | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = utc_now,
        transport: Callable[[], Transport] | None = None,
        allow_unattested: bool = False,
    ) -> Updater:
        """Return the updater of the client that lives in `home`.

        Args:
            home: A folder made by `init`.
            root: The trust anchor built into the program; None takes the home's `root.json`.
            flags: Settings that go before environment and file: `repository`, `channel`, `ca`,
                `platform`, `pin`; and `skip`, versions separated by spaces, which adds to them.
            environ: The environment; None is this process's.
            clock: Tells the present, aware.
            transport: Opens the way bytes come; None is HTTP, or a folder for `file://`.
            allow_unattested: A person takes what nobody has proven the origin of.

        Raises:
            UsageError: No client lives there, or a setting makes no sense.
            LocalError: The home cannot be read.
            RepositoryError: The trust anchor is missing.
        """
        place = Home.at(home)
        surroundings = os.environ if environ is None else environ
        configuration = load_configuration(place, surroundings, flags)

        def connect() -> Transport:
            return open_transport(
                configuration.sources, surroundings, configuration.ca, configuration.network
            )

        return cls(
            Client(
                home=place,
                configuration=configuration,
                anchor=read_anchor(place) if root is None else root,
                machine=machine_identity(),
                environ=surroundings,
                clock=clock,
                draw=new_client_id,
                connect=transport or connect,
                boot=boot_id,
                allow_unattested=allow_unattested,
            )
        )

    @classmethod
    def create(
        cls,
        home: Path | str,
        *,
        app: str,
        repository: str,
        channel: str,
        root: bytes,
        client_id: str = "",
        reports: bool = False,
    ) -> Updater:
        """Make a home for a client and return its updater; the same again changes nothing.

        Args:
            home: Where; it is created for its owner alone.
            app: The app's name.
            repository: The address that the app's folder lies below.
            channel: The channel to follow.
            root: The trust anchor: the content of the `root.json` that maintainers hand out.
            client_id: A UUID in lower case, or "" to draw one.
            reports: Whether it reports how releases fare, naming nobody.

        Raises:
            UsageError: An argument makes no sense, or another client lives there.
            TrustError: `root` is no valid root.
            LocalError: The disk refuses.
        """
        from lockgate_updater.state.creation import init  # noqa: PLC0415 (once for each client)

        init(
            home,
            app=app,
            repository=repository,
            channel=channel,
            root=root,
            client_id=client_id,
            reports=reports,
        )
        return cls.open(home)

    @property
    def home(self) -> Path:
        """The client's home."""
        return self._client.home.root

    @property
    def configuration(self) -> Configuration:
        """What the client is."""
        return self._client.configuration

    def check(self, *, force: bool = False, wait_s: float = 10.0) -> CheckResult:
        """Return what an update would do now. Installs nothing.

        A revoked release is to be left even when the server is down, if its revocation was
        verified before. Whatever else keeps the answer from coming is `Unknown`, with the reason.

        Args:
            force: A person asks, and may pass the gate.
            wait_s: How long to wait for another updater to end, in seconds.
        """
        try:
            with open_session(
                self._client, purpose="check", observe=_say_nothing, wait_s=wait_s
            ) as session:
                return session.judge(force=force)
        except (RepositoryError, TransportError, LocalError) as exc:
            if isinstance(exc, LocalError) and not os.access(self._client.home.state, os.W_OK):
                from lockgate_updater.diagnose.read_only import judge_read_only  # noqa: PLC0415

                return judge_read_only(self._client, exc, force=force)
            return Unknown(reason=str(exc), error=exc)

    def watch(
        self,
        *,
        progress: Observer | None = None,
        check_only: bool = False,
        waiter: Waiter | None = None,
        monotonic: Callable[[], float] | None = None,
        uniform: Callable[[float, float], float] | None = None,
    ) -> Watch:
        """Return a loop that keeps the client up to date: use it in a `with`, and call its `run`.

        Args:
            progress: Is told each step and how far the download has got.
            check_only: Look and tell, and install nothing.
            waiter: How it waits; None really waits, until a signal handler or thread rings.
            monotonic: A clock that never goes back, in seconds.
            uniform: Draws a number between two, for the jitter.

        Raises:
            UsageError: The quiet hours make no sense.
        """
        from lockgate_updater.watch.loop import Watch  # noqa: PLC0415 (not for a check)

        return Watch(
            self._client,
            observe=progress or _say_nothing,
            check_only=check_only,
            waiter=waiter,
            monotonic=monotonic,
            uniform=uniform,
        )

    def update(
        self, *, progress: Observer | None = None, force: bool = False, dry_run: bool = False
    ) -> UpdateResult:
        """Bring the installation to what the repository says, and return what was done.

        With a health command the release is proven and committed, or rolled back, before this
        returns. Without one, but with a program, it is on trial until `confirm`.

        Args:
            progress: Is told each step and how far the download has got.
            force: A person asks, and may pass the gate; never a revocation, the floor, or trust.
            dry_run: Say what would be done, and do nothing.

        Raises:
            RepositoryError: The repository is wrong; nothing of it was installed.
            TransportError: It cannot be reached, or breaks off; the next update goes on.
            LocalError: This machine is in the way.
        """
        observe = progress or _say_nothing
        if dry_run:
            return self._plan(force=force)
        from lockgate_updater.install.operation import Operation  # noqa: PLC0415 (not for a check)
        from lockgate_updater.watch.health import noted  # noqa: PLC0415 (the same)

        client = self._client
        with (
            open_session(client, purpose="update", observe=observe) as session,
            noted(client.home.health, client.clock(), session),
        ):
            return Operation(session).update(force=force)

    def _plan(self, *, force: bool) -> UpdateResult:
        with open_session(self._client, purpose="plan", observe=_say_nothing) as session:
            from lockgate_updater.install.operation import Operation  # noqa: PLC0415 (the same)

            return Operation(session).plan(force=force)

    def confirm(self) -> UpdateResult:
        """Commit the release on trial: it works. With nothing on trial, change nothing.

        Raises:
            TransportError: It has to reach the update server, and cannot: it stays on trial.
            LocalError: This machine is in the way.
        """
        with self._operation("confirm", _say_nothing) as operation:
            return operation.confirm()

    def rollback(self, *, progress: Observer | None = None) -> UpdateResult:
        """Go back to the last good version; what is left is quarantined.

        Raises:
            UsageError: There is nothing to go back to.
            LocalError: This machine is in the way.
        """
        with self._operation("rollback", progress or _say_nothing) as operation:
            return operation.roll_back()

    def run(
        self,
        arguments: Sequence[str] = (),
        *,
        program: str = "",
        progress: Observer | None = None,
    ) -> int:
        """Start the installed program, and return its exit code once it has ended.

        Outside of a trial this process becomes the program, and nothing is returned.

        Args:
            arguments: For the program. Where the release names no program, the first names it.
            program: A program of the tree to start instead of the release's, or "".
            progress: Is told what is recovered, left or rolled back before the start.

        Raises:
            UsageError: There is no such program.
            LocalError: Nothing is installed, or this machine is in the way.
        """
        from lockgate_updater.run.launcher import launch  # noqa: PLC0415 (a check starts nothing)

        return launch(self._client, arguments, program=program, observe=progress or _say_nothing)

    def update_itself(
        self, *, progress: Observer | None = None, force: bool = False, own: Updater | None = None
    ) -> UpdateResult:
        """Update the updater that looks after this home; it is used from its next start on.

        Held, with words, while the app is on trial, being committed or being rolled back.

        Args:
            progress: Is told each step and how far the download has got.
            force: A person asks, and may pass the gate.
            own: The client of the updater's own home; None opens what `[updater] home` says.

        Raises:
            UsageError: The updater has no home of its own.
            RepositoryError: Its repository is wrong; nothing was installed.
            TransportError: It cannot be reached, or breaks off; the next time goes on.
            LocalError: This machine is in the way.
        """
        from lockgate_updater.install.itself import (  # noqa: PLC0415 (not for a check)
            find_own_home,
            update_itself,
        )

        if own is None:
            # What the environment says is about the app.
            said = self._client.environ.items()
            surroundings = {name: text for name, text in said if not name.startswith("LOCKGATE_")}
            own = Updater.open(find_own_home(self._client.home), environ=surroundings)
        theirs = own._client  # noqa: SLF001 (an updater as well)
        return update_itself(self._client, theirs, progress or _say_nothing, force=force)

    def verify(self) -> str:
        """Prove that the running tree is the one that was signed, and return its version.

        Raises:
            DigestMismatchError: It is not; a `TreeDiffersError` also has each difference.
            LocalError: Nothing is installed, or it cannot be read.
        """
        from lockgate_updater.state.environments import (  # noqa: PLC0415 (a check reads none)
            prove_environment,
        )
        from lockgate_updater.state.listing import examine_tree  # noqa: PLC0415 (a check reads none)

        with open_session(self._client, purpose="verify", observe=_say_nothing) as session:
            receipt = session.running()
            if receipt is None:
                raise LocalError("nothing is installed", subject=str(self.home))
            examine_tree(self._client.home, receipt)
            prove_environment(self._client.home, receipt)
            return receipt.version

    def repair(self, *, progress: Observer | None = None, dry_run: bool = False) -> RepairResult:
        """Bring the installed tree to exactly what was signed; only what differs is fetched.

        Args:
            progress: Is told what is fetched, and how far it has got.
            dry_run: Say what differs and what would be fetched, and do nothing.

        Raises:
            UsageError: A release is on trial, or the installed one may not run any more.
            RepositoryError: The artifact is not what was signed, or no longer in the repository.
            TransportError: What is needed cannot be fetched; the tree is as it was.
            LocalError: Nothing is installed, or this machine is in the way.
        """
        from lockgate_updater.install.repair import repair  # noqa: PLC0415 (a check mends nothing)

        observe = progress or _say_nothing
        with open_session(self._client, purpose="repair", observe=observe) as session:
            return repair(session, dry_run=dry_run)

    def explain(self, *, force: bool = False) -> Explanation:
        """Return the whole chain of reasoning behind `check`.

        Raises:
            LocalError: This machine is in the way.
        """
        from lockgate_updater.diagnose.explain import explain  # noqa: PLC0415 (for people who ask)

        with open_session(self._client, purpose="explain", observe=_say_nothing) as session:
            return explain(session, force=force)

    def notes(self, *, version: str = "", force: bool = False) -> Notes:
        """Return what a release brings (named, offered or ours); a LockgateError says why not."""
        from lockgate_updater.diagnose.notes import read_notes  # noqa: PLC0415 (for people who ask)

        with open_session(self._client, purpose="notes", observe=_say_nothing) as session:
            return read_notes(session, version=version, force=force)

    def status(self) -> Status:
        """Return what stands on this machine. Asks nobody and changes nothing.

        Raises:
            LocalError: The home cannot be read.
        """
        # Without the lock: records change by one rename, and people ask while an update is running.
        self._client.home.prepare()
        transport = self._client.connect()
        try:
            from lockgate_updater.diagnose.status import read_status  # noqa: PLC0415 (not for a check)

            return read_status(Session(self._client, transport, _say_nothing))
        finally:
            transport.close()

    @contextmanager
    def _operation(self, purpose: str, observe: Observer) -> Iterator[Operation]:
        # A check does not pay for what unpacks and starts programs.
        from lockgate_updater.install.operation import Operation  # noqa: PLC0415

        with open_session(self._client, purpose=purpose, observe=observe) as session:
            yield Operation(session)
