"""What is fetched of a release, as a value: the whole archive, or deltas in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lockgate_release.deltas.routes import Route

__all__ = ["FetchPlan", "PassedOver"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """A delta that could have been used, and was not.

    Attributes:
        from_version: The release that it begins at.
        version: The release that it leads to.
        size_bytes: Its size.
        reason: Why not, as part of a sentence.
    """

    from_version: str
    version: str
    size_bytes: int
    reason: str

    def __str__(self) -> str:
        """Return it for people."""
        return f"delta {self.from_version} -> {self.version} is passed over: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPlan:
    """What is fetched of a release.

    Attributes:
        full_bytes: What is still to be fetched of the whole archive.
        route: The deltas that are fetched in its place, or None.
        passed_over: Deltas that are not.
        no_deltas: Why none of its deltas may be used; "": they may, or it has none.
    """

    full_bytes: int
    route: Route | None = None
    passed_over: tuple[PassedOver, ...] = ()
    no_deltas: str = ""

    @property
    def kind(self) -> str:
        """What is fetched, in one word: `full`, `delta`, or `chain` for more than one delta."""
        if self.route is None:
            return "full"
        return "delta" if len(self.route.hops) == 1 else "chain"

    @property
    def fetch_bytes(self) -> int:
        """How many bytes are still to be fetched."""
        return self.full_bytes if self.route is None else self.route.fetch_bytes

    def __str__(self) -> str:
        """Return it for people."""
        if self.route is None:
            why = f", and none of its deltas: {self.no_deltas}" if self.no_deltas else ""
            return f"the whole archive, {self.full_bytes} bytes to fetch{why}"
        hops = self.route.hops
        versions = " -> ".join((hops[0].delta.from_version, *(hop.version for hop in hops)))
        what = "a delta" if len(hops) == 1 else f"{len(hops)} deltas"
        return f"{what}, {versions}: {self.fetch_bytes} bytes to fetch instead of {self.full_bytes}"
