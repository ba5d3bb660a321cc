"""A client that decides between a few releases."""

from collections.abc import Sequence
from typing import Any

from lockgate_release.decision import ClientState, Decision, Held, Obstacle, Offer, decide
from lockgate_release.documents import ChannelOffer, PolicyDocument, TrustedRelease
from tests.unit.release.builders import APP, NOW, channel, client, offer_of, trusted

POLICY = PolicyDocument(app=APP)
OLD, MIDDLE, NEW = trusted("1.0.0"), trusted("1.1.0"), trusted("2.0.0")


def decide_between(
    offers: Sequence[TrustedRelease | ChannelOffer] = (),
    state: ClientState | None = None,
    *,
    live: Sequence[TrustedRelease] = (),
    policy: PolicyDocument = POLICY,
    **changes: Any,
) -> Decision:
    known = [*live, *(found for found in offers if isinstance(found, TrustedRelease))]
    document = channel(
        [found if isinstance(found, ChannelOffer) else offer_of(found) for found in offers],
        **changes,
    )
    releases = {found.path: found for found in known}
    return decide(document, releases, policy, state or client("1.0.0"), NOW)


def offered(decision: Decision) -> str:
    assert isinstance(decision, Offer), decision
    return decision.version


def held(decision: Decision) -> Obstacle:
    assert isinstance(decision, Held), decision
    return decision.obstacle
