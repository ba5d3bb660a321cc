"""What an update says while it works: steps for people and programs, and progress of a download."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

__all__ = ["Event", "Observer", "Progress", "Step", "StepName"]


class StepName(StrEnum):
    """What has just happened, or begins now."""

    RECOVERED = "recovered"
    OFFERED = "offered"
    PLANNED = "planned"
    DOWNLOADING = "downloading"
    UNPACKING = "unpacking"
    PATCHING = "patching"
    PROVEN = "proven"
    SWITCHED = "switched"
    ON_TRIAL = "on-trial"
    COMMITTED = "committed"
    FAILED = "failed"
    ROLLED_BACK = "rolled-back"
    LEAVING = "leaving"
    STAYING = "staying"
    REPAIRED = "repaired"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step, with its release and a sentence."""

    name: StepName
    version: str
    text: str

    def __str__(self) -> str:
        """Return the sentence."""
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a download has got.

    Attributes:
        version: The release.
        received_bytes: Bytes that are here and count.
        total_bytes: Bytes of the whole file.
        speed_bytes_s: Bytes a second since the download began, 0 while unknown.
        left_s: Seconds until the end at that speed, or None while unknown.
    """

    version: str
    received_bytes: int
    total_bytes: int
    speed_bytes_s: int
    left_s: int | None

    def __str__(self) -> str:
        """Return a line such as `1.4.2: 12.0 of 34.5 MB, 3.1 MB/s, 7 s left`."""
        name, unit = _unit(self.total_bytes)
        text = f"{self.received_bytes / unit:.1f} of {self.total_bytes / unit:.1f} {name}"
        if self.left_s is not None:
            name, unit = _unit(self.speed_bytes_s)
            text += f", {self.speed_bytes_s / unit:.1f} {name}/s, {self.left_s} s left"
        return f"{self.version}: {text}"


def _unit(size_bytes: int) -> tuple[str, int]:
    """Return the unit in which people read a size, and its bytes."""
    for name, unit in (("GB", 10**9), ("MB", 10**6)):
        if size_bytes >= unit:
            return name, unit
    return "kB", 1000


Event: TypeAlias = Step | Progress
Observer: TypeAlias = Callable[[Event], object]
