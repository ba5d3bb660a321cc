"""What was looked at and how it is, as values."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate_release.strict_json import JsonObject
from lockgate_server.services.read.checks import Level

__all__ = ["Finding", "failed", "fine", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What, in a word or two.
        level: How it is.
        found: What was found.
        hint: What to do, or "".
    """

    name: str
    level: Level
    found: str
    hint: str = ""

    def describe(self) -> JsonObject:
        """Return it as JSON."""
        return {
            "name": self.name,
            "level": self.level.value,
            "found": self.found,
            "hint": self.hint,
        }


def fine(name: str, found: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(name=name, level=Level.OK, found=found)


def warning(name: str, found: str, hint: str) -> Finding:
    """Return that something works, and may not for long or not for everybody."""
    return Finding(name=name, level=Level.WARNING, found=found, hint=hint)


def failed(name: str, found: str, hint: str = "") -> Finding:
    """Return that a server cannot run, or cannot sign, because of something."""
    return Finding(name=name, level=Level.FAILED, found=found, hint=hint)
