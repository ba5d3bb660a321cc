"""What a channel offers next. Pure: a document in, the next one out, or the same one.

1. Offers stand newest first and end with the first that everybody is offered.
2. Where none is for everybody, the newest older one that once was, and still may be, is put back
   for those whom the gate leaves outside.
3. What has reached everybody is remembered, newest first, at most 50, as long as it may be offered.
4. A rollout's epoch counts up at each change of exposure, control or state.
5. An unfinished rollout that is replaced hands its salt on: clients that were in stay in.
6. A release older than the newest that everybody is offered would reach nobody: it is refused.
7. A revoked version is neither offered nor fallen back to, until its publishers lift that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from lockgate_release.documents import (
    ChannelDocument,
    ChannelOffer,
    Revocation,
    Rollout,
    RolloutState,
)
from lockgate_release.errors import ConflictError, UsageError
from lockgate_release.names import MAX_EXPOSURE_BP, AppName, ChannelName, Sha256Hex
from lockgate_release.trust.roles import EXPIRY, Role
from lockgate_release.versions import Version
from lockgate_server.errors import NotFoundError

__all__ = [
    "Allowed",
    "Candidate",
    "full_version",
    "issue",
    "offer_release",
    "pause_rollout",
    "resume_rollout",
    "revoke_release",
    "set_exposure",
    "start_channel",
]

_MOST_ONCE_FULL = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A live release that may be offered in the channel at hand.

    Attributes:
        version: The release.
        path: Of its document.
        sha256: Of its document.
        is_lifted: Its publishers have lifted an earlier revocation here.
    """

    version: str
    path: str
    sha256: Sha256Hex
    is_lifted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What publishers and maintainers allow in the channel at hand.

    Attributes:
        candidates: Live releases at or above the floor that may be offered, by version.
        order: Returns a version in the app's order.
        salt: A new one, for a rollout that needs one.
    """

    candidates: Mapping[str, Candidate]
    order: Callable[[str], Version]
    salt: str


def start_channel(app: AppName, channel: ChannelName, now: datetime) -> ChannelDocument:
    """Return the document of a channel that was never issued: sequence 0, nothing offered."""
    return ChannelDocument(
        app=app,
        channel=channel,
        sequence=0,
        issued_at=now,
        expires_at=now + EXPIRY[Role.CHANNELS],
    )


def issue(document: ChannelDocument, now: datetime) -> ChannelDocument:
    """Return the document as it is issued now: the next sequence, a new expiry."""
    return replace(
        document,
        sequence=document.sequence + 1,
        issued_at=now,
        expires_at=now + EXPIRY[Role.CHANNELS],
    )


def full_version(document: ChannelDocument) -> str | None:
    """Return the version that everybody is offered, if there is one."""
    return next((offer.version for offer in document.offers if offer.rollout.is_full), None)


def offer_release(
    document: ChannelDocument, allowed: Allowed, version: str, exposure_bp: int
) -> ChannelDocument:
    """Return the document with one more release offered, or the same one if it is already.

    Args:
        document: What the channel offers.
        allowed: What may be offered; `version` is among its candidates.
        version: The release.
        exposure_bp: The share of clients, 0 to 10000 basis points.

    Raises:
        UsageError: It is offered at another exposure, older than what everybody has (rule 6), or
            revoked (rule 7).
    """
    present = document.offer_of(version)
    if present is not None:
        _check_same_exposure(present, exposure_bp)
        return document
    candidate = allowed.candidates[version]
    document = _lift(document, candidate)
    _check_newer(document, allowed, version)
    new = ChannelOffer(
        version=version,
        path=candidate.path,
        sha256=candidate.sha256,
        rollout=Rollout(
            salt=_inherited_salt(document) or allowed.salt,
            exposure_bp=exposure_bp,
            control_bp=MAX_EXPOSURE_BP - exposure_bp,
        ),
    )
    full = [offer for offer in document.offers if offer.rollout.is_full]
    return _settle(replace(document, offers=(new, *full)), allowed)


def _check_same_exposure(present: ChannelOffer, exposure_bp: int) -> None:
    if present.rollout.exposure_bp != exposure_bp:
        raise UsageError(
            "offered already, at another exposure",
            subject=present.version,
            expected=f"{present.rollout.exposure_bp} basis points",
            found=str(exposure_bp),
            hint="lockgate rollout set changes how far a release has got.",
        )


def _lift(document: ChannelDocument, candidate: Candidate) -> ChannelDocument:
    """Take a revocation back that the publishers have lifted (rule 7)."""
    revocation = document.revocation_of(candidate.version)
    if revocation is None:
        return document
    if not candidate.is_lifted:
        raise UsageError(
            "revoked in this channel",
            subject=candidate.version,
            found=f"the reason {revocation.reason!r}",
            hint="Publish a new version; or let the publishers lift the revocation.",
        )
    kept = tuple(item for item in document.revoked if item.version != candidate.version)
    return replace(document, revoked=kept)


def _check_newer(document: ChannelDocument, allowed: Allowed, version: str) -> None:
    full = full_version(document)
    if full is not None and allowed.order(version) < allowed.order(full):
        raise UsageError(
            "older than what everybody is offered: it would reach nobody",
            subject=version,
            expected=f"a version above {full}",
            found=version,
            hint=f"Revoke {full} to go back, or publish the old content as a new version.",
        )


def _inherited_salt(document: ChannelDocument) -> str | None:
    return next(
        (offer.rollout.salt for offer in document.offers if not offer.rollout.is_full), None
    )


def set_exposure(
    document: ChannelDocument,
    allowed: Allowed,
    version: str,
    exposure_bp: int,
    *,
    expected_epoch: int = 0,
) -> ChannelDocument:
    """Return the document with a rollout at another exposure, or the same one if it is there.

    Raises:
        NotFoundError: The version is not offered.
        ConflictError: The rollout is at another epoch than the caller saw.
    """
    rollout = _find_rollout(document, version, expected_epoch)
    if rollout.exposure_bp == exposure_bp:
        return document
    changed = replace(
        rollout,
        exposure_bp=exposure_bp,
        control_bp=MAX_EXPOSURE_BP - exposure_bp,
        epoch=rollout.epoch + 1,
    )
    return _replace_rollout(document, allowed, version, changed)


def pause_rollout(
    document: ChannelDocument, allowed: Allowed, version: str, *, expected_epoch: int = 0
) -> ChannelDocument:
    """Return the document with a rollout paused, or the same one if it stands still already.

    Raises:
        NotFoundError: The version is not offered.
        ConflictError: The rollout is at another epoch than the caller saw.
    """
    rollout = _find_rollout(document, version, expected_epoch)
    if rollout.state is not RolloutState.ACTIVE:
        return document
    return _replace_rollout(document, allowed, version, _in_state(rollout, RolloutState.PAUSED))


def resume_rollout(
    document: ChannelDocument, allowed: Allowed, version: str, *, expected_epoch: int = 0
) -> ChannelDocument:
    """Return the document with a paused or halted rollout going on, or the same one if it does.

    Raises:
        NotFoundError: The version is not offered.
        ConflictError: The rollout is at another epoch than the caller saw.
    """
    rollout = _find_rollout(document, version, expected_epoch)
    if rollout.state is RolloutState.ACTIVE:
        return document
    return _replace_rollout(document, allowed, version, _in_state(rollout, RolloutState.ACTIVE))


def _in_state(rollout: Rollout, state: RolloutState) -> Rollout:
    return replace(rollout, state=state, epoch=rollout.epoch + 1)


def _find_rollout(document: ChannelDocument, version: str, expected_epoch: int) -> Rollout:
    offer = document.offer_of(version)
    if offer is None:
        offered = ", ".join(item.version for item in document.offers) or "nothing"
        raise NotFoundError(
            "not offered in this channel",
            subject=f"{document.channel}: {version}",
            expected=f"one of what is: {offered}",
        )
    if expected_epoch not in {0, offer.rollout.epoch}:
        raise ConflictError(
            "the rollout has changed since you looked",
            subject=f"{document.channel}: {version}",
            expected=f"epoch {expected_epoch}",
            found=f"epoch {offer.rollout.epoch}, {offer.rollout.state}, "
            f"exposure {offer.rollout.exposure_bp} basis points",
            hint="Look again, then decide again.",
        )
    return offer.rollout


def _replace_rollout(
    document: ChannelDocument, allowed: Allowed, version: str, rollout: Rollout
) -> ChannelDocument:
    offers = tuple(
        offer.with_rollout(rollout) if offer.version == version else offer
        for offer in document.offers
    )
    return _settle(replace(document, offers=offers), allowed)


def revoke_release(
    document: ChannelDocument,
    allowed: Allowed,
    revocation: Revocation,
) -> ChannelDocument:
    """Return the document with a release revoked, or the same one if it is, for the same reason.

    Revoking again for another reason, or with another remedy, replaces what was said; the moment
    of the first revocation stays.
    """
    before = document.revocation_of(revocation.version)
    if before is not None:
        said = (before.reason, before.remedy)
        if said == (revocation.reason, revocation.remedy):
            return document
        revocation = replace(revocation, at=before.at, unknown=before.unknown)
    others = tuple(item for item in document.revoked if item.version != revocation.version)
    offers = tuple(item for item in document.offers if item.version != revocation.version)
    return _settle(replace(document, offers=offers, revoked=(*others, revocation)), allowed)


def _settle(document: ChannelDocument, allowed: Allowed) -> ChannelDocument:
    """Put the offers and the memory of what was full in order (rules 1 to 3)."""
    offers = _cut_after_full(document.offers)
    full = next((offer for offer in offers if offer.rollout.is_full), None)
    once_full = _remember(document, allowed, full)
    if full is None:
        fallback = _choose_fallback(offers, once_full, allowed)
        if fallback is not None:
            offers = (*offers, _fall_back(allowed.candidates[fallback], allowed.salt))
    return replace(document, offers=offers, once_full=once_full)


def _cut_after_full(offers: tuple[ChannelOffer, ...]) -> tuple[ChannelOffer, ...]:
    for index, offer in enumerate(offers):
        if offer.rollout.is_full:
            return offers[: index + 1]
    return offers


def _remember(
    document: ChannelDocument, allowed: Allowed, full: ChannelOffer | None
) -> tuple[str, ...]:
    versions = list(document.once_full)
    if full is not None and full.version not in versions:
        versions.insert(0, full.version)
    kept = [
        version
        for version in versions
        if version in allowed.candidates and document.revocation_of(version) is None
    ]
    return tuple(kept[:_MOST_ONCE_FULL])


def _choose_fallback(
    offers: tuple[ChannelOffer, ...], once_full: tuple[str, ...], allowed: Allowed
) -> str | None:
    """Return the newest that was once for everybody and is older than all that is offered."""
    oldest = min((allowed.order(offer.version) for offer in offers), default=None)
    for version in once_full:
        if oldest is None or allowed.order(version) < oldest:
            return version
    return None


def _fall_back(candidate: Candidate, salt: str) -> ChannelOffer:
    return ChannelOffer(
        version=candidate.version,
        path=candidate.path,
        sha256=candidate.sha256,
        rollout=Rollout(salt=salt, exposure_bp=MAX_EXPOSURE_BP, control_bp=0),
    )
