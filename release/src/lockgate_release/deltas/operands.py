"""What stands in code as an operand, put right while a delta is applied.

The loops are written out: they go through half a million operands of a program of 20 MB.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Mapping, Sequence

from lockgate_release.deltas import arm64, x86
from lockgate_release.deltas.columns import (
    ColumnReader,
    bits_of,
    check_used_up,
    damaged,
    words_of,
)
from lockgate_release.deltas.references import CELL_UNKNOWN, Moves, Piece, Span

__all__ = ["Operands"]

_WORD_BYTES = 4
_SPARE_BITS = 7
_WORD = struct.Struct("<I")
_MASK = 0xFFFFFFFF
_HALF = 1 << 31
_OTHER_BITS = _MASK ^ arm64.BRANCH_BITS


class Operands:
    """The operands of code, put right by the table of moves; the table learns from each."""

    def __init__(self, columns: Mapping[str, ColumnReader], moves: Moves) -> None:
        """Begin with the columns of a block, and what its covers tell of moves."""
        self._stayed = bits_of(columns["flags-stayed"])
        self._moved = bits_of(columns["flags-moved"])
        self._unknown = bits_of(columns["flags-unknown"])
        self._targets = words_of(columns["targets"])
        self._moves = moves

    def x86(self, made: bytearray, piece: Piece, spans: Sequence[Span]) -> None:
        """Change in `made` what points at something that moved otherwise than it did.

        Raises:
            ArchiveError: There are more operands than bits for them.
        """
        try:
            self._distances(made, x86.ends_of(made), piece.address, spans)
        except StopIteration as error:
            raise damaged("has fewer bits than operands") from error

    def arm64(self, made: bytearray, piece: Piece, spans: Sequence[Span]) -> None:
        """Change in `made` what points at something that moved otherwise than it did.

        Calls that are all literal are turned back before.

        Raises:
            ArchiveError: There are more operands than bits for them.
        """
        words = arm64.words_of(made)
        highest = made[3::_WORD_BYTES]
        arm64.turn_literals(words, highest, spans, piece.address, sign=-1)
        try:
            self._calls(words, highest, piece.address, spans)
            self._pages(words, highest, piece, spans)
        except StopIteration as error:
            raise damaged("has fewer bits than operands") from error
        arm64.put_words(made, words)

    def finish(self) -> None:
        """Make sure that there were no more bits and corrections than operands.

        Raises:
            ArchiveError: There were.
        """
        for bits in (self._stayed, self._moved, self._unknown):
            check_used_up(bits, spare=_SPARE_BITS)
        check_used_up(self._targets)

    def _distances(
        self, made: bytearray, ends: Iterable[int], address: int, spans: Sequence[Span]
    ) -> None:
        cells, mask, shift = self._moves.cells, self._moves.mask, self._moves.shift
        stayed, moved, unknown = self._stayed, self._moved, self._unknown
        read, write = _WORD.unpack_from, _WORD.pack_into
        order = iter(spans)
        start = limit = apart = behind = 0
        for end in ends:
            at = end - _WORD_BYTES
            if end > limit:
                while end > limit:
                    start, limit, apart = next(order)
                behind = address + _WORD_BYTES - apart
            if at < start:
                continue
            (word,) = read(made, at)
            cell = behind + at + word >> shift & mask
            move = cells[cell]
            if move == apart:
                if not next(stayed):
                    continue
            elif move == CELL_UNKNOWN:
                cells[cell] = move = apart
                if not next(unknown):
                    continue
            elif not next(moved):
                write(made, at, word + move - apart & _MASK)
                continue
            cells[cell] = move = (move + next(self._targets) + _HALF & _MASK) - _HALF
            write(made, at, word + move - apart & _MASK)

    def _calls(
        self, words: array[int], highest: bytearray, address: int, spans: Sequence[Span]
    ) -> None:
        cells, mask, shift = self._moves.cells, self._moves.mask, self._moves.shift
        stayed, moved = self._stayed, self._moved
        bits, sign = arm64.BRANCH_BITS, arm64.BRANCH_SIGN
        order = iter(spans)
        start = limit = apart = 0
        for count in arm64.ends_of(arm64.CALLS, highest):
            end = _WORD_BYTES * count
            while end > limit:
                start, limit, apart = next(order)
            at = end - _WORD_BYTES
            if at < start:
                continue
            word = words[count - 1]
            distance = (word & bits ^ sign) - sign << 2
            cell = address - apart + at + distance >> shift & mask
            move = cells[cell]
            if move == apart:
                if not next(stayed):
                    continue
                cells[cell] = move = self._corrected(move)
            elif move == CELL_UNKNOWN:
                move = self._settled(cell, apart)
            elif next(moved):
                cells[cell] = move = self._corrected(move)
            words[count - 1] = word & _OTHER_BITS | distance + move - apart >> 2 & bits

    def _pages(
        self, words: array[int], highest: bytearray, piece: Piece, spans: Sequence[Span]
    ) -> None:
        mask, shift = self._moves.mask, self._moves.shift
        first, second = piece.region.first, piece.region.second
        order = iter(spans)
        start = limit = apart = 0
        for count in arm64.ends_of(arm64.PAGES, highest):
            end = _WORD_BYTES * count
            while end > limit:
                start, limit, apart = next(order)
            at = end - _WORD_BYTES
            if at < start or end + _WORD_BYTES > limit:
                continue
            address = piece.address + at
            page, rest = words[count - 1], words[count]
            target = arm64.paged_target(page, rest, address - apart - first)
            if target is not None:
                target += first
                target += self._settled(target >> shift & mask, apart) - second
                words[count - 1], words[count] = arm64.aimed(page, rest, address - second, target)

    def _settled(self, cell: int, apart: int) -> int:
        cells = self._moves.cells
        move = cells[cell]
        if move == apart:
            is_wrong = next(self._stayed)
        elif move == CELL_UNKNOWN:
            cells[cell] = move = apart
            is_wrong = next(self._unknown)
        else:
            is_wrong = next(self._moved)
        if is_wrong:
            cells[cell] = move = self._corrected(move)
        return move

    def _corrected(self, move: int) -> int:
        return (move + next(self._targets) + _HALF & _MASK) - _HALF
