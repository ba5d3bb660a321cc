"""How much memory this machine, or the container we run in, can still give. Reads the system."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["free_memory_bytes", "read_free_memory"]

_AVAILABLE = re.compile(r"^MemAvailable:\s+(\d+) kB$", re.MULTILINE)
_CACHED = re.compile(r"^inactive_file (\d+)$", re.MULTILINE)


def free_memory_bytes(root: Path = Path("/")) -> int | None:
    """Return how much is free, or None where nobody says so.

    Args:
        root: Where the system's own files begin.
    """
    group = root / "sys/fs/cgroup"
    names = ("memory.max", "memory.current", "memory.stat")
    return read_free_memory(_read(root / "proc/meminfo"), *(_read(group / name) for name in names))


def read_free_memory(machine: str, most: str, taken: str, stat: str) -> int | None:
    """Return how much is free by what the system says of itself and of our group; "" for nothing.

    Args:
        machine: The machine's `/proc/meminfo`.
        most: What our control group may take, in bytes, or `max`.
        taken: What it takes now, with files that are only cached.
        stat: What of it is what: cached files that nobody uses are given back when asked for.
    """
    found = []
    if match := _AVAILABLE.search(machine):
        found.append(int(match[1]) * 1024)
    if most.strip().isdigit() and taken.strip().isdigit():
        cached = _CACHED.search(stat)
        used = int(taken) - (int(cached[1]) if cached else 0)
        found.append(max(0, int(most) - used))
    return min(found, default=None)


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return ""
