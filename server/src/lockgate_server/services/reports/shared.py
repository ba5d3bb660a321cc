"""Counts that several processes share: what one block may say where that is less than one each.

Made before the processes are, in memory that they inherit; nothing of it is on a disk. A file
without a name holds the lock, which the system takes from whoever dies with it.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
import tempfile
from collections.abc import Hashable

__all__ = ["SharedCounts"]

_SLOT = struct.Struct("<QQ")
_FULL_BELOW = 2 / 3


class SharedCounts:
    """How often something was counted, by any process. Threads of one process take turns."""

    def __init__(self, slots: int = 1 << 17) -> None:
        """Begin with nothing.

        Args:
            slots: How many different things are counted at most, > 0: 16 bytes for each. Of more
                everything is forgotten.
        """
        self._slots = slots
        self._memory = mmap.mmap(-1, _SLOT.size * (slots + 1))
        with tempfile.TemporaryFile(prefix="lockgate-") as file:
            self._lock = os.dup(file.fileno())

    def close(self) -> None:
        """Let go of memory and lock."""
        self._memory.close()
        os.close(self._lock)

    def take(self, what: Hashable, mark: int, most: int) -> bool:
        """Count one more; False where that is one too many.

        Args:
            what: One thing that is counted, the same in every process.
            mark: Another one, as a number.
            most: How many there may be, >= 1.
        """
        named = hashlib.blake2b(f"{what!r}\n{mark}".encode(), digest_size=8).digest()
        key = int.from_bytes(named, "little") or 1  # 0 is a free slot
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            return self._count(key, most)
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def _count(self, key: int, most: int) -> bool:
        place, count = self._find(key)
        if count >= most:
            return False
        if not count:
            _, used = _SLOT.unpack_from(self._memory, 0)  # the first slot holds how many are used
            if used >= self._slots * _FULL_BELOW:
                self._memory[:] = bytes(len(self._memory))
                used = 0
                place, count = self._find(key)
            _SLOT.pack_into(self._memory, 0, 0, used + 1)
        _SLOT.pack_into(self._memory, place, key, count + 1)
        return True

    def _find(self, key: int) -> tuple[int, int]:
        """Return where the key's count is, or would be, and the count."""
        slot = key % self._slots
        while True:
            place = _SLOT.size * (slot + 1)
            found, count = _SLOT.unpack_from(self._memory, place)
            if found == key:
                return place, count
            if not found:
                return place, 0
            slot = (slot + 1) % self._slots
