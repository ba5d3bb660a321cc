"""The roles of an app's TUF repository, and how long each role's word lasts.

Beside those below, targets may delegate further roles of releases, for builds that meet another
bar: `previews`, which speaks for `previews/*/*.json`. Such a role is a plain text here: its name is
the folder that it speaks for, so the path of a release tells the role.
"""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum

__all__ = [
    "DELEGATED_PATHS",
    "EXPIRY",
    "ONLINE_ROLES",
    "ROLE_NAME",
    "Role",
    "expiry_of",
    "is_further_role",
    "paths_of",
]


class Role(StrEnum):
    """Every role Lockgate makes. The names never change: clients in the field hold to them."""

    ROOT = "root"
    TARGETS = "targets"
    RELEASES = "releases"
    CHANNELS = "channels"
    SNAPSHOT = "snapshot"
    TIMESTAMP = "timestamp"


ONLINE_ROLES = (Role.CHANNELS, Role.SNAPSHOT, Role.TIMESTAMP)
"""What the server's key signs."""

EXPIRY = {
    Role.ROOT: timedelta(days=365),
    Role.TARGETS: timedelta(days=365),
    Role.RELEASES: timedelta(days=180),
    Role.CHANNELS: timedelta(days=30),
    Role.SNAPSHOT: timedelta(days=30),
    Role.TIMESTAMP: timedelta(days=7),
}
"""How long each role's word lasts. Alarms ring when a third of it is left."""

DELEGATED_PATHS = {
    Role.RELEASES: ("releases/*/*.json",),
    Role.CHANNELS: ("channels/*/version.json",),
}
"""Which target paths each delegated role speaks for: disjoint, so the path tells the role."""

ROLE_NAME = "[a-z][a-z0-9_-]{0,31}"
"""What the name of a role, and so of a folder of releases, looks like: a regular expression."""


_SERVERS = "online"
"""What people call the server's roles together: no role of its own."""


def is_further_role(name: str) -> bool:
    """Whether a further role of releases may have this name, which is also its folder."""
    is_taken = name in Role._value2member_map_ or name == _SERVERS
    return re.fullmatch(ROLE_NAME, name) is not None and not is_taken


def paths_of(role: str) -> tuple[str, ...]:
    """Return the target paths that a role of releases, or `channels`, speaks for."""
    known = {str(name): paths for name, paths in DELEGATED_PATHS.items()}
    return known.get(role, (f"{role}/*/*.json",))


def expiry_of(role: str) -> timedelta:
    """Return how long a role's word lasts: a further role of releases is like the main one."""
    known = {str(name): lifetime for name, lifetime in EXPIRY.items()}
    return known.get(role, EXPIRY[Role.RELEASES])
