"""Where in the old bytes the content of new bytes lies, roughly, in little memory and time.

An anchor is a place that its content alone decides, so that it is found again wherever it moved to.
The first anchor of each stride of old bytes is remembered with what follows it; each anchor of the
new bytes is looked up. Both sides are seen in granules, and for each new one it is counted which
old ones hold what it holds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from lockgate_release.deltas.file_bytes import OldBytes

__all__ = ["GRANULE_BYTES", "Place", "find_places", "stride_of"]

GRANULE_BYTES = 1 << 16
_MIN_STRIDE_BYTES = 512
_MOST_ANCHORS = 1 << 17
_BYTES_AN_ANCHOR = 192
_MEMORY_SHARE = 8
"""What is remembered takes this part of the memory, or 24 MB if that is more."""
_KEY_BYTES = 16
_IN_ANCHOR = bytes(byte % 4 == 1 for byte in range(256))
_ANCHOR = re.compile(b"\1\1\1\1")
"""Four bytes of that kind: one place in some hundreds, in code as in text; of zeros there is none.
A search for fixed bytes, in a copy that says of which kind each byte is, is four times as quick."""
_AMBIGUOUS = -1
_FEW = 8


class Place(NamedTuple):
    """What is known of one granule of new bytes.

    Attributes:
        met: How often each granule of the old bytes was met in it.
        sought: How many anchors were looked up.
    """

    met: Counter[int]
    sought: int

    @property
    def is_mute(self) -> bool:
        """Whether nothing is known, because it has next to no anchors: it may be like anything."""
        return not self.met and self.sought < _FEW

    @property
    def is_strange(self) -> bool:
        """Whether none of its many anchors is among the old ones."""
        return not self.met and self.sought >= _FEW


def find_places(old: OldBytes, new: OldBytes, *, memory_bytes: int = 0) -> list[Place]:
    """Return where each granule of the new bytes was met; an eighth of the memory is for that."""
    known = _learn(old, stride_of(old.size, memory_bytes=memory_bytes))
    places = []
    for at in range(0, new.size, GRANULE_BYTES):
        data = new.read_at(at, min(GRANULE_BYTES, new.size - at))
        keys = [data[end : end + _KEY_BYTES] for end in _anchor_ends(data)]
        met = Counter(granule for key in keys if (granule := known.get(key)) is not None)
        met.pop(_AMBIGUOUS, None)
        places.append(Place(met, len(keys)))
    return places


def stride_of(size: int, *, memory_bytes: int = 0) -> int:
    """Return how many of so many old bytes one anchor stands for, at least."""
    most = max(_MOST_ANCHORS, memory_bytes // (_MEMORY_SHARE * _BYTES_AN_ANCHOR))
    return max(_MIN_STRIDE_BYTES, size // most)


def _anchor_ends(data: bytes) -> Iterator[int]:
    return map(re.Match.end, _ANCHOR.finditer(data.translate(_IN_ANCHOR)))


def _learn(old: OldBytes, stride: int) -> dict[bytes, int]:
    known: dict[bytes, int] = {}
    for granule, at in enumerate(range(0, old.size, GRANULE_BYTES)):
        data = old.read_at(at, min(GRANULE_BYTES, old.size - at))
        kinds = data.translate(_IN_ANCHOR)
        for start in range(0, len(data), stride):
            found = _ANCHOR.search(kinds, start, start + stride)
            key = data[found.end() : found.end() + _KEY_BYTES] if found else b""
            if len(key) == _KEY_BYTES:
                # What stands in many places tells nothing of where it is from.
                known[key] = granule if known.get(key, granule) == granule else _AMBIGUOUS
    return known
