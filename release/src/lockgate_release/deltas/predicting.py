"""The other half of `decoding`: what must be said so that its predictions come true."""

from __future__ import annotations

import re
import struct
from array import array

from lockgate_release.deltas.arm64 import Place, follow, target_of
from lockgate_release.deltas.columns import write_varints
from lockgate_release.deltas.matching import Cover
from lockgate_release.deltas.references import (
    CELL_UNKNOWN,
    FLAG_COLUMNS,
    X86_OPERANDS,
    Moves,
    RegionKind,
    predict_words,
)
from lockgate_release.deltas.regions import Layout

__all__ = ["Predictor"]

_DIFFERENT = re.compile(rb"[^\0][\s\S]{0,3}")
_INT = struct.Struct("<i")
_MASK = 0xFFFFFFFF
_HALF = 1 << 31
_PADDING = b"\0\0\0\0"


class Predictor:
    """Goes the way that decoding will go, knowing the new bytes, and notes what decoding lacks."""

    def __init__(self, layout: Layout, moves: Moves) -> None:
        """Begin with a table of moves that has learnt from the covers."""
        self._layout = layout
        self._moves = moves
        self._flags = [bytearray() for _ in range(FLAG_COLUMNS)]
        self._targets = array("I")
        self._gaps: list[int] = []
        self._values = array("I")
        self._copied_bytes = 0
        self._done_bytes = 0

    def work(self, old: bytes, new: bytes, covers: list[Cover]) -> None:
        """Note what the covers lack."""
        for cover in covers:
            copied = old[cover.old : cover.old + cover.length]
            wanted = new[cover.new : cover.new + cover.length]
            self._fix(self._predicted(copied, wanted, cover), wanted)
            self._copied_bytes += cover.length
        if covers:
            self._gaps.append(self._copied_bytes - self._done_bytes)

    def columns(self) -> dict[str, bytes]:
        """Return the columns of what was noted."""
        return {
            "fix-gaps": write_varints(self._gaps),
            "fix-values": _little_endian(self._values),
            "targets": _little_endian(self._targets),
            "flags-stayed": _pack_bits(self._flags[0]),
            "flags-moved": _pack_bits(self._flags[1]),
            "flags-unknown": _pack_bits(self._flags[2]),
        }

    def _predicted(self, copied: bytes, wanted: bytes, cover: Cover) -> bytes:
        region = self._layout.region(cover.new)
        if region.kind is RegionKind.PLAIN:
            return copied
        address = cover.old + self._layout.old_bias(cover.old)
        made = bytearray(copied)
        apart = _signed(cover.new + region.bias - address)
        if region.kind is RegionKind.ARM64:
            start = (region.start - cover.new) % 4
            place = Place(address, apart, start, region.first, region.second)
            self._note_arm64(made, wanted, place)
        elif region.kind is RegionKind.X86:
            self._note_operands(made, copied, wanted, (address, apart))
        else:
            predict_words(made, region, self._moves, address, cover.new)
        return bytes(made)

    def _note_operands(
        self, made: bytearray, copied: bytes, wanted: bytes, place: tuple[int, int]
    ) -> None:
        address, apart = place
        cells, mask, shift = self._moves.cells, self._moves.mask, self._moves.shift
        stayed, moved, unknown = self._flags
        read = _INT.unpack_from
        for found in X86_OPERANDS.finditer(copied):
            at = found.end() - 4
            word, value = read(copied, at)[0], read(wanted, at)[0]
            cell = address + at + 4 + word >> shift & mask
            move = cells[cell]
            flags = stayed if move == apart else moved
            if move == CELL_UNKNOWN and move != apart:
                flags = unknown
                cells[cell] = move = apart
            is_wrong = (value - word - move + apart) & _MASK != 0
            flags.append(is_wrong)
            if is_wrong:
                real = _signed(value - word + apart)
                self._targets.append(real - move & _MASK)
                cells[cell] = real
            made[at : at + 4] = wanted[at : at + 4]

    def _note_arm64(self, made: bytearray, wanted: bytes, place: Place) -> None:
        cells = self._moves.cells
        stayed, moved, unknown = self._flags

        def settle(cell: int, at: int, target: int) -> int:
            move = cells[cell]
            flags = stayed if move == place.apart else moved
            if move == CELL_UNKNOWN and move != place.apart:
                flags = unknown
                cells[cell] = move = place.apart
            aim = target_of(wanted, at, place.address + place.apart + at, place.second)
            real = move if aim is None else _signed(aim - target)
            flags.append(real != move)
            if real != move:
                self._targets.append(real - move & _MASK)
                cells[cell] = real
            return real

        follow(made, place, self._moves, settle)

    def _fix(self, made: bytes, wanted: bytes) -> None:
        if made == wanted:
            return
        size = len(wanted)
        made += _PADDING
        wanted += _PADDING
        bits = int.from_bytes(made, "little") ^ int.from_bytes(wanted, "little")
        for found in _DIFFERENT.finditer(bits.to_bytes(len(made), "little")):
            at = found.start()
            self._gaps.append(self._copied_bytes + at - self._done_bytes)
            self._done_bytes = self._copied_bytes + min(at + 4, size)
            word = int.from_bytes(wanted[at : at + 4], "little")
            self._values.append(word - int.from_bytes(made[at : at + 4], "little") & _MASK)


def _signed(value: int) -> int:
    return (value + _HALF & _MASK) - _HALF


def _little_endian(words: array[int]) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


def _pack_bits(flags: bytearray) -> bytes:
    """Return the flags, each 0 or 1, eight to a byte, the first in the lowest bit."""
    text = bytes(flags[::-1]).translate(_DIGIT).decode()
    return int(text, 2).to_bytes((len(flags) + 7) // 8, "little") if text else b""


_DIGIT = bytes([48, 49]) + bytes(254)
