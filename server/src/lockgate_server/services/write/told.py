"""What the log says of a change: in force, given up, or not known yet. The audit log has the rest.

A client's report carries channel, version and epoch, and nothing of a run: these three stand in the
line of the change that made the epoch, beside the operation it belongs to.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from lockgate_release.errors import LockgateError
from lockgate_release.log.server_events import CHANGE_ABANDONED, CHANGE_IN_FORCE, CHANGE_UNCLEAR
from lockgate_release.log.telling import tell
from lockgate_release.names import AppName
from lockgate_release.strict_json import JsonObject

__all__ = ["ChangeTold"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTold:
    """One change, as lines name it.

    Attributes:
        entry: The number of its entry in the audit log.
        app: The app.
        action: What is done.
        actor: Who wants it.
    """

    entry: int
    app: AppName
    action: str
    actor: str

    def in_force(self, timestamp_version: int, details: JsonObject) -> None:
        """Tell that it is in force."""
        tell(
            _log,
            CHANGE_IN_FORCE,
            app=self.app,
            action=self.action,
            actor=self.actor,
            entry=self.entry,
            timestamp_version=timestamp_version,
            channel=_text(details, "channel"),
            version=_text(details, "version"),
            epoch=_number(details, "epoch"),
        )

    def abandoned(self, error: LockgateError) -> None:
        """Tell that nothing of it came into force."""
        tell(
            _log,
            CHANGE_ABANDONED,
            app=self.app,
            action=self.action,
            actor=self.actor,
            entry=self.entry,
            code=error.code,
            reason=str(error),
        )

    def unclear(self, error: LockgateError) -> None:
        """Tell that nobody knows yet whether it is in force."""
        tell(
            _log,
            CHANGE_UNCLEAR,
            app=self.app,
            action=self.action,
            actor=self.actor,
            entry=self.entry,
            code=error.code,
            reason=str(error),
        )


def _text(details: JsonObject, name: str) -> str:
    found = details.get(name)
    return found if isinstance(found, str) else ""


def _number(details: JsonObject, name: str) -> int | None:
    found = details.get(name)
    return found if isinstance(found, int) else None
