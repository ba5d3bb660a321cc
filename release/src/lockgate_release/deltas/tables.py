"""Words that are addresses by themselves: relocations, pointers, tables of exceptions."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence

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
    words = array("Q" if width == 8 else "I", bytes(made[:whole_bytes]))
    if sys.byteorder == "big":
        words.byteswap()
    literals = bytes(made)
    if region.kind is RegionKind.ABSOLUTE_64:
        words = array("Q", _absolute(words, region, moves))
    elif region.kind is RegionKind.TABLE_32:
        words = array("I", _table(words, region, moves))
    else:
        _relative(words, piece, spans, moves)
    if sys.byteorder == "big":
        words.byteswap()
    made[:whole_bytes] = words.tobytes()
    at = 0
    for end, apart in spans:
        if apart is None:
            made[at:end] = literals[at:end]
        at = end


def _absolute(words: array[int], region: Region, moves: Moves) -> list[int]:
    cells, mask, shift = moves.cells, moves.mask, moves.shift
    first, apart = region.first, region.second - region.first
    return [
        word + move - apart
        if _MIN_ADDRESS <= word < _MAX_ADDRESS
        and (move := cells[word + first >> shift & mask]) != CELL_UNKNOWN
        and word + move >= apart
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
    start = 0
    for end, apart in spans:
        # A word belongs to where its last byte comes from.
        until = end // 4
        if apart is not None and until > start:
            address = piece.address - apart
            here = range(address + 4 * start, address + 4 * until, 4)
            words[start:until] = array(
                "I",
                [
                    word + move - apart & _WORD
                    if word + at - first & _WORD < reach
                    and (move := cells[word + at >> shift & mask]) != CELL_UNKNOWN
                    else word
                    for at, word in zip(here, words[start:until], strict=True)
                ],
            )
        start = until
