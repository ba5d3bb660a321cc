"""How one rollout stands, for people: what it has reached, and what its evidence says now."""

from __future__ import annotations

from lockgate_release.names import AppName, ChannelName
from lockgate_release.rollout.progress import read_progress
from lockgate_release.strict_json import Json, JsonObject
from lockgate_server.errors import NotFoundError
from lockgate_server.services.steer.describing import describe_progress, describe_verdict
from lockgate_server.services.steer.steer import judge_offer
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.status import read_current

__all__ = ["describe_rollout"]


def describe_rollout(
    deps: WriteDeps, app: AppName, channel: ChannelName, version: str
) -> JsonObject:
    """Return how a rollout stands, judged now; nothing is done about it.

    Raises:
        NotFoundError: There is no such app, channel or offer.
        RepositoryError: The store holds no state that may be built upon.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the counts cannot be read.
    """
    base = read_current(deps, app)
    document = base.channels.get(channel)
    offer = document.offer_of(version) if document is not None else None
    if document is None or offer is None:
        raise NotFoundError("not offered in this channel", subject=f"{app}: {channel}: {version}")
    said: dict[str, Json] = {
        "app": app,
        "channel": channel,
        "version": version,
        "rollout": offer.rollout.to_json(),
        "stop": None if document.stop is None else document.stop.to_json(),
        "steering": None,
        "verdict": None,
    }
    progress = read_progress(offer.rollout)
    if progress is not None:
        said["steering"] = describe_progress(progress, deps.now())
        if progress.here is not None:
            verdict = judge_offer(deps, base, channel, offer, progress)
            said["verdict"] = describe_verdict(verdict, progress.plan)
    return said
