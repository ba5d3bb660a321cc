"""What a channel offers next. Pure: a document in, the next one out, or the same one.

1. Offers stand newest first and end with the first that everybody is offered.
2. Where none is for everybody, the newest older one that once was, and still may be, is put back
   for those whom the gate leaves outside.
3. What has reached everybody is remembered, newest first, at most 50, as long as it may be offered.
4. A rollout's epoch counts up at each change of exposure, control or state.
5. An unfinished rollout that is replaced hands its salt on: clients that were in stay in.
6. A release older than the newest that everybody is offered would reach nobody: it is refused.
7. A revoked version is neither offered nor fallen back to, until its publishers lift that.
8. In a stopped channel nothing is offered that was not, and nothing widens.

What moves one rollout on is in `steering`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lockgate_release.documents import (
    ChannelDocument,
    ChannelOffer,
    Revocation,
    Rollout,
)
from lockgate_release.errors import ConflictError, UsageError
from lockgate_release.instants import format_instant
from lockgate_release.names import (
    MAX_EXPOSURE_BP,
    AppName,
    ChannelName,
    Sha256Hex,
    format_percentage,
)
from lockgate_release.rollout.progress import Progress, read_progress
from lockgate_release.trust.roles import EXPIRY, Role
from lockgate_release.versions import Version
from lockgate_server.errors import NotFoundError

__all__ = [
    "Allowed",
    "Candidate",
    "check_app_moving",
    "check_moving",
    "find_rollout",
    "full_version",
    "issue",
    "offer_release",
    "replace_rollout",
    "revoke_release",
    "start_channel",
    "without_revocation",
]

_MOST_ONCE_FULL = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A live release that may be offered in the channel at hand.

    Attributes:
        version: The release.
        path: Of its document.
        sha256: Of its document.
        lifted_at: Until when its publishers have lifted revocations here; None: they have not.
    """

    version: str
    path: str
    sha256: Sha256Hex
    lifted_at: datetime | None = None

    def offered(self, salt: str) -> ChannelOffer:
        """Return it as it is offered to everybody."""
        rollout = Rollout(salt=salt, exposure_bp=MAX_EXPOSURE_BP, control_bp=0)
        return ChannelOffer(
            version=self.version, path=self.path, sha256=self.sha256, rollout=rollout
        )

    def is_lifted(self, revocation: Revocation) -> bool:
        """Whether its publishers have lifted this very revocation, and not an earlier one."""
        return self.lifted_at is not None and revocation.at <= self.lifted_at


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
    document: ChannelDocument,
    allowed: Allowed,
    version: str,
    exposure_bp: int,
    progress: Progress | None = None,
) -> ChannelDocument:
    """Return the document with one more release offered, or the same one if it is already.

    Args:
        document: What the channel offers.
        allowed: What may be offered; `version` is among its candidates.
        version: The release.
        exposure_bp: The share of clients, 0 to 10000 basis points; a plan says it otherwise.
        progress: The plan it follows, in its first stage or before its start; None for no plan.

    Raises:
        UsageError: It is offered at another exposure or by another plan, older than what everybody
            has (rule 6), or revoked (rule 7); or the channel is stopped (rule 8).
    """
    present = document.offer_of(version)
    if present is not None:
        _check_same(present, exposure_bp, progress)
        return document
    check_moving(document)
    candidate = allowed.candidates[version]
    document = _lift(document, candidate)
    _check_newer(document, allowed, version)
    new = ChannelOffer(
        version=version,
        path=candidate.path,
        sha256=candidate.sha256,
        rollout=_first_rollout(_inherited_salt(document) or allowed.salt, exposure_bp, progress),
    )
    full = [offer for offer in document.offers if offer.rollout.is_full]
    return _settle(replace(document, offers=(new, *full)), allowed)


def _first_rollout(salt: str, exposure_bp: int, progress: Progress | None) -> Rollout:
    if progress is None:
        control_bp = MAX_EXPOSURE_BP - exposure_bp
        return Rollout(salt=salt, exposure_bp=exposure_bp, control_bp=control_bp)
    stage = progress.here
    return Rollout(
        salt=salt,
        exposure_bp=stage.exposure_bp if stage else 0,
        control_bp=stage.control_bp if stage else 0,
        progress=progress.to_json(),
    )


def _check_same(present: ChannelOffer, exposure_bp: int, progress: Progress | None) -> None:
    known = read_progress(present.rollout)
    if progress is not None and (known is None or known.plan != progress.plan):
        raise UsageError(
            "offered already, by another plan" if known else "offered already, without a plan",
            subject=present.version,
            hint="lockgate rollout plan gives it this one.",
        )
    if progress is None and present.rollout.exposure_bp != exposure_bp:
        raise UsageError(
            "offered already, at another exposure",
            subject=present.version,
            expected=format_percentage(present.rollout.exposure_bp),
            found=format_percentage(exposure_bp),
            hint="lockgate rollout set changes how far a release has got.",
        )


def check_moving(document: ChannelDocument) -> None:
    """Refuse to let anything reach further clients of a stopped channel (rule 8).

    Raises:
        UsageError: It is stopped.
    """
    if document.stop is not None:
        raise UsageError(
            "stopped",
            subject=f"channel {document.channel}",
            found=f"since {format_instant(document.stop.at)}: {document.stop.reason}",
            hint="`lockgate start` lets it go on.",
        )


def check_app_moving(documents: Iterable[ChannelDocument]) -> None:
    """Refuse a channel's first offer where the whole app is stopped (rule 8).

    Raises:
        UsageError: It is.
    """
    for document in documents:
        if document.stop is not None and document.stop.is_whole_app:
            check_moving(document)


def _lift(document: ChannelDocument, candidate: Candidate) -> ChannelDocument:
    """Take a revocation back that the publishers have lifted (rule 7)."""
    revocation = document.revocation_of(candidate.version)
    if revocation is None:
        return document
    if not candidate.is_lifted(revocation):
        raise UsageError(
            "revoked in this channel",
            subject=candidate.version,
            found=f"the reason {revocation.reason!r}",
            hint="Publish a new version; or let the publishers lift the revocation.",
        )
    return without_revocation(document, candidate.version)


def without_revocation(document: ChannelDocument, version: str) -> ChannelDocument:
    """Return the document without the revocation of a version: whoever calls has seen it lifted."""
    kept = tuple(item for item in document.revoked if item.version != version)
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


def find_rollout(document: ChannelDocument, version: str, expected_epoch: int) -> Rollout:
    """Return the rollout of a version that is offered.

    Args:
        document: What the channel offers.
        version: The release.
        expected_epoch: The epoch the caller saw; 0 accepts any.

    Raises:
        NotFoundError: The version is not offered.
        ConflictError: The rollout is at another epoch than the caller saw.
    """
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
            f"exposure {format_percentage(offer.rollout.exposure_bp)}",
            hint="Look again, then decide again.",
        )
    return offer.rollout


def replace_rollout(
    document: ChannelDocument, allowed: Allowed, version: str, rollout: Rollout
) -> ChannelDocument:
    """Return the document with the rollout of a version replaced, and its offers in order."""
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
    of the first revocation stays. One that follows a lift is later than what was lifted.
    """
    before = document.revocation_of(revocation.version)
    candidate = allowed.candidates.get(revocation.version)
    lifted_at = candidate.lifted_at if candidate else None
    if before is not None and (lifted_at is None or before.at > lifted_at):
        said = (before.reason, before.remedy)
        if said == (revocation.reason, revocation.remedy):
            return document
        revocation = replace(revocation, at=before.at, unknown=before.unknown)
    elif lifted_at is not None:
        later = max(revocation.at, lifted_at + timedelta(seconds=1))
        revocation = replace(revocation, at=later)
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
            offers = (*offers, allowed.candidates[fallback].offered(allowed.salt))
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
