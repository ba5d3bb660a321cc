"""What one client would do: the real decision on the verified state, and its reasons."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, assert_never
from urllib.parse import unquote

from lockgate_cli.explaining_chain import Chain, describe_chain
from lockgate_cli.explaining_origin import OriginProver, Read
from lockgate_cli.explaining_routes import Fetching, describe_fetching
from lockgate_cli.fields import parse_field
from lockgate_cli.mirroring.sources import Source
from lockgate_cli.scratch import scratch_folder
from lockgate_release.archives import ArchiveKind
from lockgate_release.capabilities import ATTESTATIONS, PYTHON_WHEELS, archive_capability
from lockgate_release.decision import (
    ClientState,
    Considered,
    Decision,
    Held,
    Leave,
    Offer,
    UpToDate,
    decide,
    paths_to_fetch,
)
from lockgate_release.deltas.algorithms import supported_algorithms
from lockgate_release.deltas.routes import Node
from lockgate_release.documents import ChannelDocument, TrustedRelease
from lockgate_release.errors import RepositoryError, TransportError, UsageError
from lockgate_release.layout import release_path
from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.trust.verify import TrustedView

__all__ = ["Client", "Explainer", "Explanation", "open_explainer", "reasons_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What is known of the client that somebody asks about.

    Attributes:
        app: The app it runs.
        channel: The channel it follows.
        client_id: Its random id, a UUID in lower case.
        platform: Its platform tag.
        installed: The version it has, or "".
    """

    app: AppName
    channel: ChannelName
    client_id: str
    platform: Platform
    installed: str


class Line(TypedDict):
    """One release that was looked at."""

    version: str
    obstacle: str | None
    text: str


class Explanation(TypedDict):
    """The decision and its reasons, for people and programs."""

    verdict: str
    reason: str
    version: str | None
    considered: list[Line]


class Explainer:
    """The verified state of one app's repository, asked about as many clients as one likes."""

    def __init__(self, view: TrustedView, read: Read) -> None:
        """Verify the newest state.

        Args:
            view: The repository, not refreshed yet.
            read: Brings what proves origins, by its path below the app's address.

        Raises:
            RepositoryError: The state cannot be verified.
            TransportError: The state could not be fetched.
            LocalError: The cache cannot be written.
        """
        view.refresh()
        self._view = view
        self._policy = view.policy()
        self._releases: dict[str, TrustedRelease | None] = {}
        self._origins = OriginProver(view, read)

    def decide(self, client: Client, now: datetime) -> Decision:
        """Return what a client would do now, for all that can be known from outside of it.

        What it remembers by itself (quarantine, revocations and floors it has seen) is not known
        here.

        Raises:
            UsageError: There is no such channel, or what is installed is no version.
            RepositoryError: The state cannot be verified, or offers what is not allowed.
            TransportError: The state could not be fetched.
            LocalError: The cache cannot be written.
        """
        document = self._view.channel(client.channel)
        if document is None:
            raise UsageError("no such channel", subject=client.channel)
        if client.installed:
            parse_field("--installed", self._policy.versions.parse, client.installed)
        found = {path: self._release(path) for path in self._paths(document, client)}
        releases = {path: release for path, release in found.items() if release is not None}
        standings = self._view.standings(self._policy, document, releases)
        decision = decide(document, releases, self._policy, _state_of(client), now, standings)
        rule = self._policy.channel(document.channel)
        self._origins.check(document.channel, rule.attestations, decision)
        return decision

    def fetching(self, client: Client, decision: Decision) -> Fetching | None:
        """Return what clients fetch of what a decision would install, or None: nothing.

        What leads there by deltas, and cannot be read, is left out, as clients leave it out.

        Raises:
            LocalError: The cache cannot be written.
        """
        offer = decision.target if isinstance(decision, Leave) else decision
        if not isinstance(offer, Offer):
            return None
        folder = offer.release.path.split("/", 1)[0]

        def read(version: str) -> Node | None:
            with suppress(RepositoryError, TransportError):
                found = self._release(release_path(version, folder=folder))
                return None if found is None else self._node_of(found)
            return None

        target, no_deltas = self._target_of(client, offer)
        return describe_fetching(
            target,
            offer.artifact,
            client.installed,
            read=read,
            order=self._policy.versions.parse,
            algorithms=supported_algorithms(),
            no_deltas=no_deltas,
        )

    def _target_of(self, client: Client, offer: Offer) -> tuple[Node, str]:
        """Return what is offered, and why clients take no delta to it, or ""."""
        rule = self._policy.channel(client.channel).attestations
        try:
            target = self._node_of(offer.release)
            is_led_to = any(one.platform == offer.artifact.platform for one in target.deltas)
            return target, self._origins.why_no_delta(rule, offer) if is_led_to else ""
        except (RepositoryError, TransportError) as exc:
            document = offer.release.document
            alone = Node(version=document.version, artifacts=document.artifacts, deltas=())
            return alone, f"what leads to {document.version} cannot be read: {exc}"

    def _node_of(self, release: TrustedRelease) -> Node:
        extras, document = self._view.extras(release), release.document
        deltas = extras.deltas if extras is not None else ()
        return Node(version=document.version, artifacts=document.artifacts, deltas=deltas)

    def chain(self, channel: ChannelName) -> Chain:
        """Return what a decision in this channel stands on, down from the pinned root.

        Raises:
            UsageError: There is no such channel.
            RepositoryError: The state cannot be verified.
            TransportError: The state could not be fetched.
            LocalError: The cache was changed under our feet.
        """
        document = self._view.channel(channel)
        if document is None:
            raise UsageError("no such channel", subject=channel)
        return describe_chain(self._view, document, self._policy)

    def _paths(self, document: ChannelDocument, client: Client) -> tuple[str, ...]:
        return paths_to_fetch(document, client.installed, self._policy)

    def _release(self, path: str) -> TrustedRelease | None:
        if path not in self._releases:
            self._releases[path] = self._view.release(path)
        return self._releases[path]


@contextmanager
def open_explainer(app: AppName, *, source: Source, pinned: bytes) -> Iterator[Explainer]:
    """Yield an explainer with a cache of its own, which is gone afterwards.

    Args:
        app: The app.
        source: Where to read: the server, a mirror of it on the web, or one in a folder.
        pinned: The root that trust begins with.

    Raises:
        RepositoryError: The state cannot be verified.
        TransportError: The state could not be fetched.
        LocalError: There is no room for the cache.
    """
    base = "https://repository.invalid"

    def fetch(url: str) -> Iterator[bytes]:
        return source.stream(app, unquote(url.removeprefix(f"{base}/{app}/")), 0)

    with scratch_folder("explaining") as cache:
        view = TrustedView(app=app, repository=base, cache=cache, bootstrap=pinned, fetch=fetch)
        yield Explainer(view, lambda path: source.stream(app, path, 0))


def _state_of(client: Client) -> ClientState:
    return ClientState(
        app=client.app,
        channel=client.channel,
        client_id=client.client_id,
        platform=client.platform,
        capabilities=frozenset(archive_capability(kind.value) for kind in ArchiveKind)
        | {PYTHON_WHEELS, ATTESTATIONS},
        installed=client.installed,
    )


def reasons_of(decision: Decision) -> Explanation:
    """Return a decision in words."""
    version: str | None
    match decision:
        case Offer():
            verdict, version = "offer", decision.version
        case UpToDate():
            verdict, version = "up to date", decision.version
        case Held():
            verdict, version = f"held ({decision.obstacle})", None
        case Leave():
            verdict = f"leave {decision.version} ({decision.remedy})"
            version = decision.target.version if decision.target else None
        case _:
            assert_never(decision)
    reason = decision.reason
    if isinstance(decision, Leave):
        reason += f"; go to {version}" if version else "; go back to the last good one"
    return Explanation(
        verdict=verdict,
        reason=reason,
        version=version,
        considered=[_line(item) for item in decision.considered],
    )


def _line(item: Considered) -> Line:
    obstacle = None if item.obstacle is None else item.obstacle.value
    return Line(version=item.version, obstacle=obstacle, text=item.text)
