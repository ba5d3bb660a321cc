"""Files that a document of a release names, found by their addresses, whatever they are for.

A newer publisher may put lists into a document that this version has no word for. Whoever removes
files, or copies them, must know of these too: an older server must not collect, and an older mirror
not leave out, what a newer client will ask for.

1. Every text that is the address of a file by its digest names it, however deep it stands.
2. The object around such a `path` tells the size, where it has a whole number called `size`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lockgate_release.names import Sha256Hex
from lockgate_release.strict_json import Json, JsonObject

__all__ = ["Reference", "references_in"]

_ADDRESS: Final = re.compile(r"artifacts/([0-9a-f]{2})/(\1[0-9a-f]{62})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A file that is named.

    Attributes:
        sha256: Its digest, of which its address is made.
        size_bytes: Its size, >= 0, or None where that is not said.
    """

    sha256: Sha256Hex
    size_bytes: int | None


def references_in(document: JsonObject) -> dict[Sha256Hex, Reference]:
    """Return every file that a document names, by its digest.

    Args:
        document: As it was read, nothing of it left out.
    """
    found: dict[Sha256Hex, Reference] = {}
    for one in _walk(document):
        known = found.get(one.sha256)
        if known is None or known.size_bytes is None:
            found[one.sha256] = one
    return found


def _walk(value: Json) -> Iterator[Reference]:
    if isinstance(value, str):
        if named := _ADDRESS.fullmatch(value):
            yield Reference(sha256=Sha256Hex(named[2]), size_bytes=None)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            for one in _walk(inner):
                is_mine = name == "path" and isinstance(inner, str)
                yield Reference(sha256=one.sha256, size_bytes=_size(value)) if is_mine else one
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _walk(inner)


def _size(around: JsonObject) -> int | None:
    size = around.get("size")
    is_number = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    return size if is_number and isinstance(size, int) else None
