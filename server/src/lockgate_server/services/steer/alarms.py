"""What a person should look at: rollouts that evidence has stopped, and those that got stuck."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from lockgate_release.documents import ChannelDocument, Rollout, RolloutState
from lockgate_release.durations import format_duration
from lockgate_release.errors import DocumentError
from lockgate_release.instants import format_instant
from lockgate_release.names import ChannelName
from lockgate_release.rollout.progress import Progress, read_progress

__all__ = ["find_alarms", "is_parked"]

_HOUR_S = 3600


def find_alarms(channels: Mapping[ChannelName, ChannelDocument], now: datetime) -> tuple[str, ...]:
    """Return a sentence for each stopped channel and each rollout that needs a person."""
    return tuple(text for name in sorted(channels) for text in _find_in(channels[name], now))


def _find_in(document: ChannelDocument, now: datetime) -> Iterator[str]:
    channel = document.channel
    if document.stop is not None:
        yield (
            f"channel {channel} is stopped since {format_instant(document.stop.at)}: "
            f"{document.stop.reason}"
        )
    for offer in document.offers:
        try:
            progress = read_progress(offer.rollout)
        except DocumentError as exc:
            yield f"{offer.version} in {channel} follows a plan that cannot be read: {exc}"
            continue
        if progress is not None:
            said = _look_at(offer.rollout, progress, now)
            if said:
                yield f"{offer.version} in {channel} {said}: lockgate rollout show"


def _look_at(rollout: Rollout, progress: Progress, now: datetime) -> str:
    if rollout.state is not RolloutState.ACTIVE and progress.reason:
        return f"was {rollout.state} by its plan ({progress.reason})"
    if is_parked(rollout, progress, now):
        stood_s = int((now - progress.stage_since).total_seconds()) // _HOUR_S * _HOUR_S
        return f"has stood in stage {len(progress.stage_epochs)} for {format_duration(stood_s)}"
    return ""


def is_parked(rollout: Rollout, progress: Progress, now: datetime) -> bool:
    """Whether an unfinished rollout has stood in a stage for longer than its plan bears silently.

    Whoever has paused it knows that it stands.
    """
    stood_s = (now - progress.stage_since).total_seconds()
    return (
        rollout.state is RolloutState.ACTIVE
        and progress.here is not None
        and progress.next_stage is not None
        and stood_s > progress.plan.parked_s
    )
