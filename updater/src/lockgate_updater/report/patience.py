"""For how long a release may fail to be installed before that is told. Pure.

Networks have bad hours, so it is not told at once. But who has not spoken when the plan's window
closes counts as silent, and silence is a bad outcome of the *program*: so it is told while the
window is open, two looks before its end where the window is short. Window and interval stand in the
channel's signed document.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from lockgate_release.documents import ChannelOffer
from lockgate_release.durations import parse_duration
from lockgate_release.errors import UsageError

__all__ = ["PATIENCE", "patience_with"]

PATIENCE: Final = timedelta(hours=6)
"""How long it is at most."""
_LOOKS: Final = 2
_NONE: Final = timedelta(0)


def patience_with(offer: ChannelOffer, interval_s: int) -> timedelta:
    """Return for how long a release may fail to be installed, from the hour of its enrolment.

    Args:
        offer: The release as the channel offers it.
        interval_s: How often this client looks, in seconds.
    """
    window = _window_of(offer)
    if window is None:
        return PATIENCE
    return max(_NONE, min(PATIENCE, window - _LOOKS * timedelta(seconds=interval_s)))


def _window_of(offer: ChannelOffer) -> timedelta | None:
    """Return the window of the plan, or None where there is none that can be read."""
    plan = (offer.rollout.progress or {}).get("plan")
    said = plan.get("window") if isinstance(plan, Mapping) else None
    if not isinstance(said, str):
        return None
    try:
        return timedelta(seconds=parse_duration(said))
    except UsageError:
        return None
