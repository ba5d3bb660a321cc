"""Fingerprints: many numbers of 64 bits in little memory, and which of them were seen before.

A hash table with open addressing in one array: 8 bytes a slot, at most two thirds full, so that a
million costs 12 to 24 MiB, where a set of Python's would take a hundred. Strangers choose what is
put in, so a secret salt chooses where: nobody can make all of it want the same slot.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from lockgate_release.names import AppName
from lockgate_release.reports import CohortKey

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

__all__ = ["FINGERPRINT_BYTES", "Fingerprints", "enrolment_of", "fared_after", "hashed_cohort"]

FINGERPRINT_BYTES = 8
_LEAST_SLOTS = 1 << 10
_KNOWN_COHORTS = 1024
_FARED = 0xFA9ED_FA9ED_FA9ED1
"""What makes the fingerprint of an outcome out of that of its enrolment."""


class Fingerprints:
    """A set of fingerprints. Not safe to share between threads."""

    def __init__(self, values: Iterable[int] = (), *, salt: int) -> None:
        """Make a set of these.

        Args:
            values: Numbers of 64 bits, none of them 0.
            salt: 64 bits at random, that nobody else knows.
        """
        self._salt = salt | 1
        self._slots = array("Q", bytes(FINGERPRINT_BYTES * _LEAST_SLOTS))
        self._count = 0
        self.update(values)

    def __len__(self) -> int:
        """How many there are."""
        return self._count

    def __contains__(self, value: int) -> bool:
        """Whether this one is among them."""
        return self._slots[self._place(value)] == value

    def update(self, values: Iterable[int]) -> None:
        """Add some."""
        for value in values:
            place = self._place(value)
            if self._slots[place] != value:
                self._slots[place] = value
                self._count += 1
                if self._count * 3 > len(self._slots) * 2:
                    self._grow()

    def _place(self, value: int) -> int:
        """Return where the value is, or the free slot where it would be."""
        slots = self._slots
        mask = len(slots) - 1
        place = (value * self._salt >> 32) & mask
        while (found := slots[place]) and found != value:
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", bytes(FINGERPRINT_BYTES * len(old) * 2))
        for value in old:
            if value:
                self._slots[self._place(value)] = value


def fared_after(enrolment: int) -> int:
    """Return the fingerprint of the outcome that belongs to an enrolment."""
    return (enrolment ^ _FARED) or 1


def enrolment_of(hashed: Hash, nonce: str) -> int:
    """Return the fingerprint of an enrolment.

    Args:
        hashed: The hash of its cohort, as `hashed_cohort` returns it; it is left as it is.
        nonce: Its nonce.
    """
    whole = hashed.copy()
    whole.update(nonce.encode())
    return int.from_bytes(whole.digest()[:FINGERPRINT_BYTES], "little") or 1  # 0 is a free slot


@lru_cache(maxsize=_KNOWN_COHORTS)
def hashed_cohort(app: AppName, cohort: CohortKey) -> Hash:
    """Return the hash of a cohort, with which the fingerprints of its clients begin."""
    said = (
        f"{app}\n{cohort.channel}\n{cohort.version}\n{cohort.epoch}\n{cohort.arm.value}\n"
        f"{cohort.platform}\n{cohort.from_version}\n{cohort.hour.timestamp():.0f}\n"
    )
    return hashlib.sha256(said.encode())
