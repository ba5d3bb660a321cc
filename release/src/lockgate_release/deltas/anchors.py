"""Where in the old bytes the content of new bytes lies, roughly, in little memory and time.

An anchor is a place that its content alone decides, so that it is found again wherever it moved to.
The first anchor of each stride of old bytes is remembered with what follows it; each anchor of the
new bytes is looked up. Both sides are seen in granules, and for each new one it is counted which
old ones hold what it holds.
"""

from __future__ import annotations

import re
from collections import Counter

from lockgate_release.deltas.file_bytes import OldBytes

__all__ = ["GRANULE_BYTES", "find_places", "stride_of"]

GRANULE_BYTES = 1 << 16
_MIN_STRIDE_BYTES = 512
_MOST_ANCHORS_BITS = 17
_KEY_BYTES = 16
_ANCHOR = re.compile(b"[" + re.escape(bytes(range(1, 256, 4))) + b"]{4}")
"""One place in some hundreds, in code as in text; of zeros there is none."""
_AMBIGUOUS = -1


def find_places(old: OldBytes, new: OldBytes) -> list[Counter[int]]:
    """Return, for each granule of the new bytes, how often each of the old ones was met in it."""
    known = _learn(old)
    places = []
    for at in range(0, new.size, GRANULE_BYTES):
        data = new.read_at(at, min(GRANULE_BYTES, new.size - at))
        keys = (data[end : end + _KEY_BYTES] for end in map(re.Match.end, _ANCHOR.finditer(data)))
        met = Counter(granule for key in keys if (granule := known.get(key)) is not None)
        met.pop(_AMBIGUOUS, None)
        places.append(met)
    return places


def stride_of(size: int) -> int:
    """Return how many of so many old bytes one anchor stands for, at least."""
    return max(_MIN_STRIDE_BYTES, size >> _MOST_ANCHORS_BITS)


def _learn(old: OldBytes) -> dict[bytes, int]:
    known: dict[bytes, int] = {}
    stride = stride_of(old.size)
    for granule, at in enumerate(range(0, old.size, GRANULE_BYTES)):
        data = old.read_at(at, min(GRANULE_BYTES, old.size - at))
        for start in range(0, len(data), stride):
            found = _ANCHOR.search(data, start, start + stride)
            key = data[found.end() : found.end() + _KEY_BYTES] if found else b""
            if len(key) == _KEY_BYTES:
                # What stands in many places tells nothing of where it is from.
                known[key] = granule if known.get(key, granule) == granule else _AMBIGUOUS
    return known
