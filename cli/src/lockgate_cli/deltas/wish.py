"""Which deltas somebody wants, and how they are to be made."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate_release.deltas.algorithms import COLUMNS_1

__all__ = ["DEFAULT_MEMORY_BYTES", "DeltaWish"]

DEFAULT_MEMORY_BYTES = 2 * 1000**3


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaWish:
    """Which deltas are wanted.

    Attributes:
        most: From how many releases, for each platform; 0: none.
        algorithm: How they are encoded.
        memory_bytes: What making all of them may take at once.
    """

    most: int = 0
    algorithm: str = COLUMNS_1
    memory_bytes: int = DEFAULT_MEMORY_BYTES
