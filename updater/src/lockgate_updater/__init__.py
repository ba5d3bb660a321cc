"""The client: checks, downloads, verifies, installs, and goes back.

    from lockgate_updater import Updater

    updater = Updater.open(home)
    print(updater.check())
    updater.update(progress=print)
    updater.confirm()

The names below are imported when they are first used, so that a program which only wants to know
its version does not pay for cryptography.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lockgate_release.decision import Held, Leave, Offer, UpToDate
    from lockgate_updater.events import Event, Progress, Step
    from lockgate_updater.outcomes import Outcome, Status, UpdateResult
    from lockgate_updater.results import CheckResult, Unknown
    from lockgate_updater.state.creation import init
    from lockgate_updater.updater import Updater

__version__ = "0.1.0"

__all__ = [
    "CheckResult",
    "Event",
    "Held",
    "Leave",
    "Offer",
    "Outcome",
    "Progress",
    "Status",
    "Step",
    "Unknown",
    "UpToDate",
    "UpdateResult",
    "Updater",
    "init",
]

_HOMES = {
    "CheckResult": "lockgate_updater.results",
    "Event": "lockgate_updater.events",
    "Held": "lockgate_release.decision",
    "Leave": "lockgate_release.decision",
    "Offer": "lockgate_release.decision",
    "Outcome": "lockgate_updater.outcomes",
    "Progress": "lockgate_updater.events",
    "Status": "lockgate_updater.outcomes",
    "Step": "lockgate_updater.events",
    "Unknown": "lockgate_updater.results",
    "UpToDate": "lockgate_release.decision",
    "UpdateResult": "lockgate_updater.outcomes",
    "Updater": "lockgate_updater.updater",
    "init": "lockgate_updater.state.creation",
}


def __getattr__(name: str) -> object:
    """Import a public name at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
