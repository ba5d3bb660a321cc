"""Operands of x86-64 code: calls, jumps, and what is addressed relative to the next instruction.

Each is a distance of 32 bits from the address behind it. Its highest byte says that it is below
128 MiB: so a pattern without any knowledge of instructions rarely hits anything else.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, 2.2.1.6.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from re import Match

__all__ = ["ends_of", "turn_literals"]

_DISTANCE = rb"[\s\S]{3}[\x00-\x07\xf8-\xff]"
_MODRM = rb"[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]"
"""The bytes that say "relative to the instruction pointer"."""
_OPERANDS = tuple(
    re.compile(opcode + _DISTANCE)
    for opcode in (
        rb"\xe8",
        rb"\x8d" + _MODRM,
        rb"\xff[\x15\x25]",
        rb"\x8b" + _MODRM,
    )
)
"""Calls, addresses taken, calls through a table, words fetched.

One pattern each, with a fixed byte first: each is searched at the speed of `memchr`, and together
they take half the time of one pattern for all.
"""
_TURNED = tuple(
    re.compile(opcode + rb"[\s\S]{4}")
    for opcode in (rb"\xe8", rb"\x8d" + _MODRM, rb"\xff[\x15\x25]")
)
"""Each takes any distance, and skips it: what is found must not hang on what turning changes."""
_REACH = 1 << 28
_HALF = 1 << 27
_INT = struct.Struct("<i")


def ends_of(code: bytes | bytearray) -> list[int]:
    """Return where each operand ends, in order. One may lie partly in another."""
    ends: list[int] = []
    for operands in _OPERANDS:
        ends += map(Match.end, operands.finditer(code))
    ends.sort()
    return ends


def turn_literals(literals: bytes, places: Sequence[tuple[int, int]], *, sign: int) -> bytes:
    """Turn distances in literals into addresses (sign 1), or back (sign -1).

    A function that is called often then looks the same in each call. Whether an operand is turned
    depends on nothing that turning changes, so that it can be undone.

    Args:
        literals: The literals of a piece, one run behind the other.
        places: For each run, where it ends among them, and the new address of the first one, if
            all of them stood where this run does.
        sign: 1 or -1.
    """
    made = bytearray(literals)
    read, write = _INT.unpack_from, _INT.pack_into
    for operands in _TURNED[::sign]:
        order = iter(places)
        limit = shift = 0
        for end in map(Match.end, operands.finditer(made)):
            while end > limit:
                limit, shift = next(order)
            at = end - 4
            distance = read(made, at)[0]
            if -_HALF <= distance < _HALF:
                write(made, at, (distance + sign * (shift + at) + _HALF) % _REACH - _HALF)
    return bytes(made)
