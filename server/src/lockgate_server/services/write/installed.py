"""Which versions clients use, by what they reported. Reads; writes nothing."""

from __future__ import annotations

from datetime import timedelta

from lockgate_release.instants import format_instant
from lockgate_release.names import AppName
from lockgate_release.strict_json import Json, JsonObject
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.status import read_current

__all__ = ["DAYS", "describe_installed"]

DAYS = 7
"""A machine that is off over a weekend is still one that will update."""


def describe_installed(deps: WriteDeps, app: AppName) -> JsonObject:
    """Return the counts of the last days on which anything was heard, newest first.

    Raises:
        NotFoundError: There is no such app.
        RepositoryError: The store holds no state that can be verified.
        TransportError: The store cannot be reached.
        LocalError: The ledger cannot be read.
    """
    read_current(deps, app)
    now = deps.now()
    days: list[Json] = []
    for back in range(DAYS):
        day = now.date() - timedelta(days=back)
        counts: list[Json] = [
            {
                "channel": one.channel,
                "version": one.version,
                "platform": one.platform,
                "clients": one.clients,
            }
            for one in deps.reports.active(app, day)
        ]
        if counts:
            days.append({"day": day.isoformat(), "counts": counts})
    return {"app": app, "at": format_instant(now), "days": days}
