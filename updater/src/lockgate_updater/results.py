"""How a check ends: one of five values, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from lockgate_release.decision import Held, Leave, Offer, UpToDate
from lockgate_release.errors import LockgateError

__all__ = ["CheckResult", "Unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """It could not be found out. Never to be taken for "no update".

    Attributes:
        reason: Why, as a sentence.
        error: The error behind it.
    """

    reason: str
    error: LockgateError

    @property
    def code(self) -> str:
        """The error's stable code."""
        return self.error.code


CheckResult: TypeAlias = Offer | UpToDate | Held | Leave | Unknown
