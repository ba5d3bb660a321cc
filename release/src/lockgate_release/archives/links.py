"""Where the symbolic links of a tree lead, worked out from its names alone, without a disk.

So a link is proven before it exists, thousands of links cost no more than their own length, and
the answer does not depend on the folder the tree happens to stand in: a link that leaves the tree
and comes back in by the folder's name is one that leaves it.
"""

from __future__ import annotations

import unicodedata

__all__ = ["LinkError", "LinkMap", "spell"]

_MAX_HOPS = 40
"""How many links one path may go through: where Linux gives up (path_resolution(7))."""


class LinkError(Exception):
    """A link leads where it must not; the message says how."""


def spell(path: str) -> str:
    """Return the one spelling of all names that a lax file system takes for the same.

    Source: Unicode 15.1, section 3.13, D145 (canonical caseless matching).
    """
    if path.isascii():
        return path.lower()
    folded = unicodedata.normalize("NFD", path).casefold()
    return unicodedata.normalize("NFD", folded)


class LinkMap:
    """The links of one tree, by the spelling of their paths."""

    def __init__(self) -> None:
        """Begin with no links."""
        self._targets: dict[str, str] = {}
        self._found: dict[str, tuple[tuple[str, ...], int]] = {}

    def add(self, path: str, target: str) -> None:
        """Remember the link at `path`, whose parents are folders, with its own words `target`."""
        self._targets[spell(path)] = target

    def prove(self, path: str) -> None:
        """Return if the link at `path` leads to a place inside the tree.

        Raises:
            LinkError: It leads out of the tree, also if only on its way, or nowhere.
        """
        self._resolve(spell(path), depth=1)

    def _resolve(self, link: str, depth: int) -> tuple[tuple[str, ...], int]:
        """Return the place that a link leads to, and through how many links."""
        known = self._found.get(link)
        if known is not None:
            return known
        if depth > _MAX_HOPS:
            raise LinkError("link that cannot be followed")
        place = link.split("/")[:-1]
        hops = 1
        # A name in another case may be this link on another file system, so it is followed.
        for part in spell(self._targets[link]).split("/"):
            if part in {"", "."}:
                continue
            if part != "..":
                place.append(part)
                inner = "/".join(place)
                if inner in self._targets:
                    found, more = self._resolve(inner, depth + 1)
                    place, hops = list(found), hops + more
            elif place:
                place.pop()
            else:
                raise LinkError("link out of the tree")
        if hops > _MAX_HOPS:
            raise LinkError("link that cannot be followed")
        self._found[link] = tuple(place), hops
        return self._found[link]
