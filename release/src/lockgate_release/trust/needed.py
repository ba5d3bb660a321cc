"""How many publishers must sign a next list, so that no channel's bar is missed by it. Pure.

A list is signed as a whole: beside what its role demands, it needs what is demanded by each channel
that offers something from it, or is to. Which keys count is judged once the signatures are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lockgate_release.documents import ChannelDocument, PolicyDocument
from lockgate_release.names import ChannelName

__all__ = ["signatures_needed"]


def signatures_needed(
    threshold: int,
    policy: PolicyDocument,
    role: str,
    channels: Mapping[ChannelName, ChannelDocument],
    wished: Iterable[ChannelName],
) -> int:
    """Return how many signatures the next list of a role takes.

    Args:
        threshold: How many its role demands.
        policy: The maintainers' rules.
        role: The role of releases.
        channels: What each channel offers.
        wished: Channels that are to offer something from it.
    """
    offering = {
        name
        for name, document in channels.items()
        if any(offer.path.startswith(f"{role}/") for offer in document.offers)
    }
    rules = [policy.channel(name).signatures for name in {*offering, *wished}]
    return max(threshold, *(rule.threshold for rule in rules if rule is not None), 0)
