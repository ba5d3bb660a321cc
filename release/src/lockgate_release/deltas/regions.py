"""What the head of a block says of old and new bytes: biases, and how addresses are written."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from lockgate_release.deltas.decoding import MAX_STRETCHES
from lockgate_release.deltas.images import Part, find_parts
from lockgate_release.deltas.matching import Cover
from lockgate_release.deltas.references import NO_REGION, Moves, Region, RegionKind, Segment

__all__ = ["Layout", "Table", "find_layout"]

_HALF = 1 << 31
_MASK = 0xFFFFFFFF
_TABLES = frozenset({RegionKind.ABSOLUTE_64, RegionKind.TABLE_32, RegionKind.RELATIVE_32})


@dataclass(frozen=True, slots=True)
class Table:
    """A region of addresses only, and where most of it lies in the old bytes."""

    region: Region
    old: Part
    new: Part


@dataclass(frozen=True, slots=True)
class Layout:
    """The segments of the old bytes and the regions of the new ones, both in order."""

    segments: list[Segment]
    regions: list[Region]
    tables: list[Table] = field(default_factory=list)
    _segment_starts: list[int] = field(init=False, default_factory=list)
    _region_starts: list[int] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Note where what begins: it is looked up for each cover."""
        self._segment_starts.extend(segment.start for segment in self.segments)
        self._region_starts.extend(region.start for region in self.regions)

    def region(self, at: int) -> Region:
        """Return the region of a position in the new bytes."""
        index = bisect_right(self._region_starts, at)
        return self.regions[index - 1] if index else NO_REGION

    def region_end(self, at: int) -> int:
        """Return where the region of a position ends; far behind the last one."""
        index = bisect_right(self._region_starts, at)
        return self._region_starts[index] if index < len(self.regions) else 1 << 62

    def old_bias(self, at: int) -> int:
        """Return what to add to a position in the old bytes for its address."""
        index = bisect_right(self._segment_starts, at)
        return self.segments[index - 1].bias if index else 0

    def apart(self, cover: Cover, address: int) -> int:
        """Return by how much the new address of a cover is greater than its old `address`.

        Modulo 2**32 and with a sign, as everywhere where distances are predicted.
        """
        apart = cover.new + self.region(cover.new).bias - address
        return (apart + _HALF & _MASK) - _HALF

    def moves(self, covers: Sequence[Cover], *, table_bits: int, cell_bits: int) -> Moves:
        """Return what the covers tell about what moved."""
        moves = Moves(table_bits=table_bits, cell_bits=cell_bits)
        if self.regions:
            addresses = array("q", [cover.old + self.old_bias(cover.old) for cover in covers])
            aparts = array("i", map(self.apart, covers, addresses))
            moves.learn(addresses, aparts, array("q", [cover.length for cover in covers]))
        return moves


def find_layout(old: bytes, new: bytes, covers: Sequence[Cover]) -> Layout:
    """Return what can be said of both; nothing if no program is in the new bytes."""
    new_parts = find_parts(new)
    old_parts = find_parts(old)
    if not any(part.kind is not RegionKind.PLAIN for part in new_parts) or not old_parts:
        return Layout([], [])
    partners = _partners(old_parts, new_parts, covers)
    regions = [Region(0, 0, RegionKind.PLAIN, 0, 0)]
    tables = []
    end = 0
    for part, partner in zip(new_parts, partners, strict=True):
        if part.start > end:
            regions.append(Region(end, regions[-1].bias, RegionKind.PLAIN, 0, 0))
        regions.append(_region(part, partner))
        if partner and regions[-1].kind in _TABLES:
            tables.append(Table(regions[-1], partner, part))
        end = part.end
    regions.append(Region(end, 0, RegionKind.PLAIN, 0, 0))
    segments = [Segment(0, 0)]
    segments += [Segment(part.start, part.bias) for part in old_parts]
    segments.append(Segment(old_parts[-1].end, 0))
    return Layout(_slim(segments), _slim_regions(regions), tables)


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
