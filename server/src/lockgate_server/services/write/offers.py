"""What may be offered in a channel. Pure.

A release may be, when all of these hold:

1. It is live.
2. Its publishers' mark names the channel.
3. The policy allows its path there.
4. It is not below the channel's floor.
5. It is revoked in no channel, or the channel at hand offers it already: what was bad in one place
   goes to no further one, not even to one that is new.
"""

from __future__ import annotations

from collections.abc import Iterable

from lockgate_release.documents import ChannelDocument, PolicyDocument
from lockgate_release.errors import UsageError
from lockgate_release.names import ChannelName, Sha256Hex
from lockgate_server.services.write.channels import Allowed, Candidate
from lockgate_server.services.write.publishing import ReleaseList

__all__ = ["allowed_in", "check_not_revoked", "check_offer"]


def allowed_in(
    channel: ChannelName, live: ReleaseList, policy: PolicyDocument, salt: str
) -> Allowed:
    """Return what may be offered in a channel."""
    floor_text = live.floor_of(channel)
    floor = policy.versions.parse(floor_text) if floor_text else None
    candidates = {}
    for path, entry in live.entries.items():
        is_high_enough = floor is None or policy.versions.parse(entry.version) >= floor
        if (
            channel in entry.channels
            and policy.channel(channel).allows_path(path)
            and is_high_enough
        ):
            candidates[entry.version] = Candidate(
                version=entry.version,
                path=path,
                sha256=Sha256Hex(live.signed.targets[path].hashes["sha256"]),
                lifted_at=entry.lifted.get(channel),
            )
    return Allowed(candidates=candidates, order=policy.versions.parse, salt=salt)


def check_offer(
    channel: ChannelName, version: str, live: ReleaseList, policy: PolicyDocument
) -> None:
    """Refuse an offer of what is not allowed in the channel, and say why.

    Raises:
        UsageError: It is not allowed.
        VersionError: It is not a version of the app's order.
    """
    parsed = policy.versions.parse(version)
    subject = f"{channel}: {version}"
    found = live.find(version)
    if found is None:
        raise UsageError("no live release", subject=subject, hint="Publish it first.")
    path, entry = found
    if channel not in entry.channels:
        raise UsageError(
            "its publishers do not allow it in this channel",
            subject=subject,
            expected=f"{channel} among its channels",
            found=", ".join(entry.channels) or "no channel",
        )
    if not policy.channel(channel).allows_path(path):
        raise UsageError(
            "the policy does not allow its path in this channel",
            subject=subject,
            expected=", ".join(policy.channel(channel).paths),
            found=path,
        )
    floor = live.floor_of(channel)
    if floor and parsed < policy.versions.parse(floor):
        raise UsageError("below the channel's floor", subject=subject, expected=f"at least {floor}")


def check_not_revoked(
    channel: ChannelName, version: str, live: ReleaseList, documents: Iterable[ChannelDocument]
) -> None:
    """Refuse to offer in a further channel what is revoked in any (rule 5).

    Raises:
        UsageError: It is revoked somewhere, and its publishers have not lifted that.
    """
    known = tuple(documents)
    if any(item.channel == channel and item.offer_of(version) for item in known):
        return
    found = live.find(version)
    for document in known:
        revocation = document.revocation_of(version)
        if revocation is None or document.channel == channel:
            continue
        if found is None or not found[1].lifts(document.channel, revocation.at):
            raise UsageError(
                "revoked in another channel: it goes to no further one",
                subject=f"{channel}: {version}",
                found=f"revoked in {document.channel}, for the reason {revocation.reason!r}",
                hint="Publish a new version; or let the publishers lift the revocation.",
            )
