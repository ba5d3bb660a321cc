"""Which change a person means, among those that the server says are waiting."""

from __future__ import annotations

from lockgate_cli.answers import text_of, texts_of
from lockgate_cli.api import JsonDict
from lockgate_cli.pending_api import PendingApi
from lockgate_cli.pending_words import RENEWAL
from lockgate_release.errors import UsageError
from lockgate_release.names import AppName

__all__ = ["find_waiting"]

_SHORTEST = 8


def find_waiting(
    pending: PendingApi, app: AppName, name: str, change: str | None
) -> JsonDict | None:
    """Return the change that is about this version, or has this id; None where none waits.

    Args:
        pending: The server.
        app: The app.
        name: A version that the change is about, or `renewal`.
        change: The id, or how it begins; None: whichever has the name.

    Raises:
        UsageError: The id is too short, or several changes have the name.
        LockgateError: The server refused, or could not be reached.
    """
    if change is not None and len(change) < _SHORTEST:
        raise UsageError(
            "too short to tell one change from another",
            subject="--change",
            expected=f"at least {_SHORTEST} digits",
            found=repr(change),
        )
    found = [item for item in pending.waiting(app) if _is_called(item, name)]
    if change is not None:
        wanted = [item for item in found if text_of(item, "change").startswith(change.lower())]
        if found and not wanted:
            shown = ", ".join(text_of(item, "change") for item in found)
            raise UsageError(
                "another change waits under that name",
                subject=f"{app} {name}",
                expected=f"change {change}",
                found=shown,
                hint="It was made anew, or the server shows you another one than the others see.",
            )
        found = wanted
    if len(found) > 1:
        raise UsageError(
            "several changes have this name",
            subject=f"{app} {name}",
            found=", ".join(text_of(item, "change")[:12] for item in found),
            hint="Say which with --change.",
        )
    return found[0] if found else None


def _is_called(item: JsonDict, name: str) -> bool:
    versions = texts_of(item, "versions")
    return name in versions or (name == RENEWAL and not versions)
