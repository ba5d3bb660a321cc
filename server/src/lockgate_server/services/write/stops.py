"""Stopping a whole channel, and starting it again. Pure, like `channels`.

A stop pauses what is unfinished and remembers which; a start lets just those go on, once as many
people as it needs have asked for it. In between nothing new is offered and nothing widens. What
follows a plan that cannot be read is stopped like everything, and stays paused after a start.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lockgate_release.documents import ChannelDocument, Rollout, RolloutState, Stop
from lockgate_release.errors import DocumentError
from lockgate_server.services.write.channels import Allowed, replace_rollout
from lockgate_server.services.write.steering import go_on, pause_rollout

__all__ = ["start_again", "stop_channel"]


def stop_channel(
    document: ChannelDocument,
    allowed: Allowed,
    *,
    reason: str,
    now: datetime,
    is_whole_app: bool = False,
) -> ChannelDocument:
    """Return the document with the channel stopped, or the same one if it is.

    Whoever stops once more takes back what others have said for a start meanwhile. What everybody
    is offered stays offered: to take it back, halt or revoke it.

    Args:
        document: What the channel offers.
        allowed: What may be offered.
        reason: Why, for people.
        now: The present, aware.
        is_whole_app: Whether every channel of the app is stopped, those to come included.
    """
    if document.stop is not None:
        reach = document.stop.is_whole_app or is_whole_app
        stop = replace(document.stop, is_whole_app=reach, approvals=())
        return document if stop == document.stop else replace(document, stop=stop)
    paused: dict[str, int] = {}
    for offer in document.offers:
        if offer.rollout.state is RolloutState.ACTIVE and not offer.rollout.is_full:
            document = pause_rollout(document, allowed, offer.version)
            paused[offer.version] = offer.rollout.epoch + 1
    stop = Stop(at=now, reason=reason, is_whole_app=is_whole_app, paused=paused)
    return replace(document, stop=stop)


def start_again(
    document: ChannelDocument, allowed: Allowed, *, who: str, needed: int, now: datetime
) -> ChannelDocument:
    """Return the document with one more person's yes to going on; with enough of them, going on.

    Args:
        document: What the channel offers.
        allowed: What may be offered.
        who: Tells one person from another, and says nothing else: it stands in the open.
        needed: How many people it takes, > 0.
        now: The present, aware.
    """
    stop = document.stop
    if stop is None:
        return document
    approvals = stop.approvals if who in stop.approvals else (*stop.approvals, who)
    if len(approvals) < needed:
        if approvals == stop.approvals:
            return document
        return replace(document, stop=replace(stop, approvals=approvals))
    document = replace(document, stop=None)
    for version, epoch in stop.paused.items():
        offer = document.offer_of(version)
        if offer is not None and (offer.rollout.epoch, offer.rollout.state) == (
            epoch,
            RolloutState.PAUSED,
        ):
            document = _let_go_on(document, allowed, version, offer.rollout, now)
    return document


def _let_go_on(
    document: ChannelDocument, allowed: Allowed, version: str, rollout: Rollout, now: datetime
) -> ChannelDocument:
    try:
        return replace_rollout(document, allowed, version, go_on(rollout, now))
    except DocumentError:
        # A plan that this server cannot read keeps no other rollout, and no channel, from going on.
        # It stays paused, an alarm names it, and a person gives it another plan or an exposure.
        return document
