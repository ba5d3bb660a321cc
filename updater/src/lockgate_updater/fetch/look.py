"""One look at the repository: every verified document that a decision needs, at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from lockgate_release.decision import paths_to_fetch
from lockgate_release.documents import ChannelDocument, PolicyDocument, Standing, TrustedRelease
from lockgate_release.errors import (
    DocumentError,
    ExpiredError,
    LockgateError,
    RepositoryError,
    StaleMirrorError,
    TransportError,
    VersionError,
)
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH, channel_path
from lockgate_release.trust.verify import Fetch, TrustedView
from lockgate_updater.state.configuration import Configuration
from lockgate_updater.state.durable import read_own_file
from lockgate_updater.state.home import Home
from lockgate_updater.state.memory import Memory, check_not_older

__all__ = ["Findings", "as_document_error", "look", "read_anchor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was found, all of it through the TUF chain.

    Attributes:
        channel: The document of the client's channel.
        releases: Live releases by path: those that are offered, and the one that is installed.
        policy: The maintainers' policy.
        key_ids: The keys that root trusts with the server's words.
        timestamp_version: The number of the timestamp.
        view: The view they came from.
        standings: How what is offered stands against the channel's bar, by path.
    """

    channel: ChannelDocument
    releases: Mapping[str, TrustedRelease]
    policy: PolicyDocument
    key_ids: tuple[str, ...]
    timestamp_version: int
    view: TrustedView
    standings: Mapping[str, Standing]


def look(
    home: Home,
    configuration: Configuration,
    anchor: bytes,
    memory: Memory,
    *,
    fetch: Fetch | None,
    installed: str,
) -> Findings:
    """Return what the repository says now, or, with no `fetch`, what the cache says.

    Where the repository cannot be reached, or shows something old, its mirrors are asked in their
    order. If none of them knows better, what the repository itself did wrong is what is raised.

    Raises:
        RepositoryError: It is not what it must be, or older than what was seen, or has no such
            channel.
        TransportError: It cannot be reached.
        LocalError: The cache cannot be used.
    """
    failures: list[LockgateError] = []
    for source in configuration.sources if fetch else (configuration.repository,):
        at = replace(configuration, repository=source)
        try:
            return _look_at(home, at, anchor, memory, fetch=fetch, installed=installed)
        except (TransportError, StaleMirrorError, ExpiredError) as exc:
            failures.append(exc)
        except RepositoryError:
            # A mirror that was left behind by a rotation is signed by keys that count no more:
            # that is not what keeps this client from knowing.
            if not failures:
                raise
    raise failures[0]


def _look_at(
    home: Home,
    configuration: Configuration,
    anchor: bytes,
    memory: Memory,
    *,
    fetch: Fetch | None,
    installed: str,
) -> Findings:
    view = TrustedView(
        app=configuration.app,
        repository=configuration.repository,
        cache=home.state,
        bootstrap=anchor,
        fetch=fetch,
    )
    view.refresh()
    policy = view.policy()
    channel = view.channel(configuration.channel)
    if channel is None:
        raise RepositoryError(
            "no such channel",
            subject=configuration.channel,
            hint="A channel begins with the first release published to it: look at its spelling. "
            "A preview that has ended is there for 30 days more.",
        )
    key_ids, timestamp_version = view.online_key_ids(), view.timestamp_version()
    check_not_older(memory, channel, key_ids, timestamp_version)
    paths = paths_to_fetch(channel, installed, policy)
    found = {path: view.release(path) for path in paths}
    releases = {path: release for path, release in found.items() if release is not None}
    kept = (POLICY_PATH, TRUSTED_ROOT_PATH, channel_path(channel.channel))
    view.forget_documents(keep=frozenset({*kept, *releases}))
    return Findings(
        channel=channel,
        releases=releases,
        policy=policy,
        key_ids=key_ids,
        timestamp_version=timestamp_version,
        view=view,
        standings=view.standings(policy, channel, releases),
    )


@contextmanager
def as_document_error() -> Iterator[None]:
    """A version in a signed document that is none is the repository's fault, not the user's."""
    try:
        yield
    except VersionError as exc:
        raise DocumentError(
            exc.what, subject="version", expected=exc.expected, found=exc.found
        ) from exc


def read_anchor(home: Home) -> bytes:
    """Return the root that was shipped with this client.

    Raises:
        LocalError: It is gone, or cannot be read.
        RepositoryError: It is missing.
    """
    data = read_own_file(home.anchor)
    if data is None:
        raise RepositoryError("no trust anchor", subject=str(home.anchor), expected="root.json")
    return data
