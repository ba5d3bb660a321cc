"""What stands in code as an operand, put right while a delta is applied."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from re import Match

from lockgate_release.deltas.arm64 import Place, follow
from lockgate_release.deltas.columns import ColumnReader, bits_of, damaged, words_of
from lockgate_release.deltas.references import (
    CELL_UNKNOWN,
    FLAG_COLUMNS,
    X86_OPERANDS,
    Moves,
)

__all__ = ["Operands"]

_WORD_BYTES = 4
_WORD = struct.Struct("<I")
_MASK = 0xFFFFFFFF
_HALF = 1 << 31


class Operands:
    """The operands of code, put right by the table of moves; the table learns from each."""

    def __init__(self, columns: Mapping[str, ColumnReader], moves: Moves) -> None:
        """Begin with the columns of a block, and what its covers tell of moves."""
        names = ("flags-stayed", "flags-moved", "flags-unknown")
        self._flags = [bits_of(columns[name]) for name in names[:FLAG_COLUMNS]]
        self._targets = words_of(columns["targets"])
        self._moves = moves

    def x86(self, made: bytearray, copied: bytes, address: int, apart: int) -> None:
        """Change in `made` what points at something that moved otherwise than by `apart`.

        Raises:
            ArchiveError: There are more operands than bits for them.
        """
        try:
            self._x86(made, copied, address, apart)
        except StopIteration as error:
            raise damaged("has fewer bits than operands") from error

    def arm64(self, made: bytearray, place: Place) -> None:
        """Change in `made` what points at something that moved otherwise than it did.

        Raises:
            ArchiveError: There are more operands than bits for them.
        """
        cells = self._moves.cells
        stayed, moved, unknown = self._flags

        def settle(cell: int, _: int, __: int) -> int:
            move = cells[cell]
            if move == place.apart:
                is_wrong = next(stayed)
            elif move == CELL_UNKNOWN:
                cells[cell] = move = place.apart
                is_wrong = next(unknown)
            else:
                is_wrong = next(moved)
            if is_wrong:
                cells[cell] = move = (move + next(self._targets) + _HALF & _MASK) - _HALF
            return move

        try:
            follow(made, place, self._moves, settle)
        except StopIteration as error:
            raise damaged("has fewer bits than operands") from error

    def _x86(self, made: bytearray, copied: bytes, address: int, apart: int) -> None:
        cells, mask, shift = self._moves.cells, self._moves.mask, self._moves.shift
        stayed, moved, unknown = self._flags
        read, write = _WORD.unpack_from, _WORD.pack_into
        for end in map(Match.end, X86_OPERANDS.finditer(copied)):
            at = end - _WORD_BYTES
            (word,) = read(copied, at)
            cell = address + end + word >> shift & mask
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
            move = (move + next(self._targets) + _HALF & _MASK) - _HALF
            cells[cell] = move
            write(made, at, word + move - apart & _MASK)
