"""Words that are addresses by themselves: relocations, pointers, tables of exceptions."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from itertools import compress, count

from lockgate_release.deltas.references import (
    CELL_UNKNOWN,
    Moves,
    Piece,
    Region,
    RegionKind,
    Span,
)

__all__ = ["predict_words"]

_MIN_ADDRESS = 4096
_MAX_ADDRESS = 1 << 40
_WORD = 0xFFFFFFFF
_WORD_BYTES = 4
_HALF = 0xFFFF
_HALF_BITS = 16


def predict_words(made: bytearray, piece: Piece, spans: Sequence[Span], moves: Moves) -> None:
    """Put right the words of a piece that are addresses, as far as they were copied.

    Args:
        made: What was copied, and the literals; changed in place.
        piece: Where it goes to.
        spans: Where it comes from.
        moves: What moved how far.
    """
    region = piece.region
    width = 8 if region.kind is RegionKind.ABSOLUTE_64 else 4
    whole_bytes = len(made) // width * width
    words = array("q" if width == 8 else "I", bytes(made[:whole_bytes]))
    if sys.byteorder == "big":
        words.byteswap()
    literals = bytes(made)
    if region.kind is RegionKind.ABSOLUTE_64:
        words = array("q", _absolute(words, region, moves))
    elif region.kind is RegionKind.TABLE_32:
        words = array("I", _table(words, region, moves))
    else:
        _relative(words, piece, spans, moves)
    if sys.byteorder == "big":
        words.byteswap()
    made[:whole_bytes] = words.tobytes()
    at = 0
    for start, end, _ in spans:
        if start > at:
            made[at:start] = literals[at:start]
        at = end


def _absolute(words: array[int], region: Region, moves: Moves) -> list[int]:
    cells, mask, shift = moves.cells, moves.mask, moves.shift
    first, apart = region.first, region.second - region.first
    return [
        word + move - apart
        if _MIN_ADDRESS <= word < _MAX_ADDRESS
        and (move := cells[word + first >> shift & mask]) != CELL_UNKNOWN
        else word
        for word in words
    ]


def _table(words: array[int], region: Region, moves: Moves) -> list[int]:
    cells, mask, shift = moves.cells, moves.mask, moves.shift
    first, apart = region.first, region.second - region.first
    return [
        word + move - apart & _WORD
        if (move := cells[word + first >> shift & mask]) != CELL_UNKNOWN
        else word
        for word in words
    ]


def _relative(words: array[int], piece: Piece, spans: Sequence[Span], moves: Moves) -> None:
    cells, mask, shift = moves.cells, moves.mask, moves.shift
    first = piece.region.first
    reach = piece.region.second - first
    order = iter(spans)
    start = limit = apart = 0
    for number in _likely(words, piece, spans):
        at = _WORD_BYTES * number
        # A word belongs to where its last byte comes from.
        end = at + _WORD_BYTES
        while end > limit:
            start, limit, apart = next(order)
        if end <= start:
            continue
        word = words[number]
        target = piece.address - apart + at + word
        if target - first & _WORD < reach:
            move = cells[target >> shift & mask]
            if move != CELL_UNKNOWN:
                words[number] = word + move - apart & _WORD


def _likely(words: array[int], piece: Piece, spans: Sequence[Span]) -> Iterable[int]:
    """Return the numbers of the words that may reach a target, told by their upper halves.

    In a table of exceptions this is one word in ten. Most of a piece has moved alike; and a word
    that says less than 64 KiB is hardly ever a distance.
    """
    aparts = sorted(apart for _, _, apart in spans[:-1])
    if not aparts:
        return ()
    start = piece.address - aparts[len(aparts) // 2]
    low = piece.region.first - (start + piece.end - piece.start) >> _HALF_BITS
    width = (piece.region.second - start >> _HALF_BITS) - low
    # Counted from `low` first, then turned so that they count from 0.
    marks = bytearray(b"\1" * (min(width, _HALF) + 1)).ljust(_HALF + 1, b"\0")
    turn = -low & _HALF
    inside = marks[turn:] + marks[:turn]
    inside[0] = inside[_HALF] = 0
    uppers = array("H", words.tobytes())[1 if sys.byteorder == "little" else 0 :: 2]
    return compress(count(), map(inside.__getitem__, uppers))
