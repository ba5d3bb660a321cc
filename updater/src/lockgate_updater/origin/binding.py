"""Whether a tree has to come out of the very artifact whose origin was proven.

Builders attest an artifact's bytes. Which tree they unpack to, and which deltas lead there, is the
publishers' word alone: whoever has their keys can name a tree of their own beside an artifact that
was built as demanded. So where a channel demands a proof of origin, only unpacking counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lockgate_updater.session import Session

__all__ = ["counts_artifact_alone"]


def counts_artifact_alone(session: Session) -> bool:
    """Return whether a tree counts only where it was unpacked from the artifact that is offered.

    Raises:
        RepositoryError: The policy that was seen last cannot be read any more.
    """
    if session.client.allow_unattested:
        return False
    return (
        session.view is None
        or session.view.policy().channel(session.client.configuration.channel).attestations
        is not None
    )
