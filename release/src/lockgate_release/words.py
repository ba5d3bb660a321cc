"""Texts from elsewhere, made harmless before a terminal sees them.

Reasons for revocations, notes and names come out of documents and servers. Whoever wrote them may
tell a person something, but may not move a cursor, change a title, or turn a line's direction
round. Both commands print through `harmless`.
"""

from __future__ import annotations

__all__ = ["harmless"]

_KEPT = "\n\t"


def harmless(text: str) -> str:
    """Return `text` with every character that is not shown as itself replaced by U+FFFD.

    That is C0 and C1 controls (escape sequences begin with one), directional and other formatting
    marks, lone surrogates, and line separators. Newline and tab stay.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in _KEPT else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )
