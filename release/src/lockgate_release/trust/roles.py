"""The roles of an app's TUF repository, and how long each role's word lasts."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

__all__ = ["DELEGATED_PATHS", "EXPIRY", "ONLINE_ROLES", "Role"]


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
