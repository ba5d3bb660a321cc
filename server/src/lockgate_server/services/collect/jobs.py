"""Collection without anybody asking: what broke off is finished, and once a day, if so set."""

from __future__ import annotations

from datetime import timedelta

from lockgate_release.errors import RepositoryError
from lockgate_release.names import AppName
from lockgate_server.services.collect.collecting import DEFAULT_GRACE, Collected, collect
from lockgate_server.services.write.condemned import read_condemned
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.recovery import PATIENCE

__all__ = ["collect_daily", "finish_collection"]

_DAY = timedelta(days=1)
_ID_BYTES = 8


def finish_collection(deps: WriteDeps, app: AppName, caller: Caller) -> Collected | None:
    """Collect where a collection broke off: what stands on its list cannot be published until then.

    Raises:
        LockgateError: As `collect` does.
    """
    try:
        found = read_condemned(deps.store, app)
    except RepositoryError:
        return collect(deps, app, caller, grace=DEFAULT_GRACE)
    # A time that is yet to come was written by nobody honest.
    if found is None or abs(deps.now() - found[0].since) <= PATIENCE:
        return None
    return collect(deps, app, caller, grace=DEFAULT_GRACE)


def collect_daily(
    deps: WriteDeps, app: AppName, caller: Caller, grace: timedelta
) -> Collected | None:
    """Collect, unless that was done less than a day ago.

    Raises:
        LockgateError: As `collect` does.
    """
    now = deps.now()
    # The lease is never given back: that it runs out is what makes the next one due.
    holder = deps.random_hex(_ID_BYTES)
    if deps.ledger.take_lease(f"gc/{app}", holder, now=now, until=now + _DAY) is None:
        return None
    return collect(deps, app, caller, grace=grace)
