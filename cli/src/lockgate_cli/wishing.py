"""What a server says it will do with a change once it is signed: no publisher signs that. Pure."""

from __future__ import annotations

from lockgate_cli.api import JsonDict
from lockgate_release.documents import PolicyDocument
from lockgate_release.names import format_percentage
from lockgate_release.pending_requests import PendingContent

__all__ = ["describe_wishes", "unattested_in", "warn_of_unattested"]


def describe_wishes(content: PendingContent) -> list[str]:
    """Return what the server says it will do with it: nobody signs that."""
    lines = []
    for offer in content.wishes.offers:
        reach = f"to {format_percentage(offer.exposure_bp)} of its clients"
        if offer.chosen is not None:
            name = " ".join(offer.chosen.name.split())  # one line, whatever somebody wrote
            reach = f"by the plan {name or 'that came with it'}"
        lines.append(f"> the server will offer {offer.version} in {offer.channel}, {reach}")
    for lift in content.wishes.lifts:
        where = ", ".join(lift.channels)
        lines.append(f"> the server will take back the revocation of {lift.version} in {where}")
    return lines


def unattested_in(content: PendingContent, policy: PolicyDocument) -> list[JsonDict]:
    """Return what would be offered without anybody asking who built it (`--allow-unattested`).

    Args:
        content: The change.
        policy: The one in force, which says where a proof of origin is demanded.
    """
    return [
        {
            "channel": offer.channel,
            "version": offer.version,
            "demanded": policy.channel(offer.channel).attestations is not None,
        }
        for offer in content.wishes.offers
        if offer.allow_unattested
    ]


def warn_of_unattested(found: list[JsonDict], begun_by: str) -> list[str]:
    """Return what whoever is about to sign must be told of exceptions, a line for each.

    Args:
        found: As `unattested_in` finds them, or the server tells.
        begun_by: Who asked for them.
    """
    lines = []
    for one in found:
        channel, version, asker = (
            _plain(word) for word in (one["channel"], one["version"], begun_by)
        )
        demand = (
            f"though {channel} demands a proof of that, and clients refuse it until it is there"
        )
        if not one.get("demanded"):
            demand = f"which {channel} does not demand today"
        lines.append(
            f"--allow-unattested: {asker or 'somebody'} wants {version} offered in {channel} "
            f"without anybody asking who built it, {demand}. Who signs lets that pass; the audit "
            "log says so."
        )
    return lines


def _plain(word: object) -> str:
    """Return one line, whatever somebody wrote: more would look like what is said below it."""
    return " ".join(str(word).split())
