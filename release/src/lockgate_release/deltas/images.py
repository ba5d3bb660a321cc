"""Where programs lie in a row of bytes, and how addresses are written in their parts.

Only who makes deltas looks: what is found goes into the delta as plain numbers, so that a client
needs to know no format of programs. What is not found costs size, never correctness.

Source: System V ABI, "Object Files" (ELF-64, little-endian).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from lockgate_release.deltas.references import RegionKind

__all__ = ["Part", "find_parts"]

_ELF = re.compile(rb"\x7fELF\x02\x01\x01")
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_X86_64 = 62
_ARM64 = 183
_CODE = {_X86_64: RegionKind.X86, _ARM64: RegionKind.ARM64}
_LOAD = 1
_EXECUTABLE = 1
_SYMBOLS = 2
_NO_BYTES = 8
_ALLOCATED = 2
_MAX_TABLE = 4096
_MAX_ADDRESS = 1 << 52
"""What a delta can say of addresses, with room: a kernel in the upper half is left as it is."""
_ABSOLUTE = frozenset(
    {
        ".data.rel.ro",
        ".got",
        ".got.plt",
        ".init_array",
        ".fini_array",
        ".data",
        ".rela.dyn",
        ".symtab",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stretch of a program: what it is called, where it lies, and how it holds addresses.

    Attributes:
        name: The same in the next release.
        start: Where it begins among the bytes.
        end: Where it ends.
        bias: What to add to a position for its address. Each program has addresses of its own:
            they begin where the program does.
        base: The address that its own values count from.
        targets: The addresses that its values may point at, if they are relative.
        kind: How its addresses are written.
    """

    name: str
    start: int
    end: int
    bias: int
    base: int
    targets: tuple[int, int]
    kind: RegionKind


def find_parts(data: bytes) -> list[Part]:
    """Return the parts of all programs that lie in `data`, in order, none over another."""
    parts: list[Part] = []
    for found in _ELF.finditer(data):
        try:
            news = sorted(_parts_of_elf(data, found.start()), key=lambda part: part.start)
        except (struct.error, ValueError, LookupError, OverflowError):
            continue  # Bytes that only begin like a program.
        for part in news:
            start = max(part.start, parts[-1].end if parts else 0)
            is_inside = start == part.start and start < part.end <= len(data)
            if is_inside and _is_sayable(part):
                parts.append(part)
    return parts


def _is_sayable(part: Part) -> bool:
    return max(map(abs, (part.bias, part.base, *part.targets))) < _MAX_ADDRESS


def _parts_of_elf(data: bytes, start: int) -> Iterator[Part]:
    header = _HEADER.unpack_from(data, start)
    machine, program_at, section_at = header[2], header[5], header[6]
    program_count, section_count, names_index = header[10], header[12], header[13]
    if program_count > _MAX_TABLE or section_count > _MAX_TABLE:
        return
    targets = (0, 0)
    for index in range(program_count):
        entry = _PROGRAM.unpack_from(data, start + program_at + index * _PROGRAM.size)
        kind, flags, _, address, _, size = entry[:6]
        if kind == _LOAD and flags & _EXECUTABLE:
            targets = (start + address, start + address + size)
    sections = [
        _SECTION.unpack_from(data, start + section_at + index * _SECTION.size)
        for index in range(section_count)
    ]
    names_at = start + sections[names_index][4] if sections else 0
    for section in sections:
        flags, address, offset, size = section[2:6]
        is_loaded = flags & _ALLOCATED and section[1] != _NO_BYTES
        if not size or not (is_loaded or section[1] == _SYMBOLS):
            continue
        name_at = names_at + section[0]
        name = data[name_at : data.index(b"\0", name_at)].decode("ascii", "replace")
        is_code = bool(flags & 4)
        yield Part(
            name=name,
            start=start + offset,
            end=start + offset + size,
            bias=address - offset if is_loaded else 0,
            base=start + address if name == ".eh_frame_hdr" else start,
            targets=targets,
            kind=_kind(name, machine=machine, is_code=is_code),
        )


def _kind(name: str, *, machine: int, is_code: bool) -> RegionKind:
    if is_code:
        return _CODE.get(machine, RegionKind.PLAIN)
    if name in _ABSOLUTE:
        return RegionKind.ABSOLUTE_64
    if name == ".eh_frame_hdr":
        return RegionKind.TABLE_32
    if name == ".eh_frame":
        return RegionKind.RELATIVE_32
    return RegionKind.PLAIN
