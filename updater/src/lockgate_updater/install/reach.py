"""The demand of `install.health.reaches_server`: with the new release, updates still come.

| what stands fast before                        | the server is reached | it is not               |
|------------------------------------------------|-----------------------|-------------------------|
| this session had reached it before the switch  | commit                | back, with a quarantine |
| an earlier process switched, and was ended     | commit                | back, no quarantine     |
| the program confirms by itself                 | commit                | stays on trial, refused |

Before the switch the server must have been reached, or the release stays staged. After a crash
nobody knows whether the release or the network has failed: it is neither trusted nor blamed.
"""

from __future__ import annotations

from lockgate_release.errors import TransportError
from lockgate_release.reports import Failure
from lockgate_updater.run.trial import Health
from lockgate_updater.session import Session
from lockgate_updater.state.receipts import Receipt

__all__ = ["demand_reach", "examine_reach"]


def examine_reach(session: Session, receipt: Receipt, health: Health) -> Health:
    """Return how a release on trial has done, once the server was looked for if it asks for that.

    Args:
        session: The session, whose lock is held.
        receipt: The release.
        health: How it has done so far.

    Raises:
        LocalError: This machine is in the way.
    """
    if not health.passed or not receipt.install.health.reaches_server:
        return health
    had_reached = session.has_reached
    try:
        session.reach_server()
    except TransportError as exc:
        reason = f"with it the update server cannot be reached: {exc}"
        failure = Failure.HEALTH
        return Health(passed=False, reason=reason, blames_release=had_reached, failure=failure)
    return Health(passed=True, reason=f"{health.reason}, and the update server can be reached")


def demand_reach(session: Session, receipt: Receipt | None) -> None:
    """Return if a release on trial may be confirmed.

    Raises:
        TransportError: It asks for the server, which cannot be reached; it stays on trial.
        LocalError: This machine is in the way.
    """
    if receipt is not None and receipt.install.health.reaches_server:
        session.reach_server()
