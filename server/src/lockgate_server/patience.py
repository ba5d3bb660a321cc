"""For how long caches are waited for when keys change, as the settings say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias

from lockgate_release.durations import format_duration, parse_duration

__all__ = ["Patience", "read_patience"]

Name: TypeAlias = Literal["root_waits", "key_overlap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """For how long caches must be waited for, when keys change.

    Attributes:
        cached: How long a cache may hand out the state before: a root that could not verify it
            waits for that long.
        overlap: How long a cache may say that there is no next root: for so long after a root has
            been replaced, what is signed is signed for those who still hold it, too.
    """

    cached: timedelta = timedelta(seconds=120)
    overlap: timedelta = timedelta(hours=24)

    def to_environ(self) -> Mapping[str, str]:
        """Return it as `read_patience` finds it in an environment."""
        return {
            "LOCKGATE_ROOT_WAITS": format_duration(int(self.cached.total_seconds())),
            "LOCKGATE_KEY_OVERLAP": format_duration(int(self.overlap.total_seconds())),
        }


def read_patience(say: Callable[[Name], str | None]) -> Patience:
    """Return what the settings say; `say` returns the value of one, or nothing.

    Raises:
        UsageError: One is no span of time.
    """
    cached, overlap = say("root_waits"), say("key_overlap")
    usual = Patience()
    return Patience(
        cached=timedelta(seconds=parse_duration(cached)) if cached else usual.cached,
        overlap=timedelta(seconds=parse_duration(overlap)) if overlap else usual.overlap,
    )
