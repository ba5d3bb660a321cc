"""What one client would do: the real decision on the verified state, and its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypedDict, assert_never

from lockgate_cli.fields import parse_field
from lockgate_release.archives import ArchiveKind
from lockgate_release.capabilities import PYTHON_WHEELS
from lockgate_release.decision import (
    ClientState,
    Considered,
    Decision,
    Held,
    Leave,
    Offer,
    UpToDate,
    archive_capability,
    decide,
    paths_to_fetch,
)
from lockgate_release.documents import TrustedRelease
from lockgate_release.errors import UsageError
from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.trust.verify import Fetch, TrustedView

__all__ = ["Client", "Explanation", "explain_client", "reasons_of"]


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


def explain_client(
    client: Client, *, repository: str, pinned: bytes, cache: Path, fetch: Fetch, now: datetime
) -> Decision:
    """Return what the client would do now, for all that can be known from outside of it.

    What it remembers by itself (quarantine, revocations and floors it has seen) is not known here.

    Raises:
        UsageError: There is no such channel, or what is installed is no version.
        RepositoryError: The state cannot be verified, or offers what is not allowed.
        TransportError: The state could not be fetched.
        LocalError: The cache cannot be written.
    """
    view = TrustedView(
        app=client.app, repository=repository, cache=cache, bootstrap=pinned, fetch=fetch
    )
    view.refresh()
    document = view.channel(client.channel)
    if document is None:
        raise UsageError("no such channel", subject=client.channel)
    policy = view.policy()
    if client.installed:
        parse_field("--installed", policy.versions.parse, client.installed)
    releases: dict[str, TrustedRelease] = {}
    for path in paths_to_fetch(document, client.installed):
        release = view.release(path)
        if release is not None:
            releases[path] = release
    state = ClientState(
        app=client.app,
        channel=client.channel,
        client_id=client.client_id,
        platform=client.platform,
        capabilities=frozenset(archive_capability(kind.value) for kind in ArchiveKind)
        | {PYTHON_WHEELS},
        installed=client.installed,
    )
    return decide(document, releases, policy, state, now)


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
