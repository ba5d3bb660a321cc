"""A file that comes beside the one it is like costs what is different."""

from pathlib import Path

import pytest

from lockgate_release.deltas.borrowing import find_models
from lockgate_release.deltas.tree_matching import match_trees, to_old_entry
from lockgate_release.digests import digest_tree, walk_tree
from tests.unit.release.deltas.trees import Pair, noise

SIZE_BYTES = 100_000


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A library that comes beside its last version, among others that stay."""
    made = Pair(tmp_path)
    library = noise(1, SIZE_BYTES)
    stays = {
        "lib/a.so": noise(2, 5 * SIZE_BYTES),
        "lib/demo.so.1": library,
        "lib/z.so": noise(3, 5 * SIZE_BYTES),
    }
    made.old(stays)
    made.new({**stays, "lib/demo.so.2": library[:40_000] + b"inserted" + library[40_000:]})
    return made


@pytest.mark.parametrize("algorithm", ["lockgate-columns-1", "lockgate-zstd-1"])
def test_a_library_that_comes_beside_its_last_version_is_told_by_it(
    pair: Pair, algorithm: str
) -> None:
    assert pair.make(algorithm).size < 1000
    pair.apply()
    assert digest_tree(pair.made_root) == digest_tree(pair.new_root)


def test_files_that_are_like_nothing_new_are_not_read(pair: Pair) -> None:
    old, new = (
        sorted(walk_tree(root), key=lambda entry: entry.path.encode())
        for root in (pair.old_root, pair.new_root)
    )
    listing = [to_old_entry(entry) for entry in old]
    models = find_models(pair.old_root, pair.new_root, match_trees(old, new), listing)
    assert [listing[number].path for number in models] == ["lib/demo.so.1"]
