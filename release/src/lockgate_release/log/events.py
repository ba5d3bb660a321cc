"""What an event is: a name that stays, a level, a sentence for people, its fields, its bound."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

__all__ = ["DEFAULT_RATE", "KNOWN_FACTOR", "Event", "Rate"]

KNOWN_FACTOR = 20
"""So many times more lines may be caused by who has shown a token: few can, and all are wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How many lines of an event one process writes.

    Attributes:
        per_s: On average, in lines a second, > 0.
        burst: At once, > 0.
    """

    per_s: float
    burst: int


DEFAULT_RATE = Rate(per_s=2, burst=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that can be told.

    Attributes:
        name: Which; it never changes its meaning, and is never used again for another.
        level: As `logging` has it.
        sentence: What people read; a field's name in braces stands for its value.
        fields: The fields that every telling of it says, in order; names in `fields.FIELDS`.
        rate: How many lines of it are written at most.
    """

    name: str
    level: int
    sentence: str
    fields: tuple[str, ...] = ()
    rate: Rate = field(default=DEFAULT_RATE)

    @property
    def level_name(self) -> str:
        """The level as lines have it."""
        return logging.getLevelName(self.level).lower()
