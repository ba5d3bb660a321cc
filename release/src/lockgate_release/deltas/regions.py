"""What the head of a block says of old and new bytes: biases, and how addresses are written."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from lockgate_release.deltas.decoding import MAX_STRETCHES
from lockgate_release.deltas.images import Part, find_parts
from lockgate_release.deltas.matching import Cover
from lockgate_release.deltas.references import Region, RegionKind, Segment

__all__ = ["Layout", "find_layout"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The segments of the old bytes and the regions of the new ones, both in order."""

    segments: list[Segment]
    regions: list[Region]

    def region(self, at: int) -> Region:
        """Return the region of a position in the new bytes."""
        index = bisect_right(self.regions, at, key=lambda region: region.start)
        return self.regions[index - 1] if index else Region(0, 0, RegionKind.PLAIN, 0, 0)

    def region_end(self, at: int) -> int:
        """Return where the region of a position ends; far behind the last one."""
        index = bisect_right(self.regions, at, key=lambda region: region.start)
        return self.regions[index].start if index < len(self.regions) else 1 << 62

    def old_bias(self, at: int) -> int:
        """Return what to add to a position in the old bytes for its address."""
        index = bisect_right(self.segments, at, key=lambda segment: segment.start)
        return self.segments[index - 1].bias if index else 0


def find_layout(old: bytes, new: bytes, covers: Sequence[Cover]) -> Layout:
    """Return what can be said of both; nothing if no program is in the new bytes."""
    new_parts = find_parts(new)
    old_parts = find_parts(old)
    if not any(part.kind is not RegionKind.PLAIN for part in new_parts) or not old_parts:
        return Layout([], [])
    partners = _partners(old_parts, new_parts, covers)
    regions = [Region(0, 0, RegionKind.PLAIN, 0, 0)]
    end = 0
    for part, partner in zip(new_parts, partners, strict=True):
        if part.start > end:
            regions.append(Region(end, regions[-1].bias, RegionKind.PLAIN, 0, 0))
        regions.append(_region(part, partner))
        end = part.end
    regions.append(Region(end, 0, RegionKind.PLAIN, 0, 0))
    segments = [Segment(0, 0)]
    segments += [Segment(part.start, part.bias) for part in old_parts]
    segments.append(Segment(old_parts[-1].end, 0))
    return Layout(_slim(segments), _slim_regions(regions))


def _partners(
    old_parts: list[Part], new_parts: list[Part], covers: Sequence[Cover]
) -> list[Part | None]:
    """Return, for each new part, the old one of that name that most of it is copied from."""
    starts = [cover.new for cover in covers]
    old_starts = [part.start for part in old_parts]
    found: list[Part | None] = []
    for part in new_parts:
        weights: dict[int, int] = {}
        index = max(bisect_right(starts, part.start) - 1, 0)
        while index < len(covers) and covers[index].new < part.end:
            place = bisect_right(old_starts, covers[index].old) - 1
            if place >= 0 and old_parts[place].name == part.name:
                weights[place] = weights.get(place, 0) + covers[index].length
            index += 1
        best = max(weights, key=lambda place: (weights[place], -place), default=None)
        found.append(None if best is None else old_parts[best])
    return found


def _region(part: Part, partner: Part | None) -> Region:
    kind = part.kind
    if kind in {RegionKind.PLAIN, RegionKind.X86} or partner is None:
        kind = part.kind if kind is RegionKind.X86 else RegionKind.PLAIN
        return Region(part.start, part.bias, kind, 0, 0)
    if kind is RegionKind.RELATIVE_32:
        return Region(part.start, part.bias, kind, *partner.targets)
    return Region(part.start, part.bias, kind, partner.base, part.base)


def _slim(segments: list[Segment]) -> list[Segment]:
    slim: list[Segment] = []
    for segment in segments:
        if not slim or slim[-1].bias != segment.bias:
            slim.append(segment)
    return slim[:MAX_STRETCHES]


def _slim_regions(regions: list[Region]) -> list[Region]:
    slim: list[Region] = []
    for region in regions:
        is_plain = region.kind is RegionKind.PLAIN and slim and slim[-1].kind is RegionKind.PLAIN
        if not is_plain or slim[-1].bias != region.bias:
            slim.append(region)
    return slim[:MAX_STRETCHES]
