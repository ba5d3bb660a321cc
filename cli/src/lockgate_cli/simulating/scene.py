"""What the clients of a simulation are told: real documents, read by the real decision.

The decision is asked once for each kind of client in each arm: all that it looks at is the same
for every such client, and which arm a client is in the vector gate has said.
"""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lockgate_release.capabilities import archive_capability
from lockgate_release.decision import ClientState, Held, Obstacle, Offer, decide
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import (
    Artifact,
    ChannelDocument,
    ChannelOffer,
    HealthCheck,
    Install,
    PolicyDocument,
    ReleaseDocument,
    ReleaseEntry,
    Requirements,
    Rollout,
    TrustedRelease,
)
from lockgate_release.gate import Arm, choose_arm
from lockgate_release.layout import artifact_path, release_path
from lockgate_release.names import MAX_EXPOSURE_BP, AppName, ChannelName, Platform
from lockgate_release.rollout.plan import Stage

__all__ = ["KINDS", "NEW", "OLD", "Kind", "arm_told"]

_APP, _CHANNEL = AppName("simulated"), ChannelName("stable")
_ISSUED = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = ("1.0.0",), "1.1.0"
_PLATFORMS = (Platform("linux-x86_64"), Platform("macos-arm64"))
_ARCHIVE = "tar.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of client: all that the decision looks at, except for the id."""

    number: int
    platform: Platform
    version: str


KINDS = tuple(
    Kind(number=number, platform=platform, version=version)
    for number, (platform, version) in enumerate(itertools.product(_PLATFORMS, OLD))
)


def arm_told(kind: Kind, arm: Arm, stage: Stage, epoch: int, salt: str) -> Arm | None:
    """Return the arm that a client of this kind, placed in `arm`, reports in; None for no arm.

    Args:
        kind: What it is.
        arm: Where the gate has placed it.
        stage: How far the rollout has got.
        epoch: The rollout's epoch.
        salt: The rollout's.
    """
    client_id = _find_client(arm, stage, salt)
    if client_id is None:
        return None
    decision = decide(
        _channel(stage, epoch, salt),
        {release_path(version): _release(version) for version in (*OLD, NEW)},
        PolicyDocument(app=_APP),
        ClientState(
            app=_APP,
            channel=_CHANNEL,
            client_id=client_id,
            platform=kind.platform,
            capabilities=frozenset({archive_capability(_ARCHIVE)}),
            installed=kind.version,
        ),
        _ISSUED,
    )
    match decision:
        case Offer(version=version) if version == NEW:
            return Arm.OFFERED
        case Held(obstacle=Obstacle.CONTROL):
            return Arm.CONTROL
        case _:
            return None


def _find_client(arm: Arm, stage: Stage, salt: str) -> str | None:
    """Return some client in an arm, or None if nobody can be in it."""
    outside_bp = MAX_EXPOSURE_BP - stage.exposure_bp - stage.control_bp
    sizes = {Arm.OFFERED: stage.exposure_bp, Arm.CONTROL: stage.control_bp, Arm.OUTSIDE: outside_bp}
    if not sizes[arm]:
        return None
    for number in itertools.count():
        client_id = str(uuid.UUID(int=number))
        shares = {"exposure_bp": stage.exposure_bp, "control_bp": stage.control_bp}
        if choose_arm(salt, client_id, **shares) is arm:
            return client_id
    raise AssertionError("never")


def _channel(stage: Stage, epoch: int, salt: str) -> ChannelDocument:
    new = Rollout(
        salt=salt, exposure_bp=stage.exposure_bp, control_bp=stage.control_bp, epoch=epoch
    )
    full = Rollout(salt=salt, exposure_bp=MAX_EXPOSURE_BP, control_bp=0)
    return ChannelDocument(
        app=_APP,
        channel=_CHANNEL,
        sequence=epoch,
        issued_at=_ISSUED,
        expires_at=_ISSUED + timedelta(days=1),
        offers=(_offer(NEW, new), *(_offer(version, full) for version in reversed(OLD))),
    )


def _offer(version: str, rollout: Rollout) -> ChannelOffer:
    release = _release(version)
    return ChannelOffer(version=version, path=release.path, sha256=release.sha256, rollout=rollout)


def _release(version: str) -> TrustedRelease:
    document = ReleaseDocument(
        app=_APP,
        version=version,
        released_at=_ISSUED,
        artifacts=tuple(_artifact(platform) for platform in _PLATFORMS),
        install=Install(
            entrypoint="bin/app", health=HealthCheck(command=("bin/app",), timeout_s=5, tries=2)
        ),
        requires=Requirements(from_version="", capabilities=()),
    )
    return TrustedRelease(
        path=release_path(version),
        sha256=digest_bytes(document.to_bytes()),
        entry=ReleaseEntry(version=version, channels=(_CHANNEL,)),
        document=document,
    )


def _artifact(platform: Platform) -> Artifact:
    sha256 = digest_bytes(platform.encode())
    return Artifact(
        platform=platform,
        name=f"app.{_ARCHIVE}",
        kind=_ARCHIVE,
        size=1,
        sha256=sha256,
        tree_sha256=sha256,
        tree_size=1,
        path=artifact_path(sha256),
    )
