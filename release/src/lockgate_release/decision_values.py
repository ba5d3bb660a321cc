"""What goes into the decision and what comes out of it, as values. See `decision` for the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from lockgate_release.capabilities import ATTESTATIONS, PYTHON_WHEELS, archive_capability
from lockgate_release.documents import (
    Artifact,
    ChannelDocument,
    ChannelPolicy,
    PolicyDocument,
    ReleaseDocument,
    Remedy,
    Standing,
    TrustedRelease,
)
from lockgate_release.gate import Arm
from lockgate_release.layout import release_path
from lockgate_release.names import AppName, ChannelName, Platform, Sha256Hex

__all__ = [
    "NO_STANDINGS",
    "ClientState",
    "Considered",
    "Decision",
    "Held",
    "Leave",
    "Obstacle",
    "Offer",
    "Quarantine",
    "UpToDate",
    "capabilities_for",
    "paths_to_fetch",
]

NO_STANDINGS: Mapping[str, Standing] = MappingProxyType({})
"""What is known of how releases stand where nothing was looked for."""


class Obstacle(StrEnum):
    """Why a release does not fit a client, or why a client has nothing to do."""

    NOTHING_OFFERED = "nothing-offered"
    REVOKED = "revoked"
    BELOW_FLOOR = "below-floor"
    QUARANTINED = "quarantined"
    SKIPPED = "skipped"
    NOT_PINNED = "not-pinned"
    NO_ARTIFACT = "no-artifact"
    LACKS_CAPABILITY = "lacks-capability"
    NEEDS_STEPPING_STONE = "needs-stepping-stone"
    PAUSED = "paused"
    HALTED = "halted"
    OUTSIDE_GATE = "outside-gate"
    CONTROL = "control"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """A release that failed here, and for how long it is not tried again.

    Attributes:
        sha256: The digest of the release's document: another document is another release.
        until: When it may be tried again.
    """

    sha256: Sha256Hex
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientState:
    """What a client knows of itself.

    Attributes:
        app: The app it runs.
        channel: The channel it follows.
        client_id: Its random id, a UUID in lower case. Never sent anywhere.
        platform: Its platform tag.
        capabilities: What its updater can do.
        python: The Python that environments of wheels are made of here, such as `3.11.7`, or "" if
            that is not known.
        installed: The version it has, or "" before the first installation.
        known_revocations: Versions it has ever seen revoked in this channel, and their remedies.
        revoked_at: When these were revoked, as far as it has seen: an older lift is not theirs.
        known_floor: The highest floor it has ever seen for this channel, or "".
        quarantine: What failed here.
        skipped: Versions its owner does not want.
        pinned: The only version its owner wants, or "".
        passes_gate: A person asked for this check, and may pass the gate.
        allows_unattested: A person takes what nobody has proven the origin of.
    """

    app: AppName
    channel: ChannelName
    client_id: str
    platform: Platform
    capabilities: frozenset[str]
    installed: str = ""
    known_revocations: Mapping[str, Remedy] = field(default_factory=dict)
    revoked_at: Mapping[str, datetime] = field(default_factory=dict)
    known_floor: str = ""
    quarantine: tuple[Quarantine, ...] = ()
    skipped: frozenset[str] = frozenset()
    pinned: str = ""
    passes_gate: bool = False
    allows_unattested: bool = False
    python: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """One release that was looked at: a line of the explanation.

    Attributes:
        version: The release.
        obstacle: Why it does not fit, or None if it does.
        text: The same in words, with the numbers.
    """

    version: str
    obstacle: Obstacle | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A release to install."""

    release: TrustedRelease
    artifact: Artifact
    arm: Arm
    epoch: int
    reason: str
    considered: tuple[Considered, ...] = ()

    @property
    def version(self) -> str:
        """The version to install."""
        return self.release.document.version


@dataclass(frozen=True, slots=True, kw_only=True)
class UpToDate:
    """Nothing newer is offered to anybody here."""

    version: str
    reason: str
    considered: tuple[Considered, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Something is there, or nothing is, and this client gets nothing: with the reason."""

    obstacle: Obstacle
    reason: str
    considered: tuple[Considered, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """The installed release is revoked and must be left.

    Attributes:
        version: The release to leave.
        remedy: How the maintainers want it left.
        target: The newest allowed release, or None: then the last good one on this machine, and
            if there is none either, what this machine's own policy says.
        reason: Why, in the maintainers' words.
    """

    version: str
    remedy: Remedy
    target: Offer | None
    reason: str
    considered: tuple[Considered, ...] = ()


Decision: TypeAlias = Offer | UpToDate | Held | Leave


def capabilities_for(
    document: ReleaseDocument, artifact: Artifact, rule: ChannelPolicy, state: ClientState
) -> frozenset[str]:
    """Return what an updater must be able to do to take a release in a channel."""
    needed = {*document.requires.capabilities, archive_capability(artifact.kind)}
    if document.install.python is not None:
        needed.add(PYTHON_WHEELS)
    if rule.attestations is not None and not state.allows_unattested:
        needed.add(ATTESTATIONS)
    return frozenset(needed)


def paths_to_fetch(
    channel: ChannelDocument, installed: str, policy: PolicyDocument | None = None
) -> tuple[str, ...]:
    """Return the release documents that `decide` needs: those offered, and the one installed.

    Args:
        channel: What is offered.
        installed: The version that is installed, or "".
        policy: Whose rule for the channel says in which folders the installed one may lie; None:
            in that of the main role.
    """
    paths = [offer.path for offer in channel.offers]
    rule = policy.channel(channel.channel) if policy is not None else None
    folders = {pattern.split("/", 1)[0] for pattern in rule.paths} if rule else {"releases"}
    # A pattern for any folder names none: the main role's is where most lie.
    for folder in sorted({"releases" if "*" in folder else folder for folder in folders}):
        path = release_path(installed, folder=folder)
        if installed and path not in paths:
            paths.append(path)
    return tuple(paths)
