"""The cheapest way is found, by reading as few releases as it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.deltas.routes import MAX_HOPS, Node, Route, Search, find_route
from lockgate_release.documents import Artifact
from lockgate_release.documents.delta import Delta
from lockgate_release.layout import artifact_path
from lockgate_release.names import Platform, Sha256Hex
from lockgate_updater.install.patching.plan import FetchPlan

FULL = 1_000_000
Sizes = Mapping[tuple[int, int], int]
"""Sizes of deltas, by the numbers of the releases they lead from and to."""


def _sha256(*numbers: int) -> Sha256Hex:
    return Sha256Hex("".join(f"{number:04x}" for number in numbers).ljust(64, "0"))


def _artifact(number: int) -> Artifact:
    return Artifact(
        platform=Platform("any"),
        name=f"app-{number}.tar.gz",
        kind="tar.gz",
        size=FULL,
        sha256=_sha256(9, number),
        tree_sha256=_sha256(number),
        tree_size=3000,
        path=artifact_path(_sha256(9, number)),
    )


def _delta(old: int, new: int, size: int) -> Delta:
    sha256 = _sha256(8, old, new)
    return Delta(
        platform=Platform("any"),
        from_version=f"{old}.0",
        from_tree_sha256=_sha256(old),
        algorithm="lockgate-columns-1",
        size=size,
        sha256=sha256,
        path=artifact_path(sha256),
        memory_bytes=0,
        scratch_bytes=100,
    )


@dataclass
class _Releases:
    """Live releases, each with its deltas; what was read of them is kept."""

    sizes: Sizes
    read: list[str] = field(default_factory=list)

    def node(self, number: int) -> Node:
        deltas = tuple(
            _delta(old, new, size) for (old, new), size in self.sizes.items() if new == number
        )
        return Node(version=f"{number}.0", artifacts=(_artifact(number),), deltas=deltas)

    def find(
        self,
        target: int,
        *,
        here: Sequence[int] = (1,),
        unusable: Sequence[tuple[int, int]] = (),
        parts: Sizes | None = None,
    ) -> Route | None:
        def read(version: str) -> Node | None:
            self.read.append(version)
            number = int(version.partition(".")[0])
            return self.node(number) if any(new == number for _, new in self.sizes) else None

        known = {_sha256(8, old, new): size for (old, new), size in (parts or {}).items()}
        left_out = {_sha256(8, old, new) for old, new in unusable}
        search = Search(
            trees={_sha256(number) for number in here},
            limit_bytes=FULL,
            is_usable=lambda hop: hop.delta.sha256 not in left_out,
            missing_bytes=lambda delta: delta.size - known.get(delta.sha256, 0),
            read=read,
        )
        return find_route(self.node(target), _artifact(target), search)


def _versions(route: Route | None) -> list[str]:
    return [hop.version for hop in route.hops] if route else []


def test_one_delta_is_taken_and_no_other_release_is_read() -> None:
    releases = _Releases({(1, 3): 500, (2, 3): 400_000, (1, 2): 10})
    assert _versions(releases.find(3)) == ["3.0"]
    assert releases.read == []


def test_a_chain_is_taken_where_its_sum_is_smaller_with_what_it_costs_to_read() -> None:
    releases = _Releases({(1, 3): 50_000, (2, 3): 20_000, (1, 2): 20_000})
    assert _versions(releases.find(3)) == ["2.0", "3.0"]
    near = _Releases({(1, 3): 41_000, (2, 3): 20_000, (1, 2): 20_000})
    assert _versions(near.find(3)) == ["3.0"]


def test_nothing_is_taken_that_costs_as_much_as_the_archive() -> None:
    assert _Releases({(1, 3): FULL}).find(3) is None
    assert _Releases({(2, 3): FULL // 2, (1, 2): FULL // 2}).find(3) is None


def test_what_is_here_already_of_a_delta_counts() -> None:
    releases = _Releases({(1, 3): 50_000, (2, 3): 20_000, (1, 2): 20_000})
    route = releases.find(3, parts={(1, 3): 49_000})
    assert route is not None
    assert (_versions(route), route.fetch_bytes) == (["3.0"], 1000)


def test_a_chain_has_five_deltas_at_most() -> None:
    sizes = {(number, number + 1): 10 for number in range(1, 8)}
    assert len(_versions(_Releases(sizes).find(1 + MAX_HOPS))) == MAX_HOPS == 5
    assert _Releases(sizes).find(2 + MAX_HOPS) is None


def test_a_ring_of_deltas_ends() -> None:
    assert _Releases({(2, 3): 10, (3, 2): 10, (4, 2): 10, (3, 4): 10}).find(3) is None


def test_many_releases_cost_a_few_reads_at_most() -> None:
    sizes = {(old, new): 10 for new in range(2, 40) for old in range(2, 40) if old != new}
    releases = _Releases(sizes)
    assert releases.find(3) is None
    assert len(releases.read) <= 12


def test_what_cannot_be_used_is_gone_around() -> None:
    releases = _Releases({(1, 3): 500, (2, 3): 400, (1, 2): 10})
    assert _versions(releases.find(3, unusable=[(1, 3)])) == ["2.0", "3.0"]
    assert releases.find(3, unusable=[(1, 3), (1, 2)]) is None


def test_a_delta_that_leads_to_another_tree_of_the_release_is_no_way() -> None:
    releases = _Releases({(2, 3): 400, (1, 2): 10})
    node = releases.node(2)
    other = Node(version=node.version, artifacts=(_artifact(7),), deltas=node.deltas)
    search = Search(
        trees={_sha256(1)},
        limit_bytes=FULL,
        is_usable=lambda _hop: True,
        missing_bytes=lambda delta: delta.size,
        read=lambda _version: other,
    )
    assert find_route(releases.node(3), _artifact(3), search) is None


def test_a_route_says_what_disk_it_takes_at_its_worst_moment() -> None:
    route = _Releases({(2, 3): 400, (1, 2): 10}).find(3)
    assert route is not None
    assert route.disk_bytes == 410 + 3000 + 3000 + 100


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({}, "the whole archive, 1000000 bytes to fetch"),
        ({(1, 3): 5}, "a delta, 1.0 -> 3.0: 5 bytes to fetch instead of 1000000"),
        ({(1, 2): 5, (2, 3): 6}, "2 deltas, 1.0 -> 2.0 -> 3.0: 11 bytes to fetch instead of"),
    ],
)
def test_a_plan_says_itself(sizes: Sizes, words: str) -> None:
    assert str(FetchPlan(full_bytes=FULL, route=_Releases(sizes).find(3))).startswith(words)


_EDGES = st.tuples(st.integers(1, 7), st.integers(1, 7))


@given(st.dictionaries(_EDGES, st.integers(1, 400_000), max_size=16))
def test_no_way_is_cheaper_than_the_one_that_is_found(sizes: Sizes) -> None:
    sizes = {(old, new): size for (old, new), size in sizes.items() if old != new}
    best = _cheapest(sizes, 7, MAX_HOPS)
    found = _Releases(sizes).find(7)
    cost = found and found.fetch_bytes + 4096 * (len(found.hops) - 1)
    assert cost == (best if best is not None and best < FULL else None)


def _cheapest(sizes: Sizes, target: int, hops: int) -> int | None:
    """By trying every way; a release on the way costs what reading it costs."""
    if hops == 0:
        return None
    costs = []
    for (old, new), size in sizes.items():
        if new == target:
            before = 0 if old == 1 else _cheapest(sizes, old, hops - 1)
            if before is not None:
                costs.append(size + before + (0 if old == 1 else 4096))
    return min(costs, default=None)
