"""Whether a tree has to come out of the very artifact whose origin was proven.

Builders attest an artifact's bytes. Which tree they unpack to, and which deltas lead there, is the
publishers' word alone, unless those who count have signed the claim of the tree as well: whoever
has the publishers' keys could name a tree of their own beside an artifact that was built as
demanded. So where a channel demands a proof of origin, only unpacking counts, or a tree that is
proven by the same rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lockgate_release.decision import Offer
    from lockgate_updater.session import Session

__all__ = ["why_only_unpacked"]


def why_only_unpacked(session: Session, offer: Offer) -> str:
    """Return why the offered tree counts only where it was unpacked from the artifact, in words.

    "" where it counts however it came about: nobody demands a proof, or the tree itself is proven.
    What is missing for that may be fetched; a proof is remembered.

    Raises:
        RepositoryError: The policy that was seen last cannot be read any more.
        LocalError: A proof cannot be remembered.
    """
    if session.client.allow_unattested:
        return ""
    if session.view is None:
        return "what the channel demands is not known now"
    rule = session.view.policy().channel(session.client.configuration.channel).attestations
    if rule is None:
        return ""
    from lockgate_updater.origin.proving import why_tree_is_not_proven  # noqa: PLC0415 (on demand)

    why = why_tree_is_not_proven(session, session.view, offer, rule)
    return why and f"who vouches for the tree of {offer.version} is not proven: {why}"
