"""What builders sign about a tree: a text that anybody can make with a printer of lines."""

import hashlib
from itertools import permutations

from lockgate_release.digests import digest_bytes
from lockgate_release.provenance.tree_claims import digest_tree_claim, tree_claim

ONE, TWO = digest_bytes(b"one"), digest_bytes(b"two")


def test_a_claim_is_three_lines_that_name_the_artifact_and_its_tree() -> None:
    text = f"lockgate-tree-claim-1\nartifact {ONE}\ntree {TWO}\n"
    assert tree_claim(ONE, TWO) == text.encode()
    assert digest_tree_claim(ONE, TWO) == hashlib.sha256(text.encode()).hexdigest()


def test_no_claim_stands_for_another_pair_nor_for_a_file() -> None:
    three = digest_bytes(b"three")
    pairs = [*permutations((ONE, TWO, three), 2), (ONE, ONE)]
    digests = {digest_tree_claim(*pair) for pair in pairs}
    assert len(digests) == len(pairs)
    assert not digests & {ONE, TWO, three}
