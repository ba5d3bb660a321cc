"""Which paths below an app's address a copy may hold: none that leads out of it.

Paths come out of signed metadata, and whoever holds a key can sign any path.
"""

from __future__ import annotations

import re

from lockgate_release.errors import TrustError

__all__ = ["check_address", "is_address"]

_ADDRESS = re.compile(
    r"metadata/(?:timestamp|[0-9]+\.[a-z][a-z0-9_-]*)\.json"
    r"|targets/(?:[A-Za-z0-9][A-Za-z0-9.+!_-]*/)*[0-9a-f]{64}\.[a-z_.]+"
    r"|artifacts/[0-9a-f]{2}/[0-9a-f]{64}"
    r"|channels/[a-z0-9][a-z0-9._-]*/version\.json"
)


def is_address(path: str) -> bool:
    """Whether a copy may hold a file at this path."""
    return _ADDRESS.fullmatch(path) is not None


def check_address(path: str) -> None:
    """Refuse a path that no file of a repository has.

    Raises:
        TrustError: It is one.
    """
    if not is_address(path):
        raise TrustError("not the address of a file of a repository", subject=path[:200])
