"""Programs small enough for a test: an ELF file whose functions call each other."""

from __future__ import annotations

import random
import struct

X86_64, ARM64 = 62, 183
_BASE = 0x1000
_APART = 0x3000
"""How far addresses are from positions in the file."""
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")


def program(
    machine: int, *, functions: int = 400, inserted_bytes: int = 0, turned: int = 0
) -> bytes:
    """Return a program; `inserted_bytes` stand in front of every tenth function.

    The last `turned` addresses of its table are the first ones instead.
    """
    chance = random.Random(machine)
    bodies = [chance.randbytes(4 * chance.randrange(8, 30)) for _ in range(functions)]
    calls = [[chance.randrange(functions) for _ in range(6)] for _ in range(functions)]
    starts, at = [], _BASE
    for index, body in enumerate(bodies):
        at += inserted_bytes if index % 10 == 5 else 0
        starts.append(at)
        at += len(body) + 6 * 8
    code = bytearray(at - _BASE)
    for index, body in enumerate(bodies):
        place = starts[index] - _BASE
        if inserted_bytes and index % 10 == 5:
            # New code calls too: the first function, from wherever it stands.
            call = _plain_call(machine, 8 - place)
            code[place - 8 : place - 8 + len(call)] = call
        code[place : place + len(body)] = body
        for slot, callee in enumerate(calls[index]):
            here = place + len(body) + 8 * slot
            code[here : here + 8] = _call(machine, here + _BASE, starts[callee])
    order = starts[functions - turned :] + starts[: functions - turned]
    table = struct.pack(f"<{functions}Q", *(start + _APART for start in order))
    return _elf(machine, bytes(code), table)


def _call(machine: int, here: int, there: int) -> bytes:
    if machine == X86_64:
        return b"\x90\x90\x90\xe8" + struct.pack("<i", there - here - 8)
    pages = (there >> 12) - (here >> 12)
    page = 0x90000001 | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5
    if here % 16:
        return struct.pack("<II", page, 0x91000021 | (there & 0xFFF) << 10)
    return struct.pack("<II", 0x94000000 | (there - here) // 4 & 0x3FFFFFF, 0xD503201F)


def _plain_call(machine: int, distance: int) -> bytes:
    if machine == X86_64:
        return b"\xe8" + struct.pack("<i", distance - 5)
    return struct.pack("<I", 0x94000000 | distance // 4 & 0x3FFFFFF)


def _elf(machine: int, code: bytes, table: bytes) -> bytes:
    names = b"\0.text\0.data.rel.ro\0.shstrtab\0"
    code += bytes(-len(code) % 8)
    table_at = _BASE + len(code)
    names_at = table_at + len(table)
    sections_at = names_at + len(names)
    sections = [
        _SECTION.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        _SECTION.pack(1, 1, 6, _BASE + _APART, _BASE, len(code), 0, 0, 16, 0),
        _SECTION.pack(7, 1, 3, table_at + _APART, table_at, len(table), 0, 0, 8, 0),
        _SECTION.pack(20, 3, 0, 0, names_at, len(names), 0, 0, 1, 0),
    ]
    magic = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = _HEADER.pack(magic, 3, machine, 1, 0, 64, sections_at, 0, 64, 56, 1, 64, 4, 3)
    load = _PROGRAM.pack(1, 5, _BASE, _BASE + _APART, _BASE, len(code), len(code), 4096)
    return (header + load).ljust(_BASE, b"\0") + code + table + names + b"".join(sections)
