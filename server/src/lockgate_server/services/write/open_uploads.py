"""How many uploads are open, remembered for a moment: listing them all costs a request each time.

The memory only ever allows. Where it is old, or there are many, the store is asked again; so what
others begin meanwhile can be missed for a few seconds, and never up to the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from lockgate_release.names import AppName

__all__ = ["OpenUploads"]

_GOOD_FOR = timedelta(seconds=10)


@dataclass(slots=True)
class _Count:
    counted_at: datetime
    open: int


class OpenUploads:
    """What one process knows of each app; shared by its threads."""

    def __init__(self) -> None:
        """Nothing was counted yet."""
        self._lock = Lock()
        self._counts: dict[AppName, _Count] = {}

    def note(self, app: AppName, count: int, now: datetime) -> None:
        """Remember that so many uploads of an app are open."""
        with self._lock:
            self._counts[app] = _Count(now, count)

    def take_one(self, app: AppName, limit: int, now: datetime) -> bool:
        """Count one more, and return whether there are fewer than half of `limit` for sure.

        False where nobody can tell without counting again; nothing is taken then.
        """
        with self._lock:
            known = self._counts.get(app)
            # A clock that was set back makes no count younger.
            if known is None or not timedelta(0) <= now - known.counted_at < _GOOD_FOR:
                return False
            if known.open >= limit // 2:
                return False
            known.open += 1
            return True
