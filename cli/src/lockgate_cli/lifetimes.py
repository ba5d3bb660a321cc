"""Preview channels: `--expires`, and the offers that carry it to the server."""

from __future__ import annotations

from dataclasses import replace

from lockgate_cli.fields import parse_field
from lockgate_cli.repository import Base
from lockgate_release.durations import format_duration, parse_duration
from lockgate_release.errors import UsageError
from lockgate_release.names import ChannelName
from lockgate_release.requests import MAX_LIFETIME_S, MIN_LIFETIME_S, OfferRequest

__all__ = ["add_lifetime", "parse_lifetime"]


def parse_lifetime(text: str | None) -> int:
    """Return what `--expires` says in seconds, or 0 where it says nothing.

    Raises:
        UsageError: It is no span of time, or too short or too long a one.
    """
    if text is None:
        return 0
    seconds = parse_field("--expires", parse_duration, text)
    if not MIN_LIFETIME_S <= seconds <= MAX_LIFETIME_S:
        raise UsageError(
            "not a lifetime",
            subject="--expires",
            expected=f"{format_duration(MIN_LIFETIME_S)} to {format_duration(MAX_LIFETIME_S)}",
            found=text[:20],
        )
    return seconds


def add_lifetime(
    base: Base,
    version: str,
    channels: tuple[ChannelName, ...],
    offers: tuple[OfferRequest, ...],
    lifetime_s: int,
) -> tuple[OfferRequest, ...]:
    """Return the offers with the end of their channels in them; one more where that alone is new.

    Args:
        base: The state in force.
        version: The release.
        channels: Where it is to be offered.
        offers: Those that are still to be made.
        lifetime_s: When the channels end, in seconds from now; 0 says nothing of that.

    Raises:
        UsageError: A channel is there already, and lasts.
    """
    if not lifetime_s:
        return offers
    found = {offer.channel: offer for offer in offers}
    for name in channels:
        document = base.channels.get(name)
        if document is not None and document.retire_at is None:
            raise UsageError(
                "it lasts: a lifetime is given to a channel that is new",
                subject=f"--expires, channel {name}",
                hint="Leave --expires out, or name a channel of its own for the preview.",
            )
        known = document.offer_of(version) if document else None
        if name not in found and known is not None:
            share = known.rollout.exposure_bp
            found[name] = OfferRequest(channel=name, version=version, exposure_bp=share)
    return tuple(replace(offer, lifetime_s=lifetime_s) for offer in found.values())
