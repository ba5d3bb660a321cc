"""Platform tags: which machines an artifact is for, such as `linux-x86_64`.

`any` fits every machine. The tag of this machine is what the system says of itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from lockgate_release.names import Platform

__all__ = ["ANY_PLATFORM", "best_platform", "current_platform", "platform_tag"]

ANY_PLATFORM = Platform("any")

_SYSTEMS = {"linux": "linux", "darwin": "macos", "windows": "windows"}
_MACHINES = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "aarch64": "aarch64",
    "arm64": "aarch64",
    "armv7l": "armv7",
    "i686": "x86",
    "i386": "x86",
}


def current_platform() -> Platform:
    """Return the tag of this machine."""
    if hasattr(os, "uname"):
        found = os.uname()
        return platform_tag(found.sysname, found.machine)
    import platform  # noqa: PLC0415 (it costs 2 ms, and knows what only Windows hides)

    return platform_tag(platform.system(), platform.machine())


def platform_tag(system: str, machine: str) -> Platform:
    """Return the tag of a machine by the names that its system gives to itself and to it."""
    system, machine = system.lower(), machine.lower()
    return Platform(f"{_SYSTEMS.get(system, system)}-{_MACHINES.get(machine, machine)}")


def best_platform(wanted: Platform, available: Iterable[Platform]) -> Platform | None:
    """Return the tag of `available` that serves `wanted`: itself, else `any`, else none."""
    tags = set(available)
    if wanted in tags:
        return wanted
    return ANY_PLATFORM if ANY_PLATFORM in tags else None
