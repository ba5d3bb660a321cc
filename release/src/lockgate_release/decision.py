"""The decision: what one client should do, from verified documents and its own state.

Pure: no clock, no disk, no network. The updater acts on it, the server simulates with it, the
command line explains with it.

The rules, in the order they are applied:

1. An answer past its expiry is no answer.
2. The documents are this app's and this channel's, and what the server offers must be what the
   publishers allowed: the release is live, its document is the one that was pinned, its entry
   names this channel, and it meets the channel's bar: its path, who signed, who approved. Anything
   else is the work of a thief or a bug, and is refused loudly, not skipped. Who built it is proven
   by whoever acts on the decision, of what was chosen alone, before anything of it is fetched.
3. A client that has a revoked release leaves it, if the remedy says so. A remedy that says so
   and was seen is not taken back by a milder one, unless its publishers lifted that. A lift names
   the moment of the revocation that it takes back, and no later one.
4. Offers are looked at newest first, whatever their order in the document; the first that fits
   is taken. A release older than the one installed is never offered.
5. A release does not fit when it is revoked (here, or in what the client remembers, unless its
   publishers lifted that), below the channel's floor (signed, or remembered), in quarantine,
   skipped or not the pinned one, without an artifact for this platform, asking for what this
   updater cannot do, or the policy what it cannot prove, or out of reach from the installed one.
6. Nor when its rollout is paused or halted, or the gate does not let this client through. Only the
   gate can be passed by a person who asks, where the policy allows that and it is open at all.
7. When a newer release was looked at and did not fit, the client is held, and the reason is the
   newest one's. When none was newer, it is up to date.
8. A preview channel whose time is over offers nothing, whatever still stands in its document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from lockgate_release.capabilities import name_extras
from lockgate_release.decision_values import (
    NO_STANDINGS,
    ClientState,
    Considered,
    Decision,
    Held,
    Leave,
    Obstacle,
    Offer,
    Quarantine,
    UpToDate,
    capabilities_for,
    paths_to_fetch,
)
from lockgate_release.documents import (
    Artifact,
    ChannelDocument,
    ChannelOffer,
    PolicyDocument,
    Remedy,
    RolloutState,
    Standing,
    TrustedRelease,
    stricter,
)
from lockgate_release.errors import (
    DocumentError,
    ExpiredError,
    RefusedOfferError,
    VersionError,
)
from lockgate_release.gate import Arm, bucket, choose_arm
from lockgate_release.instants import format_instant
from lockgate_release.versions import Version

__all__ = [
    "ClientState",
    "Considered",
    "Decision",
    "Held",
    "Leave",
    "Obstacle",
    "Offer",
    "Quarantine",
    "UpToDate",
    "decide",
    "paths_to_fetch",
]


def decide(
    channel: ChannelDocument,
    releases: Mapping[str, TrustedRelease],
    policy: PolicyDocument,
    state: ClientState,
    now: datetime,
    standings: Mapping[str, Standing] = NO_STANDINGS,
) -> Decision:
    """Return what the client should do, with the reason.

    Args:
        channel: The verified document of the client's channel.
        releases: Live releases by the path of their document: those that are offered, and the one
            that is installed. A path that is missing is not live.
        policy: The maintainers' policy.
        state: What the client knows of itself.
        now: The present, aware.
        standings: How what is offered stands against the channel's bar, by path; where it has one,
            a path that is missing does not meet it.

    Raises:
        ExpiredError: The channel's document is past its expiry (rule 1).
        RefusedOfferError: The server offers what the publishers did not allow (rule 2).
        DocumentError: A version is not of the app's scheme.
        ValueError: The client's id is malformed: that is not for the server to mend.
    """
    _check_freshness(channel, now)
    _check_addressee(channel, policy, state)
    judge = _Judge(channel, releases, policy, state, now, standings)
    remedy = judge.remedy_for_installed()
    considered: list[Considered] = []
    chosen: Offer | None = None
    offers = () if channel.has_ended(now) else channel.offers
    for offer in judge.newest_first(offers):
        if remedy is None and judge.is_not_newer(offer.version):
            break
        verdict, found = judge.consider(offer)
        considered.append(verdict)
        if found is not None:
            chosen = found
            break
    if remedy is not None:
        return Leave(
            version=state.installed,
            remedy=remedy,
            target=chosen,
            reason=judge.reason_to_leave(),
            considered=tuple(considered),
        )
    if chosen is not None:
        return replace(chosen, considered=tuple(considered))
    return _settle(channel, state, tuple(considered), now)


def _check_freshness(channel: ChannelDocument, now: datetime) -> None:
    if now >= channel.expires_at:
        raise ExpiredError(
            "expired channel document",
            subject=channel.channel,
            expected=f"a time before {format_instant(channel.expires_at)}",
            found=format_instant(now),
        )


def _check_addressee(channel: ChannelDocument, policy: PolicyDocument, state: ClientState) -> None:
    for expected, found in (
        (f"{state.app} {state.channel}", f"{channel.app} {channel.channel}"),
        (state.app, policy.app),
    ):
        if found != expected:
            what = "a document for somebody else"
            raise RefusedOfferError(what, subject=state.channel, expected=expected, found=found)


def _settle(
    channel: ChannelDocument,
    state: ClientState,
    considered: tuple[Considered, ...],
    now: datetime,
) -> UpToDate | Held:
    """Say why nothing is to be done (rules 7 and 8)."""
    if considered:
        newest = considered[0]
        assert newest.obstacle is not None
        return Held(obstacle=newest.obstacle, reason=newest.text, considered=considered)
    if channel.has_ended(now) or not channel.offers:
        said = "offers nothing to anybody"
        if channel.has_ended(now):
            said = "was a preview and has ended: follow another one"
        return Held(obstacle=Obstacle.NOTHING_OFFERED, reason=f"channel {channel.channel} {said}")
    return UpToDate(
        version=state.installed,
        reason=f"{state.installed} is installed and {channel.channel} offers nothing newer",
    )


class _Judge:
    """The rules for one release, for one client, at one moment."""

    def __init__(
        self,
        channel: ChannelDocument,
        releases: Mapping[str, TrustedRelease],
        policy: PolicyDocument,
        state: ClientState,
        now: datetime,
        standings: Mapping[str, Standing],
    ) -> None:
        self._standings = standings
        self._channel = channel
        self._releases = releases
        self._policy = policy
        self._rule = policy.channel(channel.channel)
        self._state = state
        self._now = now
        self._installed = self._parse(state.installed) if state.installed else None

    def _parse(self, text: str) -> Version:
        # Every text here comes out of a signed document, also what was remembered from one: that
        # it is no version is the repository's fault, and nothing the caller could say differently.
        try:
            return self._policy.versions.parse(text)
        except VersionError as exc:
            raise DocumentError(
                exc.what, subject=self._channel.channel, expected=exc.expected, found=exc.found
            ) from exc

    def newest_first(self, offers: Iterable[ChannelOffer]) -> list[ChannelOffer]:
        """Return the offers in the order they are looked at (rule 4)."""
        return sorted(offers, key=lambda offer: self._parse(offer.version), reverse=True)

    def is_not_newer(self, version: str) -> bool:
        """Whether the installed release is this one or a later one."""
        return self._installed is not None and self._parse(version) <= self._installed

    def remedy_for_installed(self) -> Remedy | None:
        """How to leave the installed release, or None to stay (rule 3)."""
        remedy = self._revoked(self._state.installed) if self._state.installed else None
        return None if remedy is Remedy.BLOCK_NEW else remedy

    def reason_to_leave(self) -> str:
        """Why the installed release is to be left, in the maintainers' words."""
        revocation = self._channel.revocation_of(self._state.installed)
        said = revocation.reason if revocation else "seen revoked before"
        return f"{self._state.installed} is revoked: {said}"

    def _revoked(self, version: str) -> Remedy | None:
        revocation = self._channel.revocation_of(version)
        said = revocation.remedy if revocation else None
        if self._is_lifted(version):
            return said
        return stricter(said, self._state.known_revocations.get(version))

    def _is_lifted(self, version: str) -> bool:
        revoked_at = self._state.revoked_at.get(version)
        return any(
            release.entry.lifts(self._channel.channel, revoked_at)
            for release in self._releases.values()
            if release.document.version == version
        )

    def consider(self, offer: ChannelOffer) -> tuple[Considered, Offer | None]:
        """Judge one offer: a line for people, and the offer if it fits.

        Raises:
            RefusedOfferError: The publishers did not allow it (rule 2).
        """
        release = self._check_allowed(offer)
        artifact = release.document.artifact_for(self._state.platform)
        obstacle, text = self._find_obstacle(offer, release, artifact)
        if obstacle is not None or artifact is None:
            return Considered(version=offer.version, obstacle=obstacle, text=text), None
        arm, epoch = self._arm(offer), offer.rollout.epoch
        found = Offer(release=release, artifact=artifact, arm=arm, epoch=epoch, reason=text)
        return Considered(version=offer.version, obstacle=None, text=text), found

    def _check_allowed(self, offer: ChannelOffer) -> TrustedRelease:
        """Hold the server to what the publishers and maintainers signed (rule 2)."""
        release = self._releases.get(offer.path)
        channel = self._channel.channel
        subject = f"{channel}: offer of {offer.version}"
        if release is None:
            raise RefusedOfferError(
                "no publisher vouches for it", subject=subject, expected="a live release"
            )
        if (offer.version, offer.sha256) != (release.document.version, release.sha256):
            raise RefusedOfferError(
                "not the release that was signed",
                subject=subject,
                expected=f"{release.document.version} {release.sha256}",
                found=f"{offer.version} {offer.sha256}",
            )
        if release.document.app != self._state.app:
            raise RefusedOfferError(
                "another app's release",
                subject=subject,
                expected=self._state.app,
                found=release.document.app,
            )
        if channel not in release.entry.channels:
            raise RefusedOfferError(
                "its publishers did not allow it in this channel",
                subject=subject,
                expected=", ".join(release.entry.channels) or "no channel",
                found=channel,
            )
        standing = self._standings.get(offer.path, Standing())
        if lack := self._rule.shortfall(offer.path, standing):
            raise RefusedOfferError(
                lack.what, subject=subject, expected=lack.expected, found=lack.found
            )
        return release

    def _find_obstacle(
        self, offer: ChannelOffer, release: TrustedRelease, artifact: Artifact | None
    ) -> tuple[Obstacle | None, str]:
        """Return the first rule that the release breaks, in the order of rules 5 and 6."""
        return (
            self._against_signed_rules(offer, release)
            or self._against_local_wishes(release)
            or self._against_ability(release, artifact)
            or self._against_rollout(offer)
        )

    def _against_signed_rules(
        self, offer: ChannelOffer, release: TrustedRelease
    ) -> tuple[Obstacle, str] | None:
        version = offer.version
        if self._revoked(version) is not None:
            return Obstacle.REVOKED, f"{version} is revoked"
        floor = self._floor(release)
        if floor is not None and self._parse(version) < floor:
            return Obstacle.BELOW_FLOOR, f"{version} is below the floor {floor}"
        return None

    def _floor(self, release: TrustedRelease) -> Version | None:
        signed = release.entry.floors.get(self._channel.channel, "")
        floors = [self._parse(text) for text in (signed, self._state.known_floor) if text]
        return max(floors, default=None)

    def _against_local_wishes(self, release: TrustedRelease) -> tuple[Obstacle, str] | None:
        version = release.document.version
        for item in self._state.quarantine:
            if item.sha256 == release.sha256 and self._now < item.until:
                text = f"{version} failed here and is not tried before {format_instant(item.until)}"
                return Obstacle.QUARANTINED, text
        if version in self._state.skipped:
            return Obstacle.SKIPPED, f"{version} is skipped on this machine"
        if self._state.pinned and version != self._state.pinned:
            return Obstacle.NOT_PINNED, f"this machine is pinned to {self._state.pinned}"
        return None

    def _against_ability(
        self, release: TrustedRelease, artifact: Artifact | None
    ) -> tuple[Obstacle, str] | None:
        version = release.document.version
        if artifact is None:
            return Obstacle.NO_ARTIFACT, f"{version} has nothing for {self._state.platform}"
        needed = capabilities_for(release.document, artifact, self._rule, self._state)
        missing = sorted(needed - self._state.capabilities)
        if missing:
            listed = ", ".join(missing) + name_extras(missing)
            return Obstacle.LACKS_CAPABILITY, f"{version} needs an updater that can do: {listed}"
        python = release.document.install.python
        if python is not None and not python.are_for(here := self._state.python):
            text = f"{version} needs Python {python.requires}, and this updater runs with {here}"
            return Obstacle.LACKS_CAPABILITY, text
        needs = release.document.requires.from_version
        if needs and self._installed is not None and self._installed < self._parse(needs):
            return Obstacle.NEEDS_STEPPING_STONE, f"{version} is reached from {needs} or later only"
        return None

    def _against_rollout(self, offer: ChannelOffer) -> tuple[Obstacle | None, str]:
        version, rollout = offer.version, offer.rollout
        match rollout.state:
            case RolloutState.PAUSED:
                return Obstacle.PAUSED, f"the rollout of {version} is paused"
            case RolloutState.HALTED:
                return Obstacle.HALTED, f"the rollout of {version} is halted"
            case RolloutState.ACTIVE:
                pass
            case _:
                assert_never(rollout.state)
        return self._against_gate(offer)

    def _against_gate(self, offer: ChannelOffer) -> tuple[Obstacle | None, str]:
        version, rollout = offer.version, offer.rollout
        place = bucket(rollout.salt, self._state.client_id)
        numbers = f"bucket {place}, exposure {rollout.exposure_bp} of 10000"
        arm = self._arm(offer)
        if arm is Arm.OFFERED:
            return None, f"{version} is offered ({numbers})"
        asks = self._state.passes_gate
        if asks and self._rule.lets_people_pass and rollout.exposure_bp > 0:
            return None, f"{version} is offered to a person who asked ({numbers})"
        if asks and self._rule.lets_people_pass:
            return Obstacle.OUTSIDE_GATE, f"{version} is offered to nobody yet ({numbers})"
        waits = ", and the policy lets no person pass" if asks else ""
        text = f"{version} is not for this client yet{waits}"
        if arm is Arm.CONTROL:
            return Obstacle.CONTROL, f"{text}: control arm ({numbers})"
        return Obstacle.OUTSIDE_GATE, f"{text} ({numbers})"

    def _arm(self, offer: ChannelOffer) -> Arm:
        rollout = offer.rollout
        return choose_arm(
            rollout.salt,
            self._state.client_id,
            exposure_bp=rollout.exposure_bp,
            control_bp=rollout.control_bp,
        )
