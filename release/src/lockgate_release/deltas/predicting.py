"""The other half of `decoding`: what must be said so that its predictions come true."""

from __future__ import annotations

import re
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from lockgate_release.deltas import arm64, x86
from lockgate_release.deltas.columns import write_varints
from lockgate_release.deltas.decoding import FAR_GAP
from lockgate_release.deltas.matching import Cover
from lockgate_release.deltas.references import (
    CELL_UNKNOWN,
    FLAG_COLUMNS,
    Moves,
    Piece,
    RegionKind,
    Span,
    literal_places,
)
from lockgate_release.deltas.regions import Layout
from lockgate_release.deltas.tables import predict_words

__all__ = ["Predictor"]

_DIFFERENT = re.compile(rb"[^\0][\s\S]{0,3}")
_INT = struct.Struct("<i")
_WORD_BYTES = 4
_MASK = 0xFFFFFFFF
_HALF = 1 << 31
_PADDING = b"\0\0\0\0"
_Operand = tuple[int, int, int]
"""Where it ends in its piece, the apart of its cover, and where that cover ends."""


class Predictor:
    """Goes the way that decoding will go, knowing the new bytes, and notes what decoding lacks."""

    def __init__(self, layout: Layout, moves: Moves) -> None:
        """Begin with a table of moves that has learnt from the covers."""
        self._layout = layout
        self._moves = moves
        self._flags = [bytearray() for _ in range(FLAG_COLUMNS)]
        self._targets = array("I")
        self._counts: list[int] = []
        self._gaps = bytearray()
        self._values = array("I")
        self._literals: list[bytes] = []

    def work(self, old: bytes, new: bytes, covers: list[Cover], pieces: Sequence[Piece]) -> None:
        """Note what the covers lack. Each must be all in one piece."""
        done = 0
        for piece in pieces:
            until = bisect_left(covers, piece.end, done, key=_new)
            self._work(old, new[piece.start : piece.end], covers[done:until], piece)
            done = until

    def columns(self) -> dict[str, bytes]:
        """Return the columns of what was noted."""
        return {
            "literals": b"".join(self._literals),
            "fix-counts": write_varints(self._counts),
            "fix-gaps": bytes(self._gaps),
            "fix-values": _little_endian(self._values),
            "targets": _little_endian(self._targets),
            "flags-stayed": _pack_bits(self._flags[0]),
            "flags-moved": _pack_bits(self._flags[1]),
            "flags-unknown": _pack_bits(self._flags[2]),
        }

    def _work(self, old: bytes, wanted: bytes, covers: list[Cover], piece: Piece) -> None:
        made = bytearray(wanted)
        spans: list[Span] = []
        for cover in covers:
            start = cover.new - piece.start
            end = start + cover.length
            made[start:end] = old[cover.old : cover.old + cover.length]
            address = cover.old + self._layout.old_bias(cover.old)
            spans.append((start, end, self._layout.apart(cover, address)))
        spans.append((len(wanted), len(wanted), 0))
        self._note_literals(wanted, spans, piece)
        kind = piece.region.kind
        if kind is RegionKind.X86:
            self._note_distances(made, wanted, _in_covers(x86.ends_of(made), spans), piece)
        elif kind is RegionKind.ARM64:
            words, aims = arm64.words_of(made), arm64.words_of(wanted)
            highest = made[3::_WORD_BYTES]
            for pattern, note in (
                (arm64.CALLS, self._note_calls),
                (arm64.PAGES, self._note_pages),
            ):
                ends = (_WORD_BYTES * count for count in arm64.ends_of(pattern, highest))
                note(words, aims, _in_covers(ends, spans), piece)
            arm64.put_words(made, words)
        elif kind is not RegionKind.PLAIN:
            predict_words(made, piece, spans, self._moves)
        self._fix(bytes(made), wanted)

    def _note_literals(self, wanted: bytes, spans: list[Span], piece: Piece) -> None:
        kind = piece.region.kind
        turned = bytearray(wanted)
        if kind is RegionKind.ARM64:
            words = arm64.words_of(wanted)
            arm64.turn_literals(words, wanted[3::_WORD_BYTES], spans, piece.address, sign=1)
            arm64.put_words(turned, words)
        parts, at = [], 0
        for start, end, _ in spans:
            parts.append(turned[at:start])
            at = end
        literals = b"".join(parts)
        if kind is RegionKind.X86:
            places = list(literal_places(piece, ((at, end - at) for at, end, _ in spans[:-1])))
            literals = x86.turn_literals(literals, places, sign=1)
        self._literals.append(literals)

    def _note_distances(
        self, made: bytearray, wanted: bytes, operands: Iterable[_Operand], piece: Piece
    ) -> None:
        mask, shift = self._moves.mask, self._moves.shift
        for end, apart, _ in operands:
            at = end - _WORD_BYTES
            (word,), (value,) = _INT.unpack_from(made, at), _INT.unpack_from(wanted, at)
            real = _signed(value - word + apart)
            self._settle(piece.address + end - apart + word >> shift & mask, apart, real)
            made[at:end] = wanted[at:end]

    def _note_calls(
        self, words: array[int], aims: array[int], operands: Iterable[_Operand], piece: Piece
    ) -> None:
        mask, shift = self._moves.mask, self._moves.shift
        for end, apart, _ in operands:
            index = end // _WORD_BYTES - 1
            word, aim = words[index], aims[index]
            distance = arm64.distance_of(word)
            target = piece.address - apart + end - _WORD_BYTES + distance
            is_call = aim & ~arm64.BRANCH_BITS == word & ~arm64.BRANCH_BITS
            real = _signed(arm64.distance_of(aim) - distance + apart) if is_call else None
            move = self._settle(target >> shift & mask, apart, real)
            words[index] += (distance + move - apart >> 2 & arm64.BRANCH_BITS) - (
                word & arm64.BRANCH_BITS
            )

    def _note_pages(
        self, words: array[int], aims: array[int], operands: Iterable[_Operand], piece: Piece
    ) -> None:
        mask, shift = self._moves.mask, self._moves.shift
        first, second = piece.region.first, piece.region.second
        for end, apart, limit in operands:
            index = end // _WORD_BYTES
            address = piece.address + end - _WORD_BYTES
            if end + _WORD_BYTES > limit:
                continue
            page, rest = words[index - 1], words[index]
            target = arm64.paged_target(page, rest, address - apart - first)
            if target is None:
                continue
            target += first
            aim = None
            if arm64.is_page(aims[index - 1]):
                aim = arm64.paged_target(aims[index - 1], aims[index], address - second)
            real = None if aim is None else _signed(aim + second - target)
            target += self._settle(target >> shift & mask, apart, real) - second
            words[index - 1], words[index] = arm64.aimed(page, rest, address - second, target)

    def _settle(self, cell: int, apart: int, real: int | None) -> int:
        cells = self._moves.cells
        stayed, moved, unknown = self._flags
        move = cells[cell]
        flags = stayed if move == apart else moved
        if move == CELL_UNKNOWN and move != apart:
            flags = unknown
            cells[cell] = move = apart
        if real is None:
            real = move
        flags.append(real != move)
        if real != move:
            self._targets.append(real - move & _MASK)
            cells[cell] = real
        return real

    def _fix(self, made: bytes, wanted: bytes) -> None:
        made += _PADDING
        wanted += _PADDING
        bits = int.from_bytes(made, "little") ^ int.from_bytes(wanted, "little")
        places = [it.start() for it in _DIFFERENT.finditer(bits.to_bytes(len(made), "little"))]
        gaps = [at - last for last, at in pairwise([0, *places])]
        self._counts.append(len(gaps))
        self._counts += [gap - FAR_GAP for gap in gaps if gap >= FAR_GAP]
        self._gaps += bytes(min(gap, FAR_GAP) for gap in gaps)
        for at in places:
            word = int.from_bytes(wanted[at : at + 4], "little")
            self._values.append(word - int.from_bytes(made[at : at + 4], "little") & _MASK)


def _in_covers(ends: Iterable[int], spans: Sequence[Span]) -> Iterator[_Operand]:
    """Yield the operands of four bytes that lie wholly in one cover, by their ends."""
    order = iter(spans)
    start = limit = apart = 0
    for end in ends:
        while end > limit:
            start, limit, apart = next(order)
        if end - _WORD_BYTES >= start:
            yield end, apart, limit


def _new(cover: Cover) -> int:
    return cover.new


def _signed(value: int) -> int:
    return (value + _HALF & _MASK) - _HALF


def _little_endian(words: array[int]) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


def _pack_bits(flags: bytearray) -> bytes:
    """Return the flags, each 0 or 1, eight to a byte, the first in the lowest bit."""
    text = bytes(flags[::-1]).translate(_DIGIT).decode()
    return int(text, 2).to_bytes((len(flags) + 7) // 8, "little") if text else b""


_DIGIT = bytes([48, 49]) + bytes(254)
