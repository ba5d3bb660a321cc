"""Which stretches of new bytes resemble which of the old: HDiffPatch finds them.

The plain patch of `hdiffpatch.diff_lite`, uncompressed, is read for its covers alone (HPatchLite,
`hpatch_lite.c`): the length, the old position relative to the end of the last cover, the gap in
the new bytes, then the bytes of the gap and, unless they are all zero, the differences.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "MIN_CODE_COVER_BYTES",
    "MIN_TEXT_COVER_BYTES",
    "Cover",
    "find_covers",
    "without_noise",
]

MIN_TEXT_COVER_BYTES, MIN_CODE_COVER_BYTES = 24, 40
"""What a cover saves must be more than saying where it leads costs. In programs it costs more: one
that is wrong tells wrong moves, and each takes time when the delta is applied."""

_FLAG_SAME = 0x80
_FLAG_BACK = 0x40
_FLAG_MORE = 0x20


@dataclass(frozen=True, slots=True)
class Cover:
    """A stretch of new bytes, and the old one that it resembles; positions in bytes."""

    old: int
    new: int
    length: int


def find_covers(old: bytes, new: bytes) -> list[Cover]:
    """Return the covers in the order of the new bytes; they do not overlap there.

    Takes about six bytes of memory for each old one, and one for each new one.
    """
    if not old or not new:
        return []
    import hdiffpatch  # noqa: PLC0415 (only who makes deltas has it)

    # A filter of the old bytes takes some memory, and saves more time; what is found is the same.
    patch = hdiffpatch.diff_lite(old, new, compression="none", validate=False, big_cache_match=True)
    return _read_covers(patch)


def _read_covers(patch: bytes) -> list[Cover]:
    if patch[:3] != b"hI\0":
        raise RuntimeError(f"hdiffpatch made a patch of another kind: {patch[:4].hex()}")
    sizes = patch[3]
    count, at = _number(patch, 4 + (sizes & 7) + (sizes >> 3 & 7))
    covers = []
    old_at = new_at = 0
    for _ in range(count):
        length, at = _number(patch, at)
        tag = patch[at]
        seek, at = tag & 31, at + 1
        if tag & _FLAG_MORE:
            seek, at = _number(patch, at, seek)
        gap, at = _number(patch, at)
        old_at += -seek if tag & _FLAG_BACK else seek
        new_at += gap
        covers.append(Cover(old_at, new_at, length))
        at += gap + (0 if tag & _FLAG_SAME else length)
        old_at += length
        new_at += length
    return [cover for cover in covers if cover.length]


def _number(patch: bytes, at: int, value: int = 0) -> tuple[int, int]:
    while True:
        byte = patch[at]
        at += 1
        value = value << 7 | byte & 127
        if byte < 128:
            return value, at


def without_noise(covers: list[Cover], least_bytes: int = MIN_TEXT_COVER_BYTES) -> list[Cover]:
    """Return the covers without short ones that lead elsewhere than their neighbours.

    To say where they are costs as much as what they save, and time when the delta is applied.
    """
    kept: list[Cover] = []
    for index, cover in enumerate(covers):
        apart = cover.old - cover.new
        neighbours = [*kept[-1:], *covers[index + 1 : index + 2]]
        if cover.length >= least_bytes or any(n.old - n.new == apart for n in neighbours):
            kept.append(cover)
    return kept
