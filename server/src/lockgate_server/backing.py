"""How the server backs itself up: where to, how often, how many stay, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias

from lockgate_release.durations import format_duration, parse_duration
from lockgate_release.errors import UsageError

__all__ = ["Backing", "read_backing"]

Name: TypeAlias = Literal["backup_to", "backup_every", "backup_keep", "backup_parts"]

_KEYS, _OBJECTS = "keys", "objects"
_EVERY, _LEAST = timedelta(days=1), timedelta(minutes=5)
_KEEP, _MOST = 7, 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Backing:
    """How backups are made.

    Attributes:
        to: The folder or the bucket they go to; "": none are made.
        every: How old the newest may become.
        keep: How many stay, > 0.
        has_keys: Whether they hold the server's keys, encrypted.
        has_objects: Whether they hold what clients read.
    """

    to: str = ""
    every: timedelta = _EVERY
    keep: int = _KEEP
    has_keys: bool = False
    has_objects: bool = False

    def to_environ(self) -> Mapping[str, str]:
        """Return it as `read_backing` finds it in an environment."""
        parts = ((_KEYS, self.has_keys), (_OBJECTS, self.has_objects))
        return {
            "LOCKGATE_BACKUP_TO": self.to,
            "LOCKGATE_BACKUP_EVERY": format_duration(int(self.every.total_seconds())),
            "LOCKGATE_BACKUP_KEEP": str(self.keep),
            "LOCKGATE_BACKUP_PARTS": " ".join(name for name, is_in in parts if is_in),
        }


def read_backing(say: Callable[[Name], str | None]) -> Backing:
    """Return what the settings say; `say` returns the value of one, or nothing.

    Raises:
        UsageError: One makes no sense.
    """
    to, every = say("backup_to") or "", say("backup_every")
    if to.endswith(".tar"):
        raise UsageError(
            "one file holds one backup", subject="backup_to", expected="a folder, or s3://…"
        )
    parts = (say("backup_parts") or "").split()
    unknown = {*parts} - {_KEYS, _OBJECTS}
    if unknown:
        raise UsageError(
            "not a part of a backup",
            subject="backup_parts",
            expected=f"{_KEYS}, {_OBJECTS}, or both",
            found=", ".join(sorted(unknown)),
        )
    return Backing(
        to=to,
        every=max(_LEAST, timedelta(seconds=parse_duration(every))) if every else _EVERY,
        keep=_read_keep(say("backup_keep")),
        has_keys=_KEYS in parts,
        has_objects=_OBJECTS in parts,
    )


def _read_keep(text: str | None) -> int:
    if not text:
        return _KEEP
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= _MOST:
        raise UsageError(
            "not a number of backups",
            subject="backup_keep",
            expected=f"1 to {_MOST}",
            found=repr(text[:20]),
        )
    return int(text)
