"""What a program that is started from a tree finds in its environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lockgate_release.errors import LocalError
from lockgate_updater.state.cache import prepare_cache
from lockgate_updater.state.home import Home
from lockgate_updater.state.receipts import Receipt

__all__ = ["health_environment", "program_environment", "start_environment"]

_CACHE = "LOCKGATE_CACHE"
_PYTHON_CACHE = "PYTHONPYCACHEPREFIX"
_NO_PYTHON_CACHE = "PYTHONDONTWRITEBYTECODE"
_SERVICE_MANAGERS = frozenset(
    {
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
        "LISTEN_PID",
        "LISTEN_PIDFDID",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
    }
)
"""What systemd says to the service: a health check is not the service."""


def program_environment(
    home: Home, receipt: Receipt, environ: Mapping[str, str], cache: Path | None
) -> dict[str, str]:
    """Return the environment of a program that is started from a tree.

    It can find its home and say `confirm`, and it has a place to write; nothing else of what the
    client is set to is passed on, because an updater started by the program would take it for a
    setting. A Python program keeps its compiled modules in the cache, unless the environment says
    where; with no cache it keeps none, for its tree must stay as it was signed.

    Args:
        home: The home.
        receipt: The tree's.
        environ: The environment so far, which may be that of another program of ours.
        cache: The tree's cache, or None if it cannot be had.
    """
    found = dict(environ)
    # What another program of ours was told about its own cache says nothing to this one.
    others = found.pop(_CACHE, "")
    if others and Path(found.get(_PYTHON_CACHE, "")).is_relative_to(others):
        del found[_PYTHON_CACHE]
    found |= {
        "LOCKGATE_HOME": str(home.root),
        "LOCKGATE_VERSION": receipt.version,
        "LOCKGATE_TREE": str(home.tree(receipt.folder)),
    }
    if cache is not None:
        found[_CACHE] = str(cache)
    if not found.get(_PYTHON_CACHE):
        if cache is None:
            found[_NO_PYTHON_CACHE] = "1"
        else:
            found[_PYTHON_CACHE] = str(cache / "python")
    return found


def start_environment(home: Home, receipt: Receipt, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the same, with the tree's cache made; a disk that refuses it stops no start."""
    try:
        cache = prepare_cache(home, receipt.folder)
    except LocalError:
        cache = None
    return program_environment(home, receipt, environ, cache)


def health_environment(home: Home, receipt: Receipt, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a health command: it does not speak for the service."""
    found = start_environment(home, receipt, environ)
    return {name: value for name, value in found.items() if name not in _SERVICE_MANAGERS}
